"""Command lines: every bad value is refused in one sentence, before anything is written."""

from __future__ import annotations

import contextlib
import io
import itertools
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.fuzz import Input, WrongSuccess

REFUSED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("lawz",), "no command is called 'lawz'; did you mean 'laws'?"),
    (("help", "lawz"), "did you mean 'laws'?"),
    (("train",), "TASK is missing; give one"),
    (("train", "babilong", "more"), "'more' is one argument too many; it takes TASK alone"),
    (("train", "babilong", "--threds", "3"), "there is no option --threds; did you mean --threads?"),
    (("train", "run", "-q"), "there is no option -q"),
    (("train", "babilong", "--threads"), "--threads N is given no value; write --threads N"),
    (("train", "babilong", "--quiet=1"), "--quiet takes none; write --quiet alone"),
    (("train", ""), "no task is called ''; mnesis list tasks shows what there is"),
    (("train", "run"), "no task is called 'run'"),
    (("train", "kopy", "--memory", "gru"), "no task is called 'kopy'; did you mean 'copy'?"),
    (("train", "gru"), "no task is called 'gru'; it is a memory"),
    (("train", "copy"), "--memory NAME is missing; give one such as --memory gru"),
    (("train", "words", "--memory", "gru", "--length", "8"), "words needs folder; give --task-options folder=..."),
    (("train", "words", "--memory", "gru"), "the catalog has no lengths for words; give --length"),
    (("train", "copy", "--memory", "gru", "--length", "8-2"), "--length 8-2: 8 is above 2"),
    (("train", "copy", "--memory", "gru", "--budget", "tokens=0"), "a budget of 0 tokens trains nothing"),
    (("train", "copy", "--memory", "gru", "--budget", "seconds=9"), "write tokens=1M or updates=500"),
    (("train", "copy", "--memory", "gru", "--rate", "0"), "--rate 0 is not a finite number above 0"),
    (("train", "copy", "--memory", "gru", "--task-options", "symbol=3"), "did you mean 'symbols'?"),
    (("train", "copy", "--memory", "gru", "--recipe", "demo"), "--recipe is an option of babilong alone"),
    (("train", "copy", "--memory", "gru", "--stories", "x"), "and the task is copy; leave it out"),
    (("train", "pictures"), "--data is missing; give a folder of pictures"),
    (("train", "pictures", "--data", "nowhere"), "--data nowhere is not there; give a folder"),
    (("train", "pictures", "--collection", "glyphs", "--dim", "8"), "--dim is not an option of pictures, whose model"),
    (
        ("train", "pictures", "--collection", "glyphs", "--side", "65"),
        "--side 65 is not a whole number between 12",
    ),
    (("train", "pictures", "--collection", "glyphs", "--threshold", "nan"), "--threshold nan is not"),
    (("train", "pictures", "--collection", "glyphs", "--budget", "1"), "write tokens=1M or updates=500"),
    (("train", "copy", "--memory", "gru", "--data", "x"), "--data is an option of pictures alone"),
    (("generate",), "MODEL is missing; give one"),
    (("generate", "omniglott"), "no model of pictures of that name; did you mean 'omniglot'?"),
    (("generate", "omniglot", "--exemplars", "nowhere"), "--exemplars nowhere is not there; give a folder"),
    (("generate", "omniglot", "--show", "both"), "--show has no 'both'; give expected or drawn"),
    (("generate", "omniglot", "--bound", "0"), "--bound 0 is not a whole number between 1 and 100000"),
    (("train", "babilong", "--length", "8"), "--length is not an option of babilong, which a --recipe trains"),
    (("train", "babilong", "--task-options", "x=1"), "--task-options is not an option of babilong"),
    (("train", "babilong", "--dim", "0"), "--dim 0 is not a whole number between 1 and 65536; give 1 or another"),
    (("train", "babilong", "--dim", "-3"), "--dim -3 is not a whole number"),
    (("train", "babilong", "--dim", "1e400"), "--dim 1e400 is not a whole number"),
    (("train", "babilong", "--dim", "3.5"), "--dim 3.5 is not a whole number"),
    (("train", "babilong", "--dim", "nan"), "--dim nan is not a whole number"),
    (("train", "babilong", "--hidden", "0"), "--hidden 0 is not a whole number between 1 and 1000000000"),
    (("train", "babilong", "--hidden", "-1"), "--hidden -1 is not a whole number between 1 and 1000000000"),
    (("train", "babilong", "--depth", "0"), "--depth 0 is not a whole number"),
    (("train", "babilong", "--convolution", "-2"), "--convolution -2 is not a whole number between 0 and 1000000000"),
    (("train", "babilong", "--threads", "0"), "--threads 0 is not a whole number between 1 and 1024"),
    (("train", "babilong", "--seed", "-1"), "--seed -1 is not a whole number"),
    (("train", "babilong", "--seed", "1" + "0" * 40), "is not a whole number between 0 and"),
    (("train", "babilong", "--number", "4"), "--number has no '4'; give 1, 2 or 3"),
    (("train", "babilong", "--recipe", "dem"), "--recipe has no 'dem'; did you mean 'demo'?"),
    (("train", "babilong", "--vocabulary", "100"), "--vocabulary 100 is not a whole number between 257 and 1000000000"),
    (("train", "babilong", "--memory", "grru"), "no memory is called 'grru'; did you mean 'gru'?"),
    (("train", "babilong", "--memory", "GRU"), "did you mean 'gru'?"),
    (("train", "babilong", "--memory", "copy"), "no memory is called 'copy'; it is a task"),
    (("train", "babilong", "--memory", "xyzzy"), "mnesis list memories shows what there is"),
    (
        ("train", "babilong", "--options", "memory_token=3"),
        "armt has no option 'memory_token'; did you mean 'memory_tokens'?",
    ),
    (("train", "babilong", "--options", "dim=4"), "armt is given dim by --dim; leave dim=4 out of its options"),
    (("train", "babilong", "--memory", "gru", "--options", "hidden=NaN"), "hidden=nan is not a whole number"),
    (("train", "babilong", "--memory", "gru", "--options", "hidden=1e400"), "hidden=inf is not a whole number"),
    (("train", "babilong", "--memory", "mamba", "--options", "expansion=1.5"), "expansion=1.5 is not a whole number"),
    (("train", "babilong", "--memory", "mamba", "--options", "states=null"), "states=None is not a whole number"),
    (("train", "babilong", "--options", "segment"), "'segment' is not an option; write key=value"),
    (
        ("train", "babilong", "--held-out", "x.txt"),
        "--held-out x.txt names files of a folder, and the background is prose",
    ),
    (("train", "babilong", "--background", "nowhere"), "--background nowhere is no folder"),
    (("train", "babilong", "--background", ","), "--background is empty"),
    (("train", "babilong", "--stories", "nowhere.zip"), "--stories nowhere.zip is not there"),
    (("evaluate",), "RUN is missing"),
    (("evaluate", "reader", "--background", "prose,nowhere"), "--background nowhere is no folder"),
    (("evaluate", "readr"), "there is no folder readr and no reader of that name; did you mean 'reader'?"),
    (("evaluate", "reader", "--lengths", "0"), "a length of '0' is below 1"),
    (("evaluate", "reader", "--lengths", "1kk"), "'1kk' is not a length"),
    (("evaluate", "reader", "--lengths", "-5"), "'-5' is not a length"),
    (("evaluate", "reader", "--lengths", "9" * 40), "beyond the longest length"),
    (("evaluate", "reader", "--chunk", "0"), "--chunk 0 is not a whole number between 1 and 1000000000"),
    (("evaluate", "reader", "--streams", "0"), "--streams 0 is not a whole number between 1 and 1000000000"),
    (("evaluate", "reader", "--sequences", "9"), "reader is a reader of BABILong, and there is no such thing"),
    (("evaluate", "reader", "--lengths", "8x"), "8x counts in trained lengths"),
    (("evaluate", "reader", "--files", "zz"), "--files zz names files of a folder, and the background is prose"),
    (("demo", "--lengths", "1kk"), "'1kk' is not a length"),
    (("demo", "--reader-lengths", "0"), "a length of '0' is below 1"),
    (("compare",), "TASK is missing; give one or more"),
    (("compare", "--redraw", "copy"), "--redraw draws all that stands in runs/compare; leave copy out"),
    (("compare", "--redraw", "--folder", "nowhere"), "there is no folder nowhere; give the --folder of a comparison"),
    (("compare", "copy", "gru"), "no task is called 'gru'; it is a memory"),
    (("compare", "copy", "copy"), "name each once"),
    (("compare", "copy", "--memories", "gru,gruu"), "did you mean 'gru'?"),
    (("compare", "copy", "--options", "gru:zz=1"), "gru has no option 'zz'; mnesis show gru tells what it takes"),
    (("compare", "copy", "--options", "gru:hiden=1"), "gru has no option 'hiden'; did you mean 'hidden'?"),
    (("compare", "copy", "--options", "gru:hidden=1.5"), "gru: hidden=1.5 is not a whole number of at least 1"),
    (("compare", "copy", "--options", "gru:hidden=0"), "gru: hidden=0 is not a whole number of at least 1"),
    (("compare", "copy", "--options", "grru:hidden=1"), "did you mean gru:hidden?"),
    (("compare", "copy", "--options", "dim=3"), "write MEMORY:key=value"),
    (("compare", "copy", "--task-options", "symbol=3"), "copy has no option 'symbol'; did you mean 'symbols'?"),
    (("compare", "copy", "--length", "8-2"), "--length 8-2: 8 is above 2; write the shorter first, 2-8"),
    (("compare", "copy", "--length", "0"), "a length of '0' is below 1"),
    (("compare", "copy", "--length", "4-"), "--length 4- is no length"),
    (("compare", "copy", "--tests", "0x"), "a multiple of the trained length of '0' is below 1"),
    (("compare", "copy", "--tests", "x"), "is not a multiple of the trained length"),
    (("compare", "copy", "--convolution", "-2"), "--convolution -2 is not a whole number between 0 and 1000000000"),
    (("compare", "copy", "--budget", "tokens=-5"), "'-5' is not a budget"),
    (("compare", "copy", "--budget", "tokens=0"), "a budget of 0 tokens trains nothing; give more than 0"),
    (("compare", "copy", "--budget", "tokens"), "write tokens=2M or seconds=60"),
    (("compare", "copy", "--match", "parameters=x"), "'x' is not a size"),
    (("compare", "copy", "--rates", "0"), "--rates 0 is not a finite number above 0"),
    (("compare", "copy", "--rates", "inf"), "--rates inf is not a finite number above 0"),
    (("compare", "babilong"), "the catalog has no lengths for babilong"),
    (("claim", "armt-rewrit"), "did you mean 'armt-rewrite'?"),
    (("claim", "rmt-copy", "--threads", "0"), "--threads 0 is not a whole number"),
    (("claim", "rmt-copy", "--csv", "."), ". exists; give another --csv, or remove it"),
    (("claim", "json:JSONDecoder"), "no claim is called 'json:JSONDecoder'"),
    (("laws",), "give the names of memories, or --all"),
    (("laws", "gruu"), "did you mean 'gru'?"),
    (("laws", "gru", "--only", "cutz"), "no law is called 'cutz'; did you mean 'cuts'?"),
    (("bench", "--lengths", "0"), "--lengths 0 is not a whole number between 1 and 1000000000"),
    (("bench", "--only", "trainin"), "--only has no 'trainin'; did you mean 'training'?"),
    (("bench", "gru", "--options", "zz=1"), "gru has no option 'zz'"),
    (("bench", "gru", "--budget", "0"), "--budget 0 is not a finite number above 0"),
    (("bench-tasks", "kopy"), "did you mean 'copy'?"),
    (("bench-tasks", "copy", "--batch", "0"), "--batch 0 is not a whole number between 1 and 1000000000"),
    (("report",), "RUN is missing"),
    (("report", "a", "b", "--labels", "x"), "--labels x are 1 for 2 runs"),
    (("list", "gru"), "gru is a memory, and what is listed are memories, tasks, claims; mnesis show gru"),
    (("list", "memorys"), "did you mean memories?"),
    (("list", "memories", "xyzzy"), "none of the memories has 'xyzzy' in its name or summary"),
    (("list", "tasks", "--family", "retreival"), "did you mean 'retrieval'?"),
    (("show",), "WHAT is missing"),
    (("show", "grru"), "did you mean 'gru'?"),
    (("show", "."), ". is no run, network or file of tensors"),
    (("fetch",), "COLLECTION is missing"),
    (("pages", "docs"), "mnesis pages is no command any more; mnesis show NAME"),
)
"""What is refused before anything heavy is imported, and what the sentence says."""

_NUMBERS = (
    "0",
    "-1",
    "-3",
    "1.5",
    "nan",
    "-inf",
    "1e400",
    "",
    "x",
    "1k",
    "9" * 400,
    "½",
    "\u0661",
    "0x10",
    "[1]",
    "--",
)
_NAMES = (
    "",
    "GRUX",
    "gru ",
    "../gru",
    "gru:",
    ":",
    ":x",
    "a.py:",
    "nowhere.py:X",
    "no.such:X",
    "\udcff",
    "[/bold]",
    "é" * 300,
)
_LENGTHS = ("0", "-1", "1-", "-", "8-2", "x", "1kk", "1.0005k", "", ",", "9" * 40, "nan", "1e3")
_PAIRS = (
    "=",
    "x",
    "x=",
    "=1",
    "zz=1",
    "dim=4",
    "hidden=NaN",
    "hidden=1e400",
    "hidden=-1",
    "hidden=1" + "0" * 400,
    "hidden=[[[1]]]",
    "hidden={}",
    "hidden=true",
)
_BUDGETS = ("tokens", "tokens=", "tokens=-1", "x=1", "", "seconds=0", "=")
_WHOLE = {
    "train babilong": ("dim", "depth", "hidden", "threads", "seed", "vocabulary", "number"),
    "compare copy --memories gru": ("dim", "depth", "batch", "seeds", "sequences", "threads"),
    "evaluate reader": ("streams", "long-streams", "questions", "batch", "chunk", "seed", "threads"),
    "bench gru": ("dim", "heads", "batch", "lengths", "repeats", "threads"),
    "bench-tasks copy": ("batch", "length"),
    "demo": ("streams", "long-streams", "seed", "threads"),
    "claim rmt-copy": ("threads",),
}
"""Whole numbers by command; 0 is one that some of them take."""
_ZERO = ("seed",)


def inputs(seed: int) -> Iterator[Input]:
    """Those that are known, then endless ones, drawn."""
    for words, sentence in REFUSED:
        yield _input(" ".join(words), list(words), sentence)
    for number in itertools.count():
        words = drawn(random.Random(f"{seed} {number}"))
        yield _input(f"command line {number} of seed {seed}: {words}", words, "")


def drawn(source: random.Random) -> list[str]:
    """A command line that must be refused."""
    kind = source.randrange(7)
    if kind == 0:
        command = source.choice(list(_WHOLE))
        option = source.choice(_WHOLE[command])
        values = [value for value in _NUMBERS if value != "0" or option not in _ZERO]
        return [*command.split(), f"--{option}", source.choice(values)]
    if kind == 1:
        command = source.choice(
            (["train", "babilong", "--memory"], ["laws"], ["bench"], ["bench-tasks"], ["claim"], ["compare"])
        )
        return [*command, source.choice(_NAMES)]
    if kind == 2:
        command = source.choice(
            (["evaluate", "reader", "--lengths"], ["demo", "--lengths"], ["compare", "copy", "--length"])
        )
        return [*command, source.choice([value for value in _LENGTHS if value or command[0] != "compare"])]
    if kind == 3:
        pair = source.choice(_PAIRS)
        before = ["train", "babilong", "--memory", "gru", "--options"]
        return source.choice(([*before, pair], ["compare", "copy", "--memories", "gru", "--options", f"gru:{pair}"]))
    if kind == 4:
        command = source.choice(
            ("train babilong", "compare copy", "bench gru", "report x", "list memories", "show gru")
        )
        return [*command.split(), "--" + "".join(source.choices("abcxyz-", k=source.randint(3, 30)))]
    if kind == 5:
        return [
            "compare",
            "copy",
            "--budget",
            source.choice(("tokens", "tokens=", "tokens=-1", "x=1", "", "seconds=0", "=")),
        ]
    return ["".join(source.choices("abcdefgh-[]/=é", k=source.randint(1, 40)))]


def _input(label: str, words: list[str], sentence: str) -> Input:
    return Input(label, lambda folder: folder, partial(_refused, words, sentence))


def _refused(words: list[str], sentence: str, folder: Path) -> None:
    """Run it where it may write; it must say one sentence and leave nothing."""
    from mnesis.cli import main

    error = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(words)
        except SystemExit as end:
            code = end.code
    said = error.getvalue()
    left = sorted(path.name for path in folder.iterdir() if path.name != ".outcome")
    if code != 2 or left or said.count("\n") != 1 or not said.startswith("mnesis: ") or sentence not in said:
        raise WrongSuccess(f"exit {code}, left {left}, said {said!r}")
    raise ValueError(said.strip())
