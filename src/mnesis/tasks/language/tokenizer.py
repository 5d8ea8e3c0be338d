"""Text to token ids and back: bytes, and byte-level pairs trained on one's own text.

Pieces concatenate exactly: where a piece begins with one space and a non-space, and the piece before it does not end in
a space, ``encode(a) + encode(b) == encode(a + b)``. That is what lets tasks tokenise sentences once and splice them.
Both kinds have one special id, ``end``, which closes an answer; nothing else is reserved (padding needs no id of its
own, because episodes carry lengths and weights).
"""

from __future__ import annotations

import hashlib
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from jaxtyping import Int, Int32, Int64
from tokenizers import decoders, models, pre_tokenizers, trainers
from torch import Tensor

from ...core.files import atomic_path, parse_json
from ..files.opening import damage, read_text, shown

END = "<|end|>"
END_TOKEN = "end_token"
"""The entry of a tokenizer.json that names another."""
FILE = "tokenizer.json"
_EVERY_BYTE = tuple(
    "".join(map(chr, characters))
    for characters in (range(0x80), range(0x80, 0x800), range(0x800, 0xD800, 0x800), range(0xE000, 0x110000, 0x1000))
)
"""Texts that have every byte that UTF-8 has."""
Ids = Iterable[int] | Int[np.ndarray, " n"] | Int[Tensor, " n"]


@dataclass(frozen=True)
class Pieces:
    """Texts as one run of token ids: piece i is ``tokens[offsets[i] : offsets[i + 1]]``."""

    tokens: Int32[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " bounds"]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Int32[np.ndarray, " n"]:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> Int64[np.ndarray, " pieces"]:
        """Tokens of each piece."""
        return np.diff(self.offsets)

    def take(self, indices: Int[np.ndarray, " m"]) -> Pieces:
        """The named pieces, in the order given, repeated where named twice."""
        starts = self.offsets[indices]
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(self.offsets[indices + 1] - starts, out=offsets[1:])
        index = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], np.diff(offsets))
        return Pieces(self.tokens[index], offsets)

    @classmethod
    def join(cls, lists: Sequence[Sequence[int]]) -> Pieces:
        """Pack lists of ids."""
        offsets = np.zeros(len(lists) + 1, np.int64)
        np.cumsum([len(ids) for ids in lists], out=offsets[1:])
        tokens = np.fromiter(itertools.chain.from_iterable(lists), np.int32, int(offsets[-1]))
        return cls(tokens, offsets)


class Tokenizer(ABC):
    """Text <-> token ids."""

    vocabulary: int
    """Number of ids, the end id included."""
    end: int
    """The id that closes an answer; ``encode`` never yields it."""

    @abstractmethod
    def encode(self, text: str) -> list[int]: ...

    @abstractmethod
    def pack(self, texts: Sequence[str]) -> Pieces:
        """``encode`` of many texts at once, packed; the way to tokenise books."""

    @abstractmethod
    def decode(self, tokens: Ids) -> str:
        """The text of the ids; end ids are left out, and bytes that are not UTF-8 become U+FFFD."""

    @abstractmethod
    def serialize(self) -> str:
        """The content of tokenizer.json."""

    def fingerprint(self) -> str:
        """A name for this tokenizer's behaviour, the same in every process: equal fingerprints, equal ids."""
        return hashlib.sha256(self.serialize().encode()).hexdigest()[:16]

    def save(self, folder: Path | str) -> Path:
        """Write ``folder/tokenizer.json`` atomically and return its path."""
        path = Path(folder) / FILE
        with atomic_path(path) as temporary:
            temporary.write_text(self.serialize(), encoding="utf-8")
        return path

    def _check(self, tokens: Ids) -> list[int]:
        ids = tokens.tolist() if isinstance(tokens, (np.ndarray, Tensor)) else list(tokens)
        wrong = next((token for token in ids if not 0 <= token < self.vocabulary), None)
        if wrong is not None:
            raise ValueError(
                f"token id {wrong} is outside this tokenizer's vocabulary of {self.vocabulary}; "
                "decode with the tokenizer that encoded it (it is in the run's folder)"
            )
        return ids


class ByteTokenizer(Tokenizer):
    """UTF-8 bytes are the ids 0..255; 256 is the end. Nothing to train, and any text can be said."""

    vocabulary = 257
    end = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def pack(self, texts: Sequence[str]) -> Pieces:
        encoded = [text.encode() for text in texts]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(piece) for piece in encoded], out=offsets[1:])
        return Pieces(np.frombuffer(b"".join(encoded), np.uint8).astype(np.int32), offsets)

    def decode(self, tokens: Ids) -> str:
        return bytes(token for token in self._check(tokens) if token != self.end).decode(errors="replace")

    def serialize(self) -> str:
        return json.dumps({"version": "1.0", "model": {"type": "Byte"}})


class BPETokenizer(Tokenizer):
    """Byte-level byte-pair encoding (Sennrich et al. 2016, bytes as in GPT-2), in Hugging Face's file format.

    Make one with :meth:`train`, or read one with :func:`load_tokenizer`.

    Args:
        serialized: content of a tokenizer.json whose model is byte-level BPE.
        end: the special token that closes an answer; None = the one that the content names, or else ``<|end|>``.

    Raises:
        ValueError: what cannot be read, has no such token, leaves ids out, or, if it is one of ours, cannot spell every
            text.
    """

    def __init__(self, serialized: str, *, end: str | None = None):
        with damage("this is no tokenizer that can be read", "train one with BPETokenizer.train, or save it again"):
            content = json.loads(serialized)
            self._end_token = str(content.pop(END_TOKEN, END) if end is None else end)
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
        self._tokenizer.no_truncation()  # as foreign files ask for, and a text would lose its end
        self._tokenizer.no_padding()
        number = self._tokenizer.token_to_id(self._end_token)
        if number is None:
            raise ValueError(
                f"this tokenizer has no token {self._end_token!r}, which closes an answer; "
                "train one with BPETokenizer.train, or add that special token before loading"
            )
        self._tokenizer.encode_special_tokens = True  # the characters "<|end|>" in a text are text
        self.end = number
        self.vocabulary = self._tokenizer.get_vocab_size()
        self._check_numbers()
        if self._end_token == END:  # those of pretrained models may lack characters that their texts did not have
            self._check_spelling()

    def _check_numbers(self) -> None:
        largest = max(self._tokenizer.get_vocab().values())
        if largest != self.vocabulary - 1:
            raise ValueError(
                f"this tokenizer has {self.vocabulary:,} tokens, but ids up to {largest:,}; number them from 0 on"
            )

    def _check_spelling(self) -> None:
        with damage("this tokenizer cannot spell every text", "train one with BPETokenizer.train"):
            wrong = next((text for text in _EVERY_BYTE if self.decode(self.encode(text)) != text), None)
            if wrong is not None:
                raise ValueError(f"{wrong!r} is not decoded as it was")

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int, *, words: Sequence[str] = ()) -> BPETokenizer:
        """Train on ``texts`` to at most ``vocabulary`` ids: 256 bytes, the end, and merges (fewer if text is short).

        Each of ``words`` becomes one token when it stands after a space: the merges it still needs are appended behind
        the trained ones, in place of the rarest of those. ValueError: a vocabulary too small for bytes, end and words.
        """
        if vocabulary < 257:
            raise ValueError(f"vocabulary={vocabulary}: 256 bytes and the end token need at least 257; ask for more")
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        content = json.loads(tokenizer.to_str())
        if words:
            _complete(content["model"], [_symbols(word) for word in words], vocabulary)
        return cls(json.dumps(content, ensure_ascii=False))

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def pack(self, texts: Sequence[str]) -> Pieces:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return Pieces.join([encoding.ids for encoding in encodings])

    def decode(self, tokens: Ids) -> str:
        return self._tokenizer.decode(self._check(tokens), skip_special_tokens=True)

    def serialize(self) -> str:
        content = self._tokenizer.to_str()
        if self._end_token == END:
            return content
        return json.dumps({**json.loads(content), END_TOKEN: self._end_token}, ensure_ascii=False)


def load_tokenizer(folder: Path | str) -> Tokenizer:
    """The tokenizer saved in a folder, of the class that saved it. ValueError: no tokenizer.json, or a foreign one."""
    path = Path(folder) / FILE
    if not path.exists():
        raise ValueError(f"{path} does not exist; a run's folder holds one, written by Tokenizer.save(folder)")
    serialized = read_text(path, "save the tokenizer again")
    content = parse_json(serialized, Any, source=str(path), mend="save the tokenizer again")
    model = content.get("model") if isinstance(content, dict) else None
    kind = model.get("type") if isinstance(model, dict) else None
    if kind is None:
        raise ValueError(f"{path} is not a tokenizer file (JSON with model.type); save the tokenizer again")
    if kind == "Byte":
        return ByteTokenizer()
    if kind != "BPE":
        raise ValueError(f"{path} holds a {shown(kind)!r} model; the kinds here are 'Byte' and 'BPE'")
    try:
        return BPETokenizer(serialized)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _symbols(word: str) -> list[str]:
    """A word after a space, as the byte-level alphabet writes it."""
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(" " + word.strip())
    if len(pieces) != 1:
        raise ValueError(f"words: {word!r} falls into {len(pieces)} words, and a token never crosses words; split it")
    return list(pieces[0][0])


def _merged(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Byte-pair encoding of one word: the earliest-learned pair is merged first."""
    while len(symbols) > 1:
        pairs = list(itertools.pairwise(symbols))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        place = pairs.index(best)
        symbols = [*symbols[:place], "".join(best), *symbols[place + 2 :]]
    return symbols


def _complete(model: dict, words: list[list[str]], vocabulary: int) -> None:
    """Append the merges that make each word one token, dropping as many of the last trained ones as that takes.

    A word's merges come after all those that shape its parts, so they change no part; and merges appended later find
    the word whole already. Dropping the last merges is the same as training to a smaller vocabulary.
    """
    trained = [tuple(merge) for merge in model["merges"]]
    base = 257
    dropped = max(0, base + len(trained) - vocabulary)
    while True:
        kept = trained[: len(trained) - dropped]
        ranks = {merge: rank for rank, merge in enumerate(kept)}
        for word in words:
            parts = _merged(word, ranks)
            while len(parts) > 1:
                ranks.setdefault((parts[0], parts[1]), len(ranks))
                parts = [parts[0] + parts[1], *parts[2:]]
        excess = base + len(ranks) - vocabulary
        if excess <= 0:
            break
        if dropped == len(trained):
            raise ValueError(
                f"vocabulary={vocabulary} has no room for the {len(words)} words beside 256 bytes and the end; "
                "raise the vocabulary or name fewer words"
            )
        dropped = min(dropped + excess, len(trained))
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)[:base] + ["".join(merge) for merge in ranks]
    model["vocab"] = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    model["merges"] = [list(merge) for merge in ranks]
