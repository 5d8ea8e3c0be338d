"""Each check of a capability notices a memory that breaks it, and lets the plain one pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mnesis.core.capabilities import CAPABILITIES, OF_TRANSFORMS, check, shortcoming
from mnesis.core.catalog import list_memories
from mnesis.core.laws.examining import Broken

from .broken import Leaky

pytestmark = pytest.mark.usefixtures("without_type_checks")


class OldStyle(torch.autograd.Function):
    """Knows nothing of transforms."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, *gradients):
        return gradients[0]


class Tripled(torch.autograd.Function):
    """x^2 with the right gradient, a wrong one in forward mode, and a wrong second one."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.square()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, *gradients):
        return gradients[0] * 2 * ctx.saved_tensors[0].detach()

    @staticmethod
    def jvp(ctx, *turns):
        return turns[0] * 3 * ctx.saved_tensors[0]


class HidesAFunction(Leaky):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.hidden = lambda: None


class MakesConstantsWhereItIsBuilt(Leaky):
    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.ones = torch.ones(dim)

    def scan(self, x, state, phase=0):
        y, state = super().scan(x, state, phase)
        return y * self.ones.to(x), state


class LooksAtValues(Leaky):
    def scan(self, x, state, phase=0):
        return super().scan(x if float(state.h.detach().sum()) < 1e9 else -x, state, phase)


class TakesViews(Leaky):
    def scan(self, x, state, phase=0):
        return super().scan(x, type(state)(state.h.view(-1).view_as(state.h)), phase)


class LosesDigitsUnderAutocast(Leaky):
    def scan(self, x, state, phase=0):
        y, state = super().scan(x, state, phase)
        return y.round() if torch.is_autocast_enabled("cpu") else y, state


class UsesOldStyle(Leaky):
    def scan(self, x, state, phase=0):
        y, state = super().scan(x, state, phase)
        return OldStyle.apply(y), state


class UsesTripled(Leaky):
    def scan(self, x, state, phase=0):
        y, state = super().scan(x, state, phase)
        return Tripled.apply(y), state


BREAKS = {
    "compile": LooksAtValues,
    "export": LooksAtValues,
    "func.grad": UsesOldStyle,
    "vmap": LooksAtValues,
    "jvp": UsesTripled,
    "double backward": UsesTripled,
    "meta": MakesConstantsWhereItIsBuilt,
    "autocast": LosesDigitsUnderAutocast,
    "pickle": HidesAFunction,
    "strides": TakesViews,
}


@pytest.mark.parametrize("capability", OF_TRANSFORMS)
def test_the_plain_memory_can(capability) -> None:
    if capability != "compile":  # the compiler cannot see through the run-time type checks of the tests
        check(Leaky(6), capability)


@pytest.mark.parametrize("capability", OF_TRANSFORMS)
def test_what_is_broken_is_noticed(capability) -> None:
    with pytest.raises((Broken, RuntimeError, AssertionError, NotImplementedError, AttributeError, TypeError)):
        check(BREAKS[capability](6), capability)


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(ValueError, match="no capability is called 'flying'; choose one of compile, export"):
        check(Leaky(6), "flying")


def test_the_guide_says_yes_of_all_that_is_tested() -> None:
    """Every memory is examined in tests/memories/test_transforms.py and test_capabilities_of_modules.py."""
    guide = Path(__file__).resolve().parents[2] / "docs" / "guides" / "pytorch.md"
    text = guide.read_text(encoding="utf-8")
    table = text.partition("<!-- generated: mnesis capabilities --all --markdown -->\n")[2].partition("<!-- end -->")[0]
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines())
    assert header == ["memory", *CAPABILITIES]
    assert [row[0].strip("`") for row in rows] == [card.name for card in list_memories()]
    assert {cell for row in rows for cell in row[1:]} == {"yes"}


def test_a_shortcoming_is_told_in_one_line() -> None:
    assert shortcoming(Leaky(6), "pickle") == ""
    told = shortcoming(HidesAFunction(6), "pickle")
    assert "\n" not in told
    assert "pickle" in told
