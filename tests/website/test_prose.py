"""What docstrings hold, as pages show it."""

from __future__ import annotations

import pytest

from mnesis.core.catalog import list_memories
from website.prose import typeset


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("h_t = W h_{t-1}", "h<sub>t</sub> = W h<sub>t-1</sub>"),
        ("v_t^j and A^T phi(W_q x)", "v<sub>t</sub><sup>j</sup> and A<sup>T</sup> φ(W<sub>q</sub> x)"),
        ("gamma_jk = 1 - 2^(-5-h)", "γ<sub>jk</sub> = 1 - 2<sup>(-5-h)</sup>"),  # noqa: RUF001
        ("(1 - lambda)^2, K^-1/2", "(1 - λ)<sup>2</sup>, K<sup>-1/2</sup>"),
        ("W_alpha, sum_ij, f'_t", "W<sub>α</sub>, sum<sub>ij</sub>, f'<sub>t</sub>"),  # noqa: RUF001
        ("(J - threshold)_+", "(J - threshold)<sub>+</sub>"),
        ("r^(0.3 + 1.3 b / (B - 1))", "r<sup>(0.3 + 1.3 b / (B - 1))</sup>"),
        ("dim key_expansion and ``log_x_t`` or `h_t`", "dim key_expansion and ``log_x_t`` or `h_t`"),
        ("one example:\n\n    h_t = x_t", "one example:\n\n    h_t = x_t"),
        ("alphabet, nuance, lambdas", "alphabet, nuance, lambdas"),
    ],
)
def test_formulas_in_prose_are_set_and_code_is_not(written, shown) -> None:
    assert typeset(written) == shown


def test_equations_are_latex() -> None:
    pytest.importorskip("math_core", reason="the packages that make the site are not installed")
    from math_core import LatexError

    from website.formulas import fence

    for card in list_memories():
        for line in card.equations:
            assert fence(line.replace("&", "")).count("<math") == 1, (card.name, line)
    with pytest.raises(LatexError):
        fence(r"\frac{a}{")


def test_roles_become_links_and_arguments_lines_of_their_own() -> None:
    griffe = pytest.importorskip("griffe", reason="the packages that make the site are not installed")
    from website.docstrings import linked, one_by_one

    package = griffe.visit(
        "mnesis.room", filepath=None, code="class Thing:\n    def act(self): ...\nclass Other: ...\n"
    )
    thing = package["Thing"]
    assert linked(":class:`~mnesis.learn.Stage` here", thing) == (
        '<autoref optional identifier="mnesis.learn.Stage">`Stage`</autoref> here'
    )
    assert 'identifier="mnesis.room.Other">`Other`<' in linked(":class:`Other`", thing)
    assert 'identifier="mnesis.room.Thing.act">`act`<' in linked(":meth:`act`", thing)
    assert linked("One example::\n\n    x", thing) == "One example:\n\n    x"
    told = "What.\n\na, b: no argument.\n\nArgs:\n    rows, columns: sizes,\n        both of them.\n    dim: width.\n"
    assert one_by_one(told) == (
        "What.\n\na, b: no argument.\n\nArgs:\n    rows: sizes,\n        both of them.\n"
        "    columns: sizes,\n        both of them.\n    dim: width.\n"
    )
