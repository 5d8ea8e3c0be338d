"""State spaces: forms agree with the step, gradients included, for diagonals and for matrices."""

from __future__ import annotations

import pytest
import torch

from mnesis.ops.recurrence import FORMS
from mnesis.ops.state_space import LinearSystem, long_convolution, state_space


def parts(kind: str, time: int, dtype=torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=dtype)  # noqa: E731
    if kind == "diagonal":
        a = torch.polar(draw(3, 4).sigmoid(), draw(3, 4))
        b, c = (torch.complex(draw(*shape), draw(*shape)) for shape in ((3, 4), (3, 2, 4)))
        h = torch.complex(draw(2, 3, 4), draw(2, 3, 4))
    else:
        a, b, c, h = 0.3 * draw(3, 4, 4), draw(3, 4), draw(3, 2, 4), draw(2, 3, 4)
    return [part.requires_grad_() for part in (a, b, c, draw(2, time, 3), h)]


def apart(expected, found) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(expected, found, strict=True))


def run(form: str, leaves: list[torch.Tensor], chunk: int | None = 7) -> tuple[torch.Tensor, ...]:
    a, b, c, u, h = leaves
    return state_space(LinearSystem(a, b, c))(form, u, h, chunk=chunk)


@pytest.mark.parametrize("kind", ["diagonal", "matrix"])
@pytest.mark.parametrize("form", [form for form in FORMS if form != "naive"])
@pytest.mark.parametrize("time", [1, 2, 63, 100])
def test_forms_agree(kind, form, time) -> None:
    leaves = parts(kind, time)
    found, expected = run(form, leaves), run("naive", leaves)
    assert apart(expected, found) < 1e-11
    of = lambda results: torch.autograd.grad(sum(y.abs().square().sum() for y in results), leaves)  # noqa: E731
    assert apart(of(expected), of(found)) < 1e-10


@pytest.mark.parametrize("kind", ["diagonal", "matrix"])
def test_two_halves_are_the_whole(kind) -> None:
    a, b, c, u, h = parts(kind, 40)
    y, last = run("chunk", [a, b, c, u, h])
    first, between = run("chunk", [a, b, c, u[:, :17], h])
    second, end = run("parallel", [a, b, c, u[:, 17:], between])
    assert apart((y, last), (torch.cat([first, second], 1), end)) < 1e-11


def test_a_low_dtype_is_computed_in_that_of_the_state() -> None:
    a, b, c, u, h = (part.detach() for part in parts("diagonal", 20))
    leaves = [a.to(torch.complex64), b.to(torch.complex64), c.to(torch.complex64), u.bfloat16(), h.to(torch.complex64)]
    for form in FORMS:
        y, last = run(form, leaves)
        assert y.dtype == torch.float32
        assert last.dtype == torch.complex64


@pytest.mark.parametrize("length", [1, 5, 12, 30])
def test_the_long_convolution_is_the_sum(length) -> None:
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(2, 12, 3, generator=generator, dtype=torch.float64)
    kernel = torch.randn(length, 3, generator=generator, dtype=torch.float64)
    expected = torch.stack([sum(kernel[j] * u[:, t - j] for j in range(min(t + 1, length))) for t in range(12)], 1)
    assert apart((expected,), (long_convolution(u, kernel),)) < 1e-13
