"""Networks that continue a text: a reader of token ids and a head over their vocabulary."""

from __future__ import annotations

from typing import Annotated, Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.domain import AtLeast, Size, require
from .around import Headed


class Generating(Headed):
    """``logits [B T V], state = model(tokens [B T], state)``, and what follows from it."""

    @torch.no_grad()
    def generate(
        self,
        prompt: Int[Tensor, "B T"],
        state: Any = None,
        *,
        tokens: int | None = None,
        max_new_tokens: int | None = None,
        length: Int[Tensor, " B"] | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        end: int | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Int[Tensor, "B N"], Any]:
        """Continue a prompt from a state.

        Args:
            prompt: at least one token a row.
            state: where the reader stands; None = fresh.
            tokens: how many to generate at most.
            max_new_tokens: the same, under the name that transformers has for it.
            length: tokens of each row's prompt that are real, where rows differ; each goes on behind its own. (Align
                left-padded prompts with ``mnesis.align_left`` first.)
            temperature: 0 = the likeliest token each time.
            top_k: sample among the k likeliest; None = among all.
            end: a row that has generated this token repeats it; generation ends when all rows have.
            generator: of the sampling.

        Returns:
            Generated tokens, and the state after reading all of them but the last.

        Raises:
            ValueError: a number that is none of its kind, or an empty prompt.
        """
        tokens = _one_of(tokens, max_new_tokens)
        require(temperature, Annotated[float, AtLeast(0)], "temperature", "give 0 for the likeliest token, or 0.8")
        require(top_k, Size | None, "top_k", "give 1 or more, or None for all tokens")
        body, readout = self.parts()
        y, state = body(prompt, state, length=length)
        if length is not None and int(length.min()) < 1:
            raise ValueError("length=0 leaves a row without a prompt; give every row at least one token")
        last = y[:, -1] if length is None else y[torch.arange(len(y), device=y.device), length - 1]
        logits, generated = readout(last), []
        ended = torch.zeros(prompt.shape[0], dtype=torch.bool, device=prompt.device)
        while True:
            token = _choose(logits, temperature, top_k, generator)
            if end is not None:
                token = torch.where(ended, end, token)
                ended = ended | (token == end)
            generated.append(token)
            if len(generated) == tokens or bool(ended.all()):
                return torch.stack(generated, 1), state
            logits, state = self(token, state, step=True)


def _one_of(tokens: int | None, max_new_tokens: int | None) -> int:
    """How many tokens are asked for, under either name."""
    if (tokens is None) == (max_new_tokens is None):
        given = "neither" if tokens is None else f"tokens={tokens} and max_new_tokens={max_new_tokens}"
        raise ValueError(f"tokens and max_new_tokens are one thing, and {given} is given; give one of them")
    name, value = ("max_new_tokens", max_new_tokens) if tokens is None else ("tokens", tokens)
    require(value, Size, name, "give 1 or more")
    return cast(int, value)


def _choose(
    logits: Float[Tensor, "B V"], temperature: float, top_k: int | None, generator: torch.Generator | None
) -> Int[Tensor, " B"]:
    if temperature == 0:
        return logits.argmax(-1)
    if top_k is not None:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    wide = logits.double()
    weights = ((wide - wide.amax(-1, keepdim=True)) / temperature).softmax(-1)  # of temperatures near 0, too
    return torch.multinomial(weights, 1, generator=generator).squeeze(-1)
