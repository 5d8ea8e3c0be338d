"""How fast memories train and stream, and what they hold on to while they do, beside torch's LSTM and attention.

Times are CPU seconds of the process (a shared machine disturbs them least) where the memory lives on the CPU, wall
seconds after synchronising on an accelerator; medians after one call that warms up. The number of threads is the
caller's (``torch.set_num_threads``).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psutil
import torch
from torch import Tensor

from ...core.machine import fast_products
from ...core.made_by import made_by
from ...core.memory import Memory
from ...core.state import nbytes
from ..lengths import format_length
from ..progress import Bar
from ..resident import give_back, own_bytes
from .baselines import CausalAttention, TorchLSTM

BASELINE = "torch.nn.LSTM"
ATTENTION = "causal attention"
HOST = "its host without memory"
CHUNK = 512
FORETELLING = 256
"""Units of the shorter of two passes that foretell how much memory a longer one takes."""
QUANTITIES = ("training", "streaming", "stepping", "memory growth", "ragged")
BY_STEPS = ("stepping", "memory growth by steps")
"""Of single units: products of one row are slower through oneDNN, and are left as they are."""
LONG = ("training", "training memory", "memory growth", "memory growth by steps")
"""Quantities that tell whether cost and memory stay in proportion to the length."""
EXPONENT = "exponent"
BESIDE = "training beside a peer"
Row = dict[str, Any]
Peers = Mapping[str, tuple[str, Callable[[Memory], Memory]]]
"""By the name of a memory, another implementation of it: its label, and what builds it at the memory's sizes."""


def bench(
    memories: Mapping[str, Callable[[], Memory]],
    *,
    dim: int = 256,
    batch: int = 4,
    lengths: Sequence[int] = (512, 2048, 8192),
    repeats: int = 5,
    budget: float | int = 20.0,
    quick: bool = False,
    long: bool = False,
    only: Sequence[str] = (),
    peers: Peers | None = None,
    progress: bool = True,
    keep: Callable[[list[Row]], None] | None = None,
) -> list[Row]:
    """Measure memories that read vectors of width ``dim``, and both baselines first in the same run.

    Each row is ``{memory, form, made_by, quantity, length, value, unit, baseline, ratio}``; ``ratio`` is value / the
    value of ``baseline`` at the same quantity and length. The quantities:

    - ``training``: units/s of forward and backward, gradients of parameters and input, ``batch`` rows of ``length``.
    - ``exponent``: of the time that this takes, as a power of the length, between the first and the last of several
      lengths that were measured: 1 is linear.
    - ``streaming``: units/s of one row read in chunks of 512 (``length`` = 512), without gradients.
    - ``streaming over host``: of a memory around a host, the same beside the host alone, segment by segment.
    - ``stepping``: units/s of one row read unit by unit (``length`` = 1).
    - ``memory growth``: bytes of memory of its own that the process gains between 8k and 256k units of one row (32k
      where the memory grows with the stream); ``length`` is where it ended: less where the budget was spent.
    - ``state growth``: bytes of one row's state, at the same two places.
    - ``ragged``: 64 rows of 256 units with a reset every 32 units on average, forward only: seconds; the baseline is
      the same without resets.
    - ``training beside a peer``: units/s of forward and backward, the baseline being the peer, in turns with it.

    With ``long``, in place of these but the first: ``training memory``, the bytes for each unit by which a forward and
    backward pass raises the process's peak (Linux only), ``memory growth`` to 1,048,576 units, and ``memory growth by
    steps`` from 8k to 64k units read one by one.

    Args:
        memories: by name, functions that build one.
        dim: width of the inputs.
        batch: rows of the training figures.
        lengths: units of the training figures.
        repeats: of each timing.
        budget: seconds that a row may take; timing stops at the first repeat beyond it, and a training length of which
            the last one foretells more than four budgets, or more memory than is free, is given without a value.
        quick: shortest length, one repeat, 2k to 8k units of growth and 8 ragged rows: a check that all of it runs.
        long: how cost and memory follow the length.
        only: some of these quantities, rather than all; the exponent comes with training, the state's growth with the
            memory's.
        peers: other implementations of some of the memories.
        progress: a bar on standard error.
        keep: called with the rows so far after each memory, so that a run that breaks off leaves what it measured.

    Raises:
        ValueError: a memory of another width, or a quantity that is not measured.
    """
    quantities = LONG if long else QUANTITIES
    if unknown := sorted(set(only) - set(quantities)):
        raise ValueError(
            f"no quantity is called {unknown[0]!r} {'with' if long else 'without'} long; choose among "
            + ", ".join(quantities)
        )
    quantities = tuple(each for each in quantities if each in (only or quantities))
    builders = {BASELINE: lambda: TorchLSTM(dim), ATTENTION: lambda: CausalAttention(dim), **memories}
    chosen = tuple(lengths[:1] if quick else lengths)
    bench_ = _Bench(dim, batch, chosen, 1 if quick else repeats, budget, quick, 1_048_576 if long else 262_144)
    rows: list[Row] = []
    with Bar(len(builders) * len(quantities) + len(peers or {}), progress) as bar:
        for name, build in builders.items():
            torch.manual_seed(0)
            memory = build()
            if memory.dim not in (None, dim):
                raise ValueError(f"{name} reads vectors of width {memory.dim}, not {dim}; build it with dim={dim}")
            form = str(memory.config.get("form", "")) if name in memories else ""
            about = {"memory": name, "form": form, "made_by": made_by(memory)["memories"]}
            for quantity in quantities:
                bar.describe(f"{name}: {quantity}")
                with nullcontext() if quantity in BY_STEPS else fast_products(dim):
                    rows += [{**about, **row} for row in bench_.measure(memory, quantity)]
                bar.advance(1)
            if peers and name in peers:
                label, build_peer = peers[name]
                bar.describe(f"{name}: beside {label}")
                found = bench_.beside(memory, label, build_peer(memory))
                rows += [{**about, **row} for row in found]
                bar.advance(1)
            if keep is not None:
                keep(_compared(rows))
    return _compared(rows)


def markdown_table(rows: Sequence[Row]) -> str:
    """A line for each memory and a column for each quantity: rates with their share of the LSTM's, ``ragged`` and
    ``streaming over host`` as shares alone, growth in bytes (and how far it was read, if not as far as the LSTM's)."""
    rows = [row for row in rows if row["quantity"] != BESIDE]
    columns = list(dict.fromkeys(_column(row) for row in rows))
    reached = {_column(row): row["length"] for row in reversed(rows)}
    lines = [["memory", *columns], ["---", *("---:" for _ in columns)]]
    for name in dict.fromkeys(row["memory"] for row in rows):
        cells = {_column(row): _cell(row, reached[_column(row)]) for row in rows if row["memory"] == name}
        lines.append([name, *(cells.get(column, "") for column in columns)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def peer_table(rows: Sequence[Row]) -> str:
    """A line for each memory that has a peer: at each length our rate, the peer's, and ours as a multiple of it.

    Empty where none has one."""
    rows = [row for row in rows if row["quantity"] == BESIDE]
    if not rows:
        return ""
    lengths = list(dict.fromkeys(row["length"] for row in rows))
    lines = [["memory", "peer", *map(format_length, lengths)], ["---", "---", *("---:" for _ in lengths)]]
    for name, peer in dict.fromkeys((row["memory"], row["baseline"]) for row in rows):
        cells = {row["length"]: _beside(row) for row in rows if row["memory"] == name}
        lines.append([name, peer, *(cells.get(length, "") for length in lengths)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _beside(row: Row) -> str:
    if row["ratio"] is None:
        return "over budget"
    return f"{_digits(row['value'])}/s : {_digits(row['value'] / row['ratio'])}/s = **{row['ratio']:.2f}**"


def _column(row: Row) -> str:
    return (
        f"{row['quantity']} {format_length(row['length'])}"
        if row["quantity"].startswith("training")
        else (row["quantity"])
    )


def _cell(row: Row, reached: int) -> str:
    if row["value"] is None:
        return "over budget"
    if row["unit"] == "bytes/unit":
        return f"{_digits(row['value'])}B"
    length = "" if row["length"] == reached else f" to {format_length(row['length'])}"
    if row["quantity"] == EXPONENT:
        return f"{row['value']:.2f}{length}"
    if row["unit"] == "bytes":
        return f"{_digits(row['value'])}B{length}"
    if row["ratio"] is None:  # what it is compared with was over budget
        return f"{_digits(row['value'])}/s"
    if row["baseline"] != BASELINE:
        return f"{row['ratio']:.2f}"
    return f"{_digits(row['value'])}/s {row['ratio']:.2f}"


class _Bench:
    """The settings of one run, and how each quantity is measured."""

    def __init__(
        self, dim: int, batch: int, lengths: tuple[int, ...], repeats: int, budget: float | int, quick: bool, end: int
    ) -> None:
        self.dim, self.batch, self.lengths, self.repeats = dim, batch, lengths, repeats
        self.budget, self.quick, self.end = budget, quick, end
        self.peaks: WeakKeyDictionary[Memory, tuple[int | None, int | None]] = WeakKeyDictionary()
        """Bytes of passes over ``FORETELLING`` units and twice as many; None where they cannot be told."""

    def measure(self, memory: Memory, quantity: str) -> list[Row]:
        if quantity == "training":
            return self._training(memory)
        if quantity == "training memory":
            return self._training_memory(memory)
        memory.eval()
        with torch.no_grad():
            return {
                "streaming": self._streaming,
                "stepping": self._stepping,
                "memory growth": self._growth,
                "memory growth by steps": self._growth_by_steps,
                "ragged": self._ragged,
            }[quantity](memory)

    def _training(self, memory: Memory) -> list[Row]:
        memory.train()
        rows, foretold = [], 0.0
        for index, length in enumerate(self.lengths):
            if index:
                foretold *= length / self.lengths[index - 1]
            if foretold > 4 * self.budget or not self._fits(memory, length):
                rows.append(_row("training", length, None, "units/s"))
                continue
            foretold = self._seconds(memory, self._update(memory, length))
            rows.append(_row("training", length, self.batch * length / foretold, "units/s"))
            memory.zero_grad(set_to_none=True)
        measured = [row for row in rows if row["value"] is not None]
        if len(measured) > 1:
            first, last = measured[0], measured[-1]
            longer = last["length"] / first["length"]
            exponent = math.log(longer * first["value"] / last["value"], longer)
            rows.append(_row(EXPONENT, last["length"], exponent, ""))
        return rows

    def _fits(self, memory: Memory, length: int) -> bool:
        """Whether a pass over so many units will find the memory it needs, told from how that of two short ones grows.

        Short ones are taken to; where it cannot be told, all are.
        """
        if length <= 2 * FORETELLING:
            return True
        if memory not in self.peaks:  # once for all quantities
            self._update(memory, FORETELLING)()  # gradients, and what libraries keep for good
            few, more = (peak_bytes(self._update(memory, times * FORETELLING)) for times in (1, 2))
            self.peaks[memory] = few, more
        few, more = self.peaks[memory]
        if few is None or more is None:
            return True
        needed = more + max(more - few, 0) * (length / FORETELLING - 2)
        return needed < 0.8 * psutil.virtual_memory().available

    def _update(self, memory: Memory, length: int) -> Callable[[], None]:
        """One forward and backward pass."""
        x = self._input(memory, self.batch, length).requires_grad_()

        def once() -> None:
            memory.zero_grad(set_to_none=True)
            x.grad = None
            y, _ = memory(x)
            y.float().square().mean().backward()

        return once

    def beside(self, memory: Memory, label: str, peer: Memory) -> list[Row]:
        """Training of both in turns, so that what disturbs the machine disturbs them alike."""
        rows, foretold = [], 0.0
        memory.train()
        peer.train()
        for index, length in enumerate(self.lengths):
            row = _row(BESIDE, length, None, "units/s") | {"baseline": label}
            rows.append(row)
            if index:
                foretold *= length / self.lengths[index - 1]
            if foretold > 4 * self.budget or not all(self._fits(each, length) for each in (memory, peer)):
                continue
            ours, theirs = self._update(memory, length), self._update(peer, length)
            clock, times = _clock(memory), ([], [])
            while len(times[0]) <= self.repeats and (sum(map(sum, times)) < 2 * self.budget or not times[0]):
                for once, taken in zip((ours, theirs), times, strict=True):
                    began = clock()
                    once()
                    taken.append(clock() - began)
            own, foretold = (max(statistics.median(taken[1:] or taken), 1e-9) for taken in times)
            row |= {"value": self.batch * length / own, "ratio": foretold / own}
            for each in (memory, peer):
                each.zero_grad(set_to_none=True)
        return rows

    def _training_memory(self, memory: Memory) -> list[Row]:
        memory.train()
        rows: list[Row] = []
        self._update(memory, min(self.lengths))()  # gradients, and what libraries keep for good
        for length in self.lengths:
            if not self._fits(memory, length):
                rows.append(_row("training memory", length, None, "bytes/unit"))
                continue
            peak = peak_bytes(self._update(memory, length))
            value = None if peak is None else peak / (self.batch * length)
            rows.append(_row("training memory", length, value, "bytes/unit"))
        memory.zero_grad(set_to_none=True)
        return rows

    def _streaming(self, memory: Memory) -> list[Row]:
        x, chunks = self._input(memory, 1, CHUNK), 2 if self.quick else 8

        def once() -> None:
            state = None
            for _ in range(chunks):
                _, state = memory(x, state)

        rate = chunks * CHUNK / self._seconds(memory, once)
        rows = [_row("streaming", CHUNK, rate, "units/s")]
        if (host := getattr(memory, "host", None)) is not None and memory.period:
            segments = x.split(memory.period, 1)

            def alone() -> None:
                for _ in range(chunks):
                    for h in segments:
                        for layer in host.layers:
                            h, _ = layer(h)
                        host.norm(h)

            without = chunks * CHUNK / self._seconds(memory, alone)
            rows.append(
                _row("streaming over host", CHUNK, rate, "units/s") | {"baseline": HOST, "ratio": rate / without}
            )
        return rows

    def _stepping(self, memory: Memory) -> list[Row]:
        count = 16 if self.quick else 128
        units = self._input(memory, 1, count).unbind(1)

        def once() -> None:
            _, state = memory(units[0][:, None])
            for unit in units[1:]:
                _, state = memory.step(unit, state)

        return [_row("stepping", 1, count / self._seconds(memory, once), "units/s")]

    def _growth(self, memory: Memory) -> list[Row]:
        begin, end = (2_048, 8_192) if self.quick else (8_192, self.end if memory.bounded else 32_768)
        x = self._input(memory, 1, CHUNK)
        length, gained, state = self._grown(lambda state: memory(x, state)[1], CHUNK, begin, end)
        return [_row("memory growth", length, gained, "bytes"), _row("state growth", length, state, "bytes")]

    def _growth_by_steps(self, memory: Memory) -> list[Row]:
        begin, end = (128, 512) if self.quick else (8_192, 65_536 if memory.bounded else 16_384)
        unit = self._input(memory, 1, 1)
        fresh = memory(unit)[1]
        read = lambda state: memory.step(unit[:, 0], fresh if state is None else state)[1]  # noqa: E731
        length, gained, _ = self._grown(read, 1, begin, end)
        return [_row("memory growth by steps", length, gained, "bytes")]

    def _grown(self, read: Callable[[Any], Any], units: int, begin: int, end: int) -> tuple[int, int, int]:
        """Units read, and the bytes that process and state gained since ``begin`` of them."""
        state, began, length, resident, held = None, time.monotonic(), 0, 0, 0
        while length < end and (length <= begin or time.monotonic() - began < self.budget):
            state = read(state)
            length += units
            if length == begin:
                give_back()
                resident, held = own_bytes(), nbytes(state)
        give_back()
        return length, own_bytes() - resident, nbytes(state) - held

    def _ragged(self, memory: Memory) -> list[Row]:
        rows, length = 8 if self.quick else 64, 256
        x = self._input(memory, rows, length)
        generator = torch.Generator().manual_seed(0)
        reset = (torch.rand(rows, length, generator=generator) < 1 / 32).to(x.device)
        plain = self._seconds(memory, lambda: memory(x))
        ragged = self._seconds(memory, lambda: memory(x, reset=reset))
        return [_row("ragged", length, ragged, "s") | {"baseline": "no resets", "ratio": ragged / plain}]

    def _input(self, memory: Memory, rows: int, length: int) -> Tensor:
        like = next(memory.parameters(), torch.empty(0))
        x = torch.randn(rows, length, self.dim, generator=torch.Generator().manual_seed(0))
        return x.to(like.device, like.dtype)

    def _seconds(self, memory: Memory, once: Callable[[], Any]) -> float:
        """Median of the repeats after one call that warms up; that call itself where it alone spends the budget."""
        clock = _clock(memory)
        times, spent = [], 0.0
        while len(times) <= self.repeats and (spent < self.budget or not times):
            began = clock()
            once()
            times.append(clock() - began)
            spent += times[-1]
        return max(statistics.median(times[1:] or times), 1e-9)


def peak_bytes(once: Callable[[], Any]) -> int | None:
    """How far a call raises the most memory that the process has held (Linux); None where it cannot be told."""
    process, reset = psutil.Process(), Path("/proc/self/clear_refs")
    give_back()
    try:
        reset.write_text("5")  # the peak begins anew from here
    except OSError:
        return None
    before = process.memory_info().rss
    once()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return max(int(peak.split()[1]) * 1024 - before, 0)


def _clock(memory: Memory) -> Callable[[], float]:
    device = next((p.device for p in memory.parameters()), torch.device("cpu"))
    if device.type == "cpu":
        return time.process_time

    def synchronized() -> float:
        torch.accelerator.synchronize()
        return time.perf_counter()

    return synchronized


def _row(quantity: str, length: int, value: float | int | None, unit: str) -> Row:
    return {"quantity": quantity, "length": length, "value": value, "unit": unit, "baseline": "", "ratio": None}


def _compared(rows: list[Row]) -> list[Row]:
    """The rates beside the LSTM's at the same quantity and length."""
    of = {(row["quantity"], row["length"]): row["value"] for row in rows if row["memory"] == BASELINE}
    for row in rows:
        reference = of.get((row["quantity"], row["length"]))
        if row["unit"] == "units/s" and reference and row["value"]:
            row |= {"baseline": BASELINE, "ratio": row["value"] / reference}
    return rows


def _digits(value: float | int) -> str:
    """Three digits and a prefix."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g} "
