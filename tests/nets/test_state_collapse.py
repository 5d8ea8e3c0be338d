"""Remedies for states that overflow: each against its equation, the laws, and the networks that they are for."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from mnesis import create_memory
from mnesis.core.laws import check, laws_for
from mnesis.memories.linear.linear_attention import LinearAttention
from mnesis.nets import LanguageModel, Stack
from mnesis.nets.state_collapse import REMEDIED, Clipped, Remedied, Scaled, Windowed, remedy_states

NAMES = ("linear-attention", "retention", "gla", "mamba2", "taylor-attention")
OPTIONS = {"mamba2": {"states": 3, "width": 4}}
DIM = 8


def memory(name: str, **options):
    torch.manual_seed(0)
    heads = {} if name == "mamba2" else {"heads": 2}
    return create_memory(name, dim=DIM, **heads, **OPTIONS.get(name, {}), **options)


def parts(time: int, channels: bool = False) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    decay = -draw(2, time, 3, *([4] if channels else [])).abs() / 4
    return [draw(2, time, 3, 4), draw(2, time, 3, 4), draw(2, time, 3, 5), decay, draw(2, 3, 4, 5)]


def naive(query, key, value, log_decay, matrix, *, forget=1.0, insert=1.0, norm=None):
    outputs = []
    for t in range(query.shape[1]):
        kept = forget * log_decay[:, t].exp().reshape(2, 3, -1, 1)
        matrix = kept * matrix + insert * key[:, t, :, :, None] * value[:, t, :, None, :]
        if norm is not None:
            size = matrix.square().sum((-2, -1), keepdim=True).sqrt()
            matrix = torch.where(size > norm, norm * matrix / size, matrix)
        outputs.append(torch.einsum("bhk,bhkv->bhv", query[:, t], matrix))
    return torch.stack(outputs, 1), matrix


@pytest.mark.parametrize("channels", [False, True], ids=["head", "channel"])
@pytest.mark.parametrize("form", ["naive", "chunk", "parallel"])
def test_scaled(form, channels) -> None:
    own = parts(40, channels)
    y, matrix, beside = Scaled(forget=0.9, insert=0.5).run(form, None, tuple(own), ())
    expected = naive(*own, forget=0.9, insert=0.5)
    torch.testing.assert_close(y, expected[0])
    torch.testing.assert_close(matrix, expected[1])
    assert beside == ()


def test_scaled_without_a_decay() -> None:
    query, key, value, decay, matrix = parts(20)
    y, _, _ = Scaled(forget=0.9).run("chunk", 7, (query, key, value, None, matrix), ())
    torch.testing.assert_close(y, naive(query, key, value, 0 * decay, matrix, forget=0.9)[0])


def test_clipped() -> None:
    own = parts(40)
    y, matrix, _ = Clipped(2.0).run("chunk", None, tuple(own), ())
    expected = naive(*own, norm=2.0)
    torch.testing.assert_close(y, expected[0])
    assert float(torch.linalg.matrix_norm(matrix).max()) <= 2.0 + 1e-12


@pytest.mark.parametrize("channels", [False, True], ids=["head", "channel"])
@pytest.mark.parametrize("form", ["naive", "chunk", "parallel"])
@pytest.mark.parametrize("window", [1, 7, 50])
def test_windowed_holds_the_last_units(form, window, channels) -> None:
    """As if every unit were read by a fresh state that begins a window before it."""
    query, key, value, decay, _ = parts(40, channels)
    fresh = torch.zeros(2, 3, 4, 5, dtype=torch.float64)
    past = [torch.zeros(2, window, 3, width, dtype=torch.float64) for width in (4, 5, 4 if channels else 1)]
    y, _, beside = Windowed(window).run(form, None, (query, key, value, decay, fresh), (fresh, *past))
    for t in range(40):
        here = slice(max(0, t + 1 - window), t + 1)
        expected = naive(query[:, here], key[:, here], value[:, here], decay[:, here], fresh)[0]
        torch.testing.assert_close(y[:, t], expected[:, -1])
    assert [part.shape[1] for part in beside[1:]] == [window] * 3


CASES = [
    pytest.param(name, remedy, marks=() if name == "gla" and isinstance(remedy, Scaled) else pytest.mark.slow)
    for name in NAMES
    for remedy in (Scaled(0.9, 0.5), Clipped(0.5), Windowed(5))
]


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(("name", "remedy"), CASES, ids=str)
def test_laws(name, remedy) -> None:
    """A remedied memory is a memory."""
    remedied = Remedied(memory(name), remedy)
    laws = [law for law in laws_for(remedied) if law != "compiles"]
    assert not [gap for gap in check(remedied, laws=laws, dtypes=[torch.float64]) if not gap.holds]


class Example(Remedied):
    """GLA with a window."""

    def __init__(self, dim: int = DIM) -> None:
        super().__init__(memory("gla"), Windowed(5))


def test_compiles() -> None:
    """In a process without the run-time type checks of the tests."""
    command = [
        sys.executable,
        "-m",
        "mnesis.cli",
        "laws",
        "tests.nets.test_state_collapse:Example",
        "--only",
        "compiles",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_weak_remedies_change_nothing(name) -> None:
    own, x = memory(name), torch.randn(2, 30, DIM, generator=torch.Generator().manual_seed(0))
    expected, _ = own(x)
    for remedy in (Scaled(), Clipped(1e9), Windowed(30)):
        torch.testing.assert_close(Remedied(copy.deepcopy(own), remedy)(x)[0], expected)


@pytest.mark.parametrize("name", NAMES)
def test_windows_forget_what_is_older(name) -> None:
    own = Remedied(memory(name, **({"convolution": None} if name == "gla" else {})), Windowed(6)).double()
    x = torch.randn(2, 40, DIM, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y, _ = own(x)
    reach = 6 + (3 if name == "mamba2" else 0)  # its convolution looks back as well
    late, _ = own(x[:, -reach:])
    torch.testing.assert_close(y[:, -1], late[:, -1])
    assert not torch.allclose(y[:, -1], own(x[:, -reach + 1 :])[0][:, -1])


def test_networks() -> None:
    """A network that has been read goes on with another state, and its weights are those of before."""
    torch.manual_seed(0)
    model = LanguageModel(11, dim=DIM, memory="gla", depth=2, options={"heads": 2})
    tokens = torch.randint(11, (2, 30))
    _, before = model(tokens)
    model(tokens, before)
    weights = [parameter.data_ptr() for parameter in model.parameters()]
    names = remedy_states(model, Windowed(10))
    assert names == ["reader.body.blocks.0.memory", "reader.body.blocks.1.memory"]
    assert [parameter.data_ptr() for parameter in model.parameters()] == weights
    y, state = model(tokens)
    model(tokens, state)
    with pytest.raises(ValueError, match="state of another memory"):
        model(tokens, before)
    late, _ = model(tokens[:, 1:])
    torch.testing.assert_close(y[:, 25:], late[:, 24:])  # two layers see no further back than 19 units


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"forget=1.1.*0 < forget <= 1"):
        Scaled(forget=1.1)
    with pytest.raises(ValueError, match="insert=0"):
        Scaled(insert=0.0)
    with pytest.raises(ValueError, match="norm=0"):
        Clipped(0.0)
    with pytest.raises(ValueError, match="window=0"):
        Windowed(0)
    with pytest.raises(ValueError, match="no remedy for GRU, only for LinearAttention"):
        Remedied(create_memory("gru", dim=8), Scaled())
    with pytest.raises(ValueError, match="nothing inside Stack can be remedied"):
        remedy_states(Stack(8, memory="gru", depth=1), Clipped(1.0))
    assert LinearAttention in REMEDIED
