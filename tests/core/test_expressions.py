"""Expressions of cards: what they come to, and that nothing runs."""

import pytest

from mnesis.core.expressions import evaluate

VALUES = {"dim": 8, "heads": 2, "levels": 3, "order": 4}


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("dim", 8),
        ("2 dim^2 / heads", 64),
        ("(dim - 1) (2^levels - 1); more with spikes", 49),
        ("dim + 2 heads * levels", 20),
        ("-dim + 9", 1),
        ("(heads + order)! / (heads! order!)", 15),
    ],
)
def test_expressions(expression, number) -> None:
    assert evaluate(expression, VALUES.__getitem__) == pytest.approx(number)


@pytest.mark.parametrize(
    "expression", ["", "dim +", "dim.real", "[dim]", "__import__('os')", "dim < 3", "dim(3", "'x'"]
)
def test_what_is_none(expression) -> None:
    with pytest.raises(ValueError, match="is no expression; write one such as"):
        evaluate(expression, lambda name: 8)
