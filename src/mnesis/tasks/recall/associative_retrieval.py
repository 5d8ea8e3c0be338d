"""Associative retrieval: the value of a key, among many pairs read one after the other."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...core.task import Episode, Task

FORMS = ("remember", "rewrite")


class AssociativeRetrieval(Task):
    """Pairs of key and value, then one key: say its value and the end token.

    The task of the Associative Recurrent Memory Transformer (Rodkin et al. 2024, arXiv 2407.04841), token for token as
    in run_finetuning_associative_retrieval.py of its repository. One example of three pairs with keys of two digits and
    values of one: ``:`` is the separator, ``>`` the generate token, ``;`` the end token, ``.`` what carries no weight;
    the bars (no tokens) are the borders of segments that hold one pair each::

        inputs   3 1 : 7 ; | 0 9 : 2 ; | 3 4 : 7 ; | 0 9 > 2 ;
        targets  . . . . .   . . . . .   . . . . .   . . 2 ; .

    "remember": no key comes twice (it measures capacity). "rewrite": keys are drawn with replacement, and the answer is
    the value given last (it measures forgetting on purpose). The query is uniform over the different keys of the
    sequence, so in "rewrite" a key that was written often is not asked for more often.

    Tokens: ``0 .. symbols - 1`` are the digits of keys (lowest digit first) and values; 100, 101 and 102 the separator,
    generate and end tokens; the ids between occur nowhere. ``length`` counts pairs; an episode has ``(length + 1) *
    segment_length`` tokens, the answer's among the inputs. Chance is that of the whole value, ``symbols **
    -value_length``: the end token always stands at the same place.

    Where paper and code differ: the paper writes a comma between pairs and EOS after the answer, the code has one
    token, 102, for both (so here). The code draws the number of pairs anew for every batch (the last ones of sequences
    drawn beforehand); here ``length`` is what the caller says and every sequence is fresh. The released script trains
    with keys of 1, then 2 and 3 digits while the pairs grow from 1 to 200.

    Args:
        form: "remember" or "rewrite".
        key_length: Digits of a key; there are ``symbols ** key_length`` keys. "remember" draws one random number for
            each of them in every row, which bounds it in practice.
        value_length: Digits of a value.
        symbols: How many digits there are.

    Raises:
        ValueError: another form, a length below 1, ``symbols`` outside 2 to 100.
    """

    SEPARATOR = 100
    GENERATE = 101
    END = 102

    def __init__(self, form: str = "remember", *, key_length: int = 1, value_length: int = 1, symbols: int = 16):
        if form not in FORMS:
            raise ValueError(f"form = {form!r} is unknown; choose 'remember' (unique keys) or 'rewrite' (latest value)")
        if not 2 <= symbols <= self.SEPARATOR:
            raise ValueError(
                f"symbols = {symbols} is outside 2 to {self.SEPARATOR}, the first special id; choose within"
            )
        self.form = form
        self.key_length, self.value_length, self.symbols = key_length, value_length, symbols
        self.vocabulary = self.END + 1
        self.chance = symbols**-value_length

    @property
    def segment_length(self) -> int:
        """Tokens of one pair, and of the query with its answer: the segment that holds exactly one."""
        return self.key_length + self.value_length + 2

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` sequences of ``length`` pairs and a query.

        Raises:
            ValueError: ``batch`` or ``length`` below 1; more pairs than keys, where keys are unique.
        """
        if batch < 1 or length < 1:
            raise ValueError(f"batch = {batch}, length = {length}: both count something; give 1 or more")
        keys = self._keys(batch, length, generator)
        device = generator.device
        values = torch.randint(self.symbols, (batch, length, self.value_length), generator=generator, device=device)
        queried = torch.multinomial(_latest(keys).float(), 1, generator=generator)
        digits = keys[..., None] // self.symbols ** torch.arange(self.key_length, device=device) % self.symbols

        tokens = torch.full((batch, length + 1, self.segment_length), self.END, device=device)
        tokens[:, :length, : self.key_length] = digits
        tokens[:, :length, self.key_length] = self.SEPARATOR
        tokens[:, :length, self.key_length + 1 : -1] = values
        tokens[:, length] = tokens[torch.arange(batch, device=device), queried[:, 0]]
        tokens[:, length, self.key_length] = self.GENERATE
        inputs = tokens.flatten(1)

        # after the last end token nothing comes: its target is a filler without weight, so that segments stay whole
        targets = torch.cat([inputs[:, 1:], inputs[:, -1:]], dim=1)
        weight = torch.zeros(inputs.shape, device=device)
        weight[:, -self.value_length - 2 : -1] = 1
        return Episode(inputs=inputs, targets=targets, weight=weight)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """Digits are uniform, and after them the end is sure."""
        return torch.where(episode.targets == self.END, 0.0, -math.log2(self.symbols))

    def items(self, length: int) -> int | None:
        """Every pair; how many different keys "rewrite" draws is chance."""
        return length if self.form == "remember" else None

    def distance(self, episode: Episode) -> Int[Tensor, "B T"]:
        """From the same place of the pair that is asked for."""
        since = episode.inputs.shape[1] // self.segment_length - 1 - self._bindings(episode)[..., 0]
        return (since * self.segment_length - 1)[:, None].expand(episode.inputs.shape)

    def displaced(self, episode: Episode) -> Int[Tensor, "B T"] | None:
        """Digits of the value before the latest, where they differ from it."""
        if self.form == "remember":
            return None
        before = self._bindings(episode)[..., 1]
        pairs = episode.inputs.unflatten(1, (-1, self.segment_length))
        old = pairs[torch.arange(len(before), device=before.device), before.clamp(min=0), self.key_length + 1 : -1]
        displaced = torch.full_like(episode.targets, -1)
        asked = slice(-self.value_length - 2, -2)
        known = (before >= 0)[:, None] & (old != episode.targets[:, asked])
        displaced[:, asked] = torch.where(known, old, -1)
        return displaced

    def _bindings(self, episode: Episode) -> Int[Tensor, "B 2"]:
        """Which pair bound the asked key last, and which before that; -1 = none did."""
        keys = episode.inputs.unflatten(1, (-1, self.segment_length))[..., : self.key_length]
        same = (keys[:, :-1] == keys[:, -1:]).all(-1)
        place = torch.where(same, torch.arange(same.shape[1], device=same.device), -1)
        place = torch.cat([place, place.new_full((len(place), 1), -1)], 1)
        return place.topk(2, dim=1).values

    def _keys(self, batch: int, length: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
        keys = self.symbols**self.key_length
        if self.form == "rewrite":
            return torch.randint(keys, (batch, length), generator=generator, device=generator.device)
        if length > keys:
            raise ValueError(
                f"{length} pairs need as many different keys, but {self.symbols} symbols make {keys} keys of "
                f"{self.key_length} digits; raise key_length or use form='rewrite'"
            )
        # the places of the largest of random numbers are a uniform draw without replacement
        return torch.rand(batch, keys, generator=generator, device=generator.device).topk(length, dim=1).indices


def _latest(keys: Int[Tensor, "B N"]) -> Bool[Tensor, "B N"]:
    """Whether no later pair of the row has the same key."""
    grouped, place = keys.sort(dim=1, stable=True)
    ends = torch.ones_like(grouped, dtype=torch.bool)
    ends[:, :-1] = grouped[:, :-1] != grouped[:, 1:]
    return torch.zeros_like(ends).scatter(1, place, ends)
