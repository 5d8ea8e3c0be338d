"""Tokenizers of runs as those of transformers: the same ids for every text."""

from __future__ import annotations

import json
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ...tasks.language.tokenizer import END, ByteTokenizer, Tokenizer

_ENDLESS = 10**9
"""Tokens that no text has. What transformers writes where there is no longest text is 2,048 to other tools."""


def fast_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """A run's tokenizer for transformers.

    What closes an answer is its ``eos_token``, and fills rows on the left; the characters of that token in a text are
    text. There is no longest text.
    """
    made = PreTrainedTokenizerFast(
        tokenizer_object=_bytes() if isinstance(tokenizer, ByteTokenizer) else _read(tokenizer.serialize()),
        eos_token=END,
        pad_token=END,
        padding_side="left",
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
        model_max_length=_ENDLESS,
    )
    made.model_input_names = ["input_ids", "attention_mask"]
    return made


def _read(serialized: str) -> tokenizers.Tokenizer:
    content: dict[str, Any] = json.loads(serialized)
    return tokenizers.Tokenizer.from_str(json.dumps({**content, "truncation": None, "padding": None}))


def _bytes() -> tokenizers.Tokenizer:
    """Bytes as byte-level pairs of which none are merged: the ids 0 to 255, and the end."""
    letters = {byte: chr(byte) for byte in (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))}
    others = (byte for byte in range(256) if byte not in letters)
    letters |= {byte: chr(256 + index) for index, byte in enumerate(others)}  # as GPT-2 writes bytes
    made = tokenizers.Tokenizer(models.BPE(vocab={letters[byte]: byte for byte in range(256)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(END, special=True)])
    return made
