from types import SimpleNamespace

import pytest
import torch

from mnesis.core.catalog import create_memory
from mnesis.measure.bench.baselines import CausalAttention, TorchLSTM
from mnesis.measure.bench.speed import ATTENTION, BASELINE, BESIDE, LONG, bench, markdown_table, peak_bytes, peer_table


@pytest.fixture(scope="module")
def rows():
    build = lambda: create_memory("gru", dim=8)  # noqa: E731
    return bench({"gru": build}, dim=8, batch=2, lengths=(16, 32), quick=True, progress=False)


def test_every_memory_has_every_quantity(rows):
    quantities = ["training", "streaming", "stepping", "memory growth", "state growth", "ragged"]
    for name in (BASELINE, ATTENTION, "gru"):
        mine = [row for row in rows if row["memory"] == name]
        assert [row["quantity"] for row in mine] == quantities
        assert [row["length"] for row in mine] == [16, 512, 1, 8192, 8192, 256]
        assert list(mine[0]) == [
            "memory",
            "form",
            "made_by",
            "quantity",
            "length",
            "value",
            "unit",
            "baseline",
            "ratio",
        ]


def test_ratios_are_to_the_baseline(rows):
    by_name = {(row["memory"], row["quantity"]): row for row in rows}
    for quantity in ("training", "streaming", "stepping"):
        row = by_name["gru", quantity]
        assert row["baseline"] == BASELINE
        assert row["ratio"] == pytest.approx(row["value"] / by_name[BASELINE, quantity]["value"])
        assert by_name[BASELINE, quantity]["ratio"] == 1
    assert by_name["gru", "ragged"]["baseline"] == "no resets"
    assert by_name["gru", "memory growth"]["ratio"] is None


def test_state_growth_tells_bounded_from_growing(rows):
    growth = {row["memory"]: row["value"] for row in rows if row["quantity"] == "state growth"}
    assert growth == {BASELINE: 0, ATTENTION: (8192 - 2048) * 2 * 8 * 4, "gru": 0}


def test_markdown(rows):
    slow = rows[-6] | {"memory": "slow", "value": None, "ratio": None}
    alone = rows[-6] | {"memory": "alone", "baseline": "", "ratio": None}
    header, _, *lines = markdown_table([*rows, slow, alone]).splitlines()
    names = ["training 16", "streaming", "stepping", "memory growth", "state growth", "ragged"]
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["memory", *names]
    assert [line.split("|")[1].strip() for line in lines] == [BASELINE, ATTENTION, "gru", "slow", "alone"]
    assert all(line.count("|") == 8 for line in lines)
    assert lines[0].split("|")[3].strip().endswith("/s 1.00")
    assert lines[1].split("|")[6].strip() == "393 kB"
    assert "over budget" in lines[-2]
    assert lines[-1].split("|")[2].strip().endswith("/s")


def test_what_would_take_too_long_has_no_value():
    rows = bench({}, dim=8, batch=1, lengths=(8, 10**9), repeats=1, budget=1e-4, progress=False)
    training = [row["value"] for row in rows if row["quantity"] == "training"]
    assert training[0] > 0
    assert training[1] is None
    assert not [row for row in rows if row["quantity"] == "exponent"], "of one length nothing is known"


def test_what_would_take_too_much_memory_has_no_value(monkeypatch) -> None:
    """A megabyte and a kilobyte for each unit are 3 MB for 2,048 units, and 5 MB for 4,096."""
    measured = [1_256_000, 1_512_000] * 2  # of each baseline once
    monkeypatch.setattr("mnesis.measure.bench.speed.peak_bytes", lambda once: measured.pop(0))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=5_000_000))
    lengths = (512, 2048, 4096)
    rows = bench({}, dim=8, batch=1, lengths=lengths, repeats=1, budget=1e6, only=["training"], progress=False)
    for name in (BASELINE, ATTENTION):
        *fit, long = [row["value"] for row in rows if row["memory"] == name and row["quantity"] == "training"]
        assert all(value > 0 for value in fit)
        assert long is None
    assert not measured


def test_the_exponent_is_that_of_the_time() -> None:
    rows = bench({}, dim=8, batch=1, lengths=(16, 64, 256), repeats=1, only=["training"], progress=False)
    for name in (BASELINE, ATTENTION):
        *training, exponent = [row for row in rows if row["memory"] == name]
        assert [(row["quantity"], row["length"]) for row in training] == [("training", T) for T in (16, 64, 256)]
        took = {row["length"]: row["length"] / row["value"] for row in training}
        assert (exponent["quantity"], exponent["length"]) == ("exponent", 256)
        assert took[256] / took[16] == pytest.approx(16 ** exponent["value"])
    short = rows[-1] | {"memory": "short", "length": 64, "value": 1.5}
    header, _, *_, line = markdown_table([*rows, short]).splitlines()
    assert header.endswith(" exponent |")
    assert line == "| short |  |  |  | 1.50 to 64 |"


def test_an_unknown_quantity_is_told() -> None:
    with pytest.raises(ValueError, match=r"no quantity is called 'ragged' with long; choose among training, .*steps"):
        bench({}, long=True, only=["ragged"])


def test_another_width_is_refused():
    with pytest.raises(ValueError, match="build it with dim=8"):
        bench(
            {"gru": lambda: create_memory("gru", dim=4)}, dim=8, quick=True, budget=1e-3, lengths=(4,), progress=False
        )


@pytest.mark.parametrize("build", [TorchLSTM, CausalAttention])
def test_baselines_keep_the_contract(build):
    torch.manual_seed(0)
    memory, x = build(128).double(), torch.randn(3, 40, 128, dtype=torch.double)
    y, _ = memory(x)
    first, state = memory(x[:, :7])
    stepped, state = memory.step(x[:, 7], state)
    rest, _ = memory(x[:, 8:], state)
    assert torch.allclose(torch.cat([first, stepped[:, None], rest], 1), y, atol=1e-12)
    length = torch.tensor([3, 40, 17])
    _, state = memory(x, length=length)
    more, _ = memory(x[:, :9], state)
    for row, count in enumerate(length):
        alone, _ = memory(torch.cat([x[row : row + 1, :count], x[row : row + 1, :9]], 1))
        assert torch.allclose(more[row], alone[0, -9:], atol=1e-12)


@pytest.mark.slow
def test_a_peer_is_trained_in_turns() -> None:
    built = []

    def peer(memory):
        built.append(memory)
        return TorchLSTM(memory.dim)

    build = lambda: create_memory("gru", dim=8)  # noqa: E731
    rows = bench({"gru": build}, dim=8, lengths=(16,), quick=True, peers={"gru": ("a: b", peer)}, progress=False)
    (row,) = [row for row in rows if row["quantity"] == BESIDE]
    assert built[0].dim == 8
    assert (row["memory"], row["length"], row["baseline"]) == ("gru", 16, "a: b")
    assert row["value"] > 0
    assert row["ratio"] > 0
    slow = row | {"memory": "slow", "value": None, "ratio": None}
    _, _, line, other = peer_table([*rows, slow]).splitlines()
    assert line.startswith("| gru | a: b | ")
    assert f"**{row['ratio']:.2f}**" in line
    assert "over budget" in other
    assert BESIDE not in markdown_table(rows)


@pytest.mark.slow
def test_cost_and_memory_follow_the_length() -> None:
    rows = bench({}, dim=8, batch=1, lengths=(16,), quick=True, long=True, progress=False)
    mine = [row for row in rows if row["memory"] == BASELINE]
    assert [row["quantity"] for row in mine] == [*LONG[:3], "state growth", LONG[3]]
    assert [row["length"] for row in mine] == [16, 16, 8192, 8192, 512]
    assert len(markdown_table(rows).splitlines()) == 4


@pytest.mark.skipif(peak_bytes(lambda: None) is None, reason="the peak of a process can be told on Linux alone")
def test_the_peak_is_what_a_call_adds() -> None:
    size, part, held = 200 * 2**20, 16 * 2**20, []
    # Memory that the allocator keeps: many blocks given back, behind which one stays.
    torch.ones(31 * 2**18)  # from here on blocks of less are kept
    parts = [torch.ones(part // 4) for _ in range(2 * size // part)]
    last = torch.ones(2**20)
    parts.clear()
    peak = peak_bytes(lambda: held.append(torch.ones(size // 4)))
    assert 0.95 * size < peak < 1.3 * size
    assert peak_bytes(lambda: None) < 0.05 * size
    assert last.all()
