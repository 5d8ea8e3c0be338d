"""Reader of the original bAbI v1.2 files, all twenty tasks (Weston et al. 2015, arXiv 1502.05698).

A file holds stories, one sentence a line; a question line has three fields parted by tabs. Line numbers start again at
1 with every story, count questions too, and are what the supporting facts refer to (qa1)::

    1 Mary moved to the bathroom.
    2 John went to the hallway.
    3 Where is Mary? <TAB>bathroom<TAB>1
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ...files.opening import held, is_archive, read_text, shown, text_of
from ..story import Story, StoryQuestion

TASK_NAMES = {
    1: "single-supporting-fact",
    2: "two-supporting-facts",
    3: "three-supporting-facts",
    4: "two-arg-relations",
    5: "three-arg-relations",
    6: "yes-no-questions",
    7: "counting",
    8: "lists-sets",
    9: "simple-negation",
    10: "indefinite-knowledge",
    11: "basic-coreference",
    12: "conjunction",
    13: "compound-coreference",
    14: "time-reasoning",
    15: "basic-deduction",
    16: "basic-induction",
    17: "positional-reasoning",
    18: "size-reasoning",
    19: "path-finding",
    20: "agents-motivations",
}

FILE_BYTES = 2**24
"""Of one file in an archive, at most; the largest of 10,000 questions have some ten million."""

_ROOMS = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
_YES_NO = ("no", "yes")
_CHOICES = {
    5: ("apple", "bill", "football", "fred", "jeff", "mary", "milk"),
    6: _YES_NO,
    7: ("none", "one", "three", "two"),
    8: ("apple", "football", "milk", "nothing"),
    9: _YES_NO,
    10: ("maybe", "no", "yes"),
    14: ("bedroom", "cinema", "kitchen", "office", "park", "school"),
    15: ("cat", "mouse", "sheep", "wolf"),
    16: ("gray", "green", "white", "yellow"),
    17: _YES_NO,
    18: _YES_NO,
    19: ("e,e", "e,n", "e,s", "n,e", "n,n", "n,w", "s,e", "s,s", "s,w", "w,n", "w,s", "w,w"),
    20: ("bedroom", "bored", "garden", "hungry", "kitchen", "thirsty", "tired"),
}


def answer_choices(task: int) -> tuple[str, ...]:
    """The labels of a task, lower case: what its answers are drawn from, as BABILong's scorer lists them.

    An answer of qa8 is one label or several joined by commas, in any order; an answer of any other task is one label
    (of qa19 a whole path such as "n,w").

    Raises:
        ValueError: no such task.
    """
    _check_task(task)
    return _CHOICES.get(task, _ROOMS)


def read_stories(path: str | PathLike[str], task: int, split: str = "train", variant: str = "en-10k") -> list[Story]:
    """Every story of one file of the corpus.

    Answers come in lower case; supporting facts are indices into the story's sentences.

    Args:
        path: The official tar.gz, a zip of it, the extracted folder, or one .txt file (which is read as it is:
            ``split`` and ``variant`` are then not looked at).
        task: 1 to 20.
        split: "train", "test" or "valid"; the official archive has "valid" in the variants en-valid and en-valid-10k.
        variant: The folder of the file: "en" (1,000 training questions), "en-10k" (10,000), "en-valid", "en-valid-10k",
            "hn", "hn-10k", "shuffled", "shuffled-10k".

    Raises:
        FileNotFoundError: no such path, or no such file in it.
        ValueError: a task outside 1 to 20, a .txt file of another task, a file without questions, a malformed line.
    """
    _check_task(task)
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{shown(path)} does not exist; give bAbI's tar.gz, zip, extracted folder or one .txt file"
        )
    if path.is_dir() or is_archive(path):
        with held(path, "bAbI's files", suffix=".txt") as holder:
            name = _find(holder.names(), path, task, split, variant)
            where = f"{shown(path)}: {shown(name)}"
            return _parse(text_of(holder.read(name, FILE_BYTES), where), where)
    if path.suffix != ".txt":
        raise ValueError(f"{shown(path)} is no zip, tar archive, folder or .txt file; give one of these")
    named = re.match(r"qa(\d+)_", path.name)
    if named and named[1] != str(task):
        raise ValueError(f"{path} holds qa{named[1]}, but task {task} was asked for; give task={named[1]}")
    return _parse(read_text(path), path.as_posix())


def _check_task(task: int) -> None:
    if task not in TASK_NAMES:
        raise ValueError(f"task {task} is none of bAbI's, which are numbered 1 to 20; choose one of those")


def _find(names: Sequence[str], path: Path, task: int, split: str, variant: str) -> str:
    parts = {name: [path.absolute().name, *name.split("/")] for name in names}
    files = [name for name in names if parts[name][-1].startswith(f"qa{task}_")]
    found = [
        name
        for name in files
        if parts[name][-2] == variant and parts[name][-1].removesuffix(".txt").split("_")[-1] == split
    ]
    if not found:
        there = shown(", ".join(sorted("/".join(parts[name][-2:]) for name in files))) or "no file of this task"
        raise FileNotFoundError(
            f"{path} has no {split!r} file of task {task} in variant {variant!r}; choose among what it has: {there}"
        )
    if len(found) > 1:
        raise ValueError(
            f"{path} has {len(found)} such files ({shown(', '.join(sorted(found)))}); give the path of one of them"
        )
    return found[0]


def _parse(text: str, name: str) -> list[Story]:
    stories: list[Story] = []
    sentences: list[str] = []
    questions: list[StoryQuestion] = []
    index_of: dict[str, int] = {}
    previous = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"line {number} of {name}"
        identity, _, content = line.partition(" ")
        if identity not in ("1", str(previous + 1)):
            raise ValueError(
                f"{where} starts with {shown(identity)!r}, but a line starts with its number, here "
                f"{previous + 1} or 1 (a new story); restore the original file"
            )
        if identity == "1" and sentences:
            stories.append(Story(tuple(sentences), tuple(questions)))
            sentences, questions, index_of = [], [], {}
        previous = int(identity)
        fields = content.split("\t")
        if len(fields) == 1 and content.strip():
            index_of[identity] = len(sentences)
            sentences.append(content.strip())
            continue
        if len(fields) != 3 or not all(field.strip() for field in fields[:2]):
            raise ValueError(
                f"{where} has {len(fields)} fields, but a sentence has one and a question three (question, answer, "
                "supporting line numbers), parted by tabs; restore the original file"
            )
        unknown = [fact for fact in fields[2].split() if fact not in index_of]
        if unknown:
            raise ValueError(
                f"{where} is supported by line {shown(unknown[0])}, but a supporting line is an earlier sentence of "
                "the same story; restore the original file"
            )
        supporting = tuple(index_of[fact] for fact in fields[2].split())
        questions.append(StoryQuestion(len(sentences), fields[0].strip(), fields[1].strip().lower(), supporting))
    if sentences:
        stories.append(Story(tuple(sentences), tuple(questions)))
    if not any(story.questions for story in stories):
        raise ValueError(f"{name} holds no question line (question, answer, supporting line numbers); give a bAbI file")
    return stories
