"""Questions that need all that was read: whether edges make a tree or a path, what stood where, how often it came."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Task

KINDS = ("stars", "recursive")


class _Forest(Task):
    """Two trees, whose edges come in random order with either end first, and one edge more that joins them or not."""

    def __init__(self, kind: str = "stars", *, nodes: Annotated[int, AtLeast(5)] = 32) -> None:
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r} of graph; choose one of {', '.join(KINDS)}")
        self.kind, self.nodes, self.vocabulary, self.chance = kind, nodes, nodes + 2, 0.5
        self._dash, self._ask = nodes, nodes + 1

    def _draw(
        self, batch: int, length: int, generator: torch.Generator
    ) -> tuple[Int[Tensor, "B E 2"], Int[Tensor, "B 2"], Bool[Tensor, " B"]]:
        """Edges of two trees, two nodes that no edge joins, and whether these are in different trees."""
        if batch < 1 or not 5 <= length <= self.nodes:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and 5 to {self.nodes} nodes")
        device = generator.device
        node, uniform = (
            torch.arange(length, device=device),
            torch.rand(batch, length, generator=generator, device=device),
        )
        # Nodes 0 and 1 are the roots; another hangs on one of them, or on any before it.
        parent = (uniform * (2 if self.kind == "stars" else node)).long()
        parent[:, :2] = node[:2]
        root = parent
        for _ in range(length.bit_length()):
            root = root.gather(1, root)
        if self.kind == "stars":
            pair = node[2:4].expand(batch, -1)
            apart = root[:, 2] != root[:, 3]
        else:
            apart = torch.rand(batch, generator=generator, device=device) < 0.5
            child = node[:, None] == parent[:, None]  # which hang on which: a parent always comes before
            fits = (root[:, :, None] != root[:, None]) == apart[:, None, None]
            fits = (fits & ~child).triu(1).flatten(1)
            chosen = (fits * (1 - torch.rand(fits.shape, generator=generator, device=device))).argmax(1)
            pair = torch.stack([chosen // length, chosen % length], 1)
        edges = torch.stack([node[2:].expand(batch, -1), parent[:, 2:]], 2)
        name = torch.rand(batch, self.nodes, generator=generator, device=device).argsort(1)
        named = name.gather(1, torch.cat([edges.flatten(1), pair], 1)).unflatten(1, (-1, 2))
        flipped = torch.rand(named.shape[:2], generator=generator, device=device)[..., None] < 0.5
        named = torch.where(flipped, named.flip(2), named)
        return named[:, :-1], named[:, -1], apart

    def _told(
        self,
        edges: Int[Tensor, "B E 2"],
        question: Int[Tensor, "B Q"],
        answer: Bool[Tensor, " B"],
        generator: torch.Generator,
    ) -> Episode:
        order = torch.rand(edges.shape[:2], generator=generator, device=edges.device).argsort(1)
        edges = edges.gather(1, order[..., None].expand_as(edges))
        dash = torch.full_like(edges[..., :1], self._dash)
        told = torch.cat([edges[..., :1], dash, edges[..., 1:]], 2).flatten(1)
        inputs = torch.cat([told, torch.full_like(told[:, :1], self._ask), question], 1)
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=inputs.device)
        targets[:, -1], weight[:, -1] = answer.long(), 1
        return Episode(inputs, targets, weight)


class IsTree(_Forest):
    """Edges of a graph, one after the other: is it a tree?

    The task of Wen et al. 2024 (RNNs are not Transformers (yet), arXiv 2402.18510), which a network cannot do whose
    state grows slower than the graph. One example of six nodes, which are no tree, since 2, 4 and 5 are a ring::

        inputs   4 - 2 0 - 1 5 - 4 3 - 1 2 - 5 ?
        targets  . . . . . . . . . . . . . . . 0

    A graph always has as many edges as a tree. It is two trees and one edge more, which either joins them or closes a
    ring in one of them, as likely as not. "stars" are the paper's: every node is joined to one of two, and the last
    edge joins two of those. In "recursive" trees it is joined to any node that came before it, and the last edge joins
    any two nodes. (The paper's code has other random trees too, in which the number of edges may tell.)

    Tokens: ``0 .. nodes - 1`` are the nodes, drawn without replacement, then come the dash and the question mark.
    Answers: 1 is a tree, 0 is none. ``length`` counts the nodes of a graph. Chance is 1/2.

    Args:
        kind: of trees, "stars" or "recursive".
        nodes: names that there are for them, the most that a graph has.

    Raises:
        ValueError: an unknown kind, or fewer than five nodes.
    """

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` graphs of ``length`` nodes.

        Raises:
            ValueError: ``batch`` below 1, or fewer than five nodes or more than there are names.
        """
        edges, last, apart = self._draw(batch, length, generator)
        return self._told(torch.cat([edges, last[:, None]], 1), last[:, :0], apart, generator)


class Connected(_Forest):
    """Edges of two trees, one after the other, then two nodes: are they in the same tree?

    The question that decides `IsTree` (Wen et al. 2024, arXiv 2402.18510), asked by itself: would an edge between the
    two close a ring? One example of six nodes::

        inputs   4 - 2 0 - 1 5 - 4 3 - 1 ? 2 5
        targets  . . . . . . . . . . . . . . 1

    No edge ever joins the two nodes of the question. Tokens and trees are those of `IsTree`. Answers: 1 is the same
    tree, 0 is not. ``length`` counts nodes. Chance is 1/2.

    Args:
        kind: of trees, "stars" or "recursive".
        nodes: names that there are for them, the most that a graph has.

    Raises:
        ValueError: an unknown kind, or fewer than five nodes.
    """

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` graphs of ``length`` nodes.

        Raises:
            ValueError: ``batch`` below 1, or fewer than five nodes or more than there are names.
        """
        edges, asked, apart = self._draw(batch, length, generator)
        return self._told(edges, asked, ~apart, generator)


class Index(Task):
    """Symbols, then the number of a place: which symbol stood there?

    The index task of Wen et al. 2024 (arXiv 2402.18510): nothing but all symbols suffices to answer. One example::

        inputs   3 7 0 2 7 [2]
        targets  . . . . .  0

    Tokens: ``0 .. symbols - 1``, then the places from 0 on, of which there are ``most``. ``length`` counts symbols.
    Chance is ``1 / symbols``.

    Args:
        symbols: how many different ones.
        most: the most symbols of a sequence.

    Raises:
        ValueError: fewer than two symbols, or no place.
    """

    def __init__(self, *, symbols: Annotated[int, AtLeast(2)] = 16, most: int = 64) -> None:
        self.symbols, self.most, self.vocabulary, self.chance = symbols, most, symbols + most, 1 / symbols

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` symbols and a place.

        Raises:
            ValueError: ``batch`` below 1, or more symbols than places, or none.
        """
        if batch < 1 or not 1 <= length <= self.most:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and 1 to {self.most} symbols")
        device = generator.device
        symbols = torch.randint(self.symbols, (batch, length), generator=generator, device=device)
        place = torch.randint(length, (batch, 1), generator=generator, device=device)
        inputs = torch.cat([symbols, self.symbols + place], 1)
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=device)
        targets[:, -1:], weight[:, -1] = symbols.gather(1, place), 1
        return Episode(inputs, targets, weight)

    def items(self, length: int) -> int:
        return length

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From where the symbol stood."""
        time = torch.arange(episode.inputs.shape[1], device=episode.inputs.device)
        return time - (episode.inputs[:, -1:] - self.symbols)


class Counting(Task):
    """Symbols, then one of them and a number: did it come at least so often?

    The counting task of Wen et al. 2024 (arXiv 2402.18510). One example, in which 7 came twice and 2 are asked for::

        inputs   3 7 0 2 7 ? 7 [2]
        targets  . . . . . . .  1

    The number is drawn from 1 to ``length``. By how much the symbol misses it, or one more than it, is drawn in the
    same way for both answers, so that the question alone tells nothing of them.

    Tokens: ``0 .. symbols - 1``, then the question mark, then the numbers from 1 to ``most``. Answers: 1 is at least so
    often, 0 is not. ``length`` counts symbols. Chance is 1/2.

    Args:
        symbols: how many different ones.
        most: the most symbols of a sequence.

    Raises:
        ValueError: fewer than two symbols, or sequences of none.
    """

    def __init__(self, *, symbols: Annotated[int, AtLeast(2)] = 16, most: int = 64) -> None:
        self.symbols, self.most, self.vocabulary, self.chance = symbols, most, symbols + 1 + most, 0.5

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` symbols and a question.

        Raises:
            ValueError: ``batch`` below 1, or more symbols than ``most``, or none.
        """
        if batch < 1 or not 1 <= length <= self.most:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and 1 to {self.most} symbols")
        device = generator.device

        def below(count: Tensor | int) -> Int[Tensor, "B 1"]:
            uniform = torch.rand(batch, 1, generator=generator, device=device, dtype=torch.float64)
            return (count * uniform).long()

        number, symbol, often = 1 + below(length), below(self.symbols), below(2)
        missing = 1 + below(torch.minimum(number, length + 1 - number))
        count = torch.where(often == 1, number + missing - 1, number - missing)
        others = torch.randint(self.symbols - 1, (batch, length), generator=generator, device=device)
        others = others + (others >= symbol)
        order = torch.rand(batch, length, generator=generator, device=device).argsort(1)
        symbols = torch.where(order < count, symbol, others)
        ask = torch.full_like(symbol, self.symbols)
        inputs = torch.cat([symbols, ask, symbol, self.symbols + number], 1)
        targets, weight = torch.zeros_like(inputs), torch.zeros(inputs.shape, device=device)
        targets[:, -1:], weight[:, -1] = often, 1
        return Episode(inputs, targets, weight)
