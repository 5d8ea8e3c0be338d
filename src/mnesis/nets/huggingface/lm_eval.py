"""A reader for the Language Model Evaluation Harness: it reads a context once, and forks its state for every answer."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

try:
    import lm_eval.models  # noqa: F401 # pyright: ignore[reportMissingImports] - it names its own first, or never
    from lm_eval.api.model import TemplateLM  # pyright: ignore[reportMissingImports]
    from lm_eval.api.registry import register_model  # pyright: ignore[reportMissingImports]
    from tqdm import tqdm
except ImportError as error:
    raise ImportError(f"the harness is not installed ({error}); pip install lm-eval") from error

from ...core.shipped import find
from ...core.state import take
from ...tasks.language.tokenizer import Tokenizer, load_tokenizer
from ..files import load
from ..language_model import LanguageModel

CHUNK = 512
"""Tokens read at a time, so that a text of any length takes the same memory."""
GENERATED = 256
"""Tokens at most, where a task does not say."""


class _Standing(NamedTuple):
    """Rows that have read something."""

    state: Any
    hidden: Float[Tensor, "B D"]
    """Of the last token of each, which the head foretells the next from."""

    def fork(self, rows: Int[Tensor, " n"]) -> _Standing:
        return _Standing(take(self.state, rows), self.hidden.index_select(0, rows))


class _Wanted(NamedTuple):
    """How a text is to go on."""

    until: list[str]
    tokens: int
    temperature: float
    """0 = the likeliest token each time."""

    @classmethod
    def of(cls, told: dict[str, Any]) -> _Wanted:
        """What a task asks for, in the harness's words."""
        until = told.get("until") or []
        temperature = float(told.get("temperature") or 0)
        return cls(
            until=[end for end in ([until] if isinstance(until, str) else until) if end],
            tokens=int(told.get("max_gen_toks", GENERATED)),
            temperature=temperature if told.get("do_sample", temperature > 0) else 0.0,
        )


@register_model("mnesis")
class MnesisLM(TemplateLM):
    """A model of lm-eval: ``lm_eval.simple_evaluate(model=MnesisLM("runs/reader"), tasks=[...])``.

    Its numbers are those of lm-eval's own ``hf`` on the exported folder. Nothing is truncated: there is no longest
    context.

    Args:
        pretrained: a run's folder, an exported one, the name of a reader that ships with mnesis, or a language model.
        tokenizer: of a language model that is given itself.
        batch_size: rows read side by side.
        max_batch_size: what lm-eval passes along; nothing here.
        device: where it computes.
        trust: let the folder name classes outside the catalog, whose code then runs.
    """

    def __init__(
        self,
        pretrained: str | os.PathLike[str] | LanguageModel,
        tokenizer: Tokenizer | None = None,
        batch_size: int | str = 8,
        max_batch_size: int | None = None,
        device: str = "cpu",
        trust: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(pretrained, LanguageModel):
            folder = find(os.fspath(pretrained))
            network, tokenizer = load(folder, trust=trust), load_tokenizer(folder)
            if not isinstance(network, LanguageModel):
                raise ValueError(f"{folder} is a {type(network).__name__}, no language model; give a reader of text")
            pretrained = network
        if tokenizer is None:
            raise ValueError("a network alone reads no text; give its tokenizer too, or the folder of its run")
        if not str(batch_size).isdecimal() or int(batch_size) < 1:
            raise ValueError(f"batch_size={batch_size!r} is no number of rows; give 1 or more, such as 8")
        self.network = pretrained.to(device).eval()
        self.text, self.batch_size, self._device = tokenizer, int(batch_size), torch.device(device)
        self._reader, self._head = self.network.parts()

    @property
    def eot_token_id(self) -> int:
        return self.text.end

    @property
    def tokenizer_name(self) -> str:
        return f"mnesis-{self.text.fingerprint()}"

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        return self.text.encode(string)

    @torch.inference_mode()
    def _loglikelihood_tokens(
        self,
        requests: list[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        **kwargs: Any,
    ) -> list[tuple[float, bool]]:
        continuations: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, (_, context, _) in enumerate(requests):
            continuations[tuple(context)].append(index)
        contexts = sorted(continuations, key=len, reverse=True)
        found: dict[int, tuple[float, bool]] = {}
        with tqdm(total=len(requests), desc="loglikelihood", disable=disable_tqdm) as bar:
            for some in _batches(contexts, self.batch_size):
                standing = self._read(some)
                asked = [(row, index) for row, context in enumerate(some) for index in continuations[context]]
                for part in _batches(asked, self.batch_size):
                    rows, indices = zip(*part, strict=True)
                    scores = self._score(standing, self._ids(rows), [requests[index][2] for index in indices])
                    for index, score in zip(indices, scores, strict=True):
                        found[index] = score
                        self.cache_hook.add_partial("loglikelihood", requests[index][0], score)
                    bar.update(len(part))
        return [found[index] for index in range(len(requests))]

    @torch.inference_mode()
    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        found: list[float] = []
        texts = [request.args[0] for request in requests]
        with tqdm(total=len(texts), desc="loglikelihood_rolling", disable=disable_tqdm) as bar:
            for some in _batches(texts, self.batch_size):
                standing = self._read([(self.prefix_token_id,)] * len(some))
                each = self._score(standing, self._ids(range(len(some))), [self.text.encode(text) for text in some])
                found += [score for score, _ in each]
                bar.update(len(some))
        for text, score in zip(texts, found, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), score)
        return found

    @torch.inference_mode()
    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        contexts: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            contexts[tuple(self.text.encode(request.args[0])) or (self.prefix_token_id,)].append(index)
        found: dict[int, str] = {}
        with tqdm(total=len(requests), desc="generate_until", disable=disable_tqdm) as bar:
            for some in _batches(sorted(contexts, key=len, reverse=True), self.batch_size):
                standing = self._read(some)
                asked = [(row, index) for row, context in enumerate(some) for index in contexts[context]]
                for part in _batches(asked, self.batch_size):
                    rows, indices = zip(*part, strict=True)
                    told = [requests[index].args for index in indices]
                    written = self._generate(standing.fork(self._ids(rows)), [_Wanted.of(each[1]) for each in told])
                    for index, given, text in zip(indices, told, written, strict=True):
                        found[index] = text
                        self.cache_hook.add_partial("generate_until", given, text)
                    bar.update(len(part))
        return [found[index] for index in range(len(requests))]

    def _generate(self, standing: _Standing, wanted: list[_Wanted]) -> list[str]:
        """What rows go on with, each up to what ends it."""
        state, hidden = standing
        tokens: list[list[int]] = [[] for _ in wanted]
        texts, going = ["" for _ in wanted], [each.tokens > 0 for each in wanted]
        while any(going):
            chosen = [
                _choose(logits, each.temperature) for logits, each in zip(self._head(hidden), wanted, strict=True)
            ]
            for row, (token, each) in enumerate(zip(torch.stack(chosen).tolist(), wanted, strict=True)):
                if not going[row]:
                    continue
                if token == self.text.end:
                    going[row] = False
                    continue
                tokens[row].append(token)
                text = self.text.decode(tokens[row])
                ends = [text.index(end) for end in each.until if end in text]
                texts[row] = text[: min(ends)] if ends else text
                going[row] = not ends and len(tokens[row]) < each.tokens
            if any(going):
                hidden, state = self._reader(torch.stack(chosen), state, step=True)
        return texts

    def _read(self, rows: Sequence[Sequence[int]]) -> _Standing:
        """Rows of tokens, each at least one, from a fresh state."""
        hidden, state = None, None
        for ids, length in self._pieces(rows):
            y, state = self._reader(ids, state, length=length)
            last = y[torch.arange(len(y), device=y.device), (length - 1).clamp(min=0)]
            hidden = last if hidden is None else torch.where((length > 0)[:, None], last, hidden)
        return _Standing(state, cast(Tensor, hidden))

    def _score(self, standing: _Standing, rows: Tensor, texts: list[list[int]]) -> list[tuple[float, bool]]:
        """Log-probability of texts behind rows, and whether each of their tokens is the likeliest."""
        hidden = standing.hidden.index_select(0, rows)
        score = torch.zeros(len(rows), dtype=torch.float64, device=self._device)
        greedy: Bool[Tensor, " B"] = torch.ones(len(rows), dtype=torch.bool, device=self._device)

        def tell(hidden: Float[Tensor, "B T D"], place: int) -> None:
            """Take in what is foretold of the tokens from a place on."""
            nonlocal score, greedy
            ids, length = self._side_by_side([text[place : place + hidden.shape[1]] for text in texts])
            logits = self._head(hidden[:, : ids.shape[1]]).float()
            foreign = torch.arange(ids.shape[1], device=ids.device)[None] >= length[:, None]
            each = logits.log_softmax(-1).gather(2, ids[..., None]).squeeze(2)
            score = score + each.masked_fill(foreign, 0).sum(1, dtype=torch.float64)
            greedy = greedy & ((logits.argmax(-1) == ids) | foreign).all(1)

        tell(hidden[:, None], 0)
        before = [text[:-1] for text in texts]  # nothing is asked behind the last
        if any(before):
            state, place = take(standing.state, rows), 1
            for ids, length in self._pieces(before):
                y, state = self._reader(ids, state, length=length)
                tell(y, place)
                place += ids.shape[1]
        return list(zip(score.tolist(), greedy.tolist(), strict=True))

    def _pieces(self, rows: Sequence[Sequence[int]]) -> Iterator[tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]]:
        """Rows side by side, some tokens at a time, and how many of these are each row's own."""
        for start in range(0, max(map(len, rows)), CHUNK):
            yield self._side_by_side([row[start : start + CHUNK] for row in rows])

    def _side_by_side(self, rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
        longest = max(map(len, rows))
        return self._ids([[*row, *[0] * (longest - len(row))] for row in rows]), self._ids([len(row) for row in rows])

    def _ids(self, values: Any) -> Tensor:
        return torch.tensor(list(values), dtype=torch.long, device=self._device)


def _choose(logits: Float[Tensor, " V"], temperature: float) -> Int[Tensor, ""]:
    if temperature == 0:
        return logits.argmax()
    return torch.multinomial((logits.double() / temperature).softmax(-1), 1).squeeze(0)


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
