"""Plain-text books read and cut into sentences."""

from __future__ import annotations

import re
from pathlib import Path

from ..files.opening import read_plain, text_of

_START = re.compile(r"^\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE | re.IGNORECASE)
_END = re.compile(
    r"^(?:\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg)",
    re.MULTILINE | re.IGNORECASE,
)
_QUOTES = "\"'\u2018\u2019\u201c\u201d"
_BOUNDARY = re.compile(rf"(?<![.!?])[.!?]++[{_QUOTES})\]_*]*\s+(?=[{_QUOTES}(\[_*-]*[A-ZÀ-Þ0-9])")
_LAST_WORD = re.compile(rf"[^\s(\[{_QUOTES}_]+$")
_WITHOUT_LAST_STOP = (
    "Mr Mrs Ms Messrs Mme Mlle Dr Prof Rev Hon St Sr Jr Capt Col Gen Lieut Lt Sgt Gov Esq Vol "
    "Chap Fig pp p vol viz cf etc i.e e.g Co Bros Mt Ave"
)
_ABBREVIATIONS = frozenset(_WITHOUT_LAST_STOP.split())


def read_book(path: Path) -> str:
    """The text of a book: UTF-8 (with or without a byte order mark) or else ISO-8859-1, line ends as newlines.

    What Project Gutenberg puts before its START line and after its END line is left out; a file without those lines is
    taken whole. ValueError: a file that cannot be read, or is no text.
    """
    raw = read_plain(path, "name a readable .txt file")
    if b"\0" in raw:
        raise ValueError(f"{path} holds NUL bytes, so it is no plain text; unpack or convert it to .txt first")
    text = text_of(raw, path, otherwise="iso-8859-1")
    if start := _START.search(text):
        text = text[start.end() :]
    if end := _END.search(text):
        text = text[: end.start()]
    return text


def split_sentences(text: str) -> list[str]:
    """Sentences in order, each on one line with single spaces.

    A sentence ends at an empty line, and at ``.``, ``!`` or ``?`` (with closing quotes and brackets) before white space
    and a capital or a digit, opening quotes allowed. A full stop ends none after an abbreviation such as "Mr." or
    "etc.", nor after a capital on its own other than "I" ("J. Smith"). So ``"Go!" he said`` is one sentence, and
    ``He went. "Why?" she asked.`` is two. Headings and verses are what an empty line makes of them.
    """
    sentences = []
    for paragraph in re.split(r"\n\s*\n", text):
        line = " ".join(paragraph.split())
        begin = 0
        for boundary in _BOUNDARY.finditer(line):
            if not _is_abbreviation(line, boundary):
                sentences.append(line[begin : boundary.end()].rstrip())
                begin = boundary.end()
        if begin < len(line):
            sentences.append(line[begin:])
    return sentences


def _is_abbreviation(line: str, boundary: re.Match[str]) -> bool:
    if boundary.group().rstrip() != ".":
        return False
    # no abbreviation is longer, and searching the whole line would make long paragraphs quadratic
    word = _LAST_WORD.search(line, max(0, boundary.start() - 8), boundary.start())
    if word is None:
        return False
    return word.group() in _ABBREVIATIONS or (len(word.group()) == 1 and word.group().isupper() and word.group() != "I")
