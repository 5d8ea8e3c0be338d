"""What cards write about numbers: expressions over a constructor's options, read without running anything."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .memory import Memory

_TOKEN = re.compile(r"\d+|[A-Za-z_]+|[-+*/^()!]|\S")
_OPERATIONS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def evaluate(expression: str, value: Callable[[str], float]) -> float:
    """What an expression comes to: factors stand side by side, ^ is a power, and ! a factorial.

    Args:
        expression: such as ``2 memory context`` or ``(kernel - 1) (2^levels - 1) dim``; what follows a semicolon is
            said to people alone.
        value: of a name.

    Raises:
        ValueError: it is no such expression.
    """
    try:
        tree = ast.parse(_as_python(expression.partition(";")[0]), mode="eval")
    except SyntaxError:
        raise ValueError(f"{expression!r} is no expression; write one such as 2 (window - 1) dim") from None
    return _value(tree.body, value, expression)


def evaluate_for(memory: Memory[Any], expression: str) -> float:
    """What an expression comes to for a memory: its options, and where the class chooses, its attributes."""
    options = memory.config

    def value(name: str) -> float:
        found = options[name] if options.get(name) is not None else getattr(memory, name)
        return float(found if isinstance(found, (int, float)) else len(found))

    return evaluate(expression, value)


def _as_python(expression: str) -> str:
    """The same in Python's words."""
    written: list[str] = []
    for token in _TOKEN.findall(expression):
        if written and re.match(r"[\w(]", token) and re.search(r"[\w)]$", written[-1]):
            written.append("*")
        if token == "!":
            begin = len(written) - 1
            while written[begin:].count("(") < written[begin:].count(")"):
                begin -= 1
            written[begin:] = ["factorial", "(", *written[begin:], ")"]
        else:
            written.append("**" if token == "^" else token)
    return " ".join(written)


def _value(node: ast.expr, value: Callable[[str], float], expression: str) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.Name):
        return float(value(node.id))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, value, expression)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right = (_value(side, value, expression) for side in (node.left, node.right))
        return float(_OPERATIONS[type(node.op)](left, right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "factorial":
        return math.gamma(_value(node.args[0], value, expression) + 1)
    raise ValueError(f"{expression!r} is no expression; write one such as 2 (window - 1) dim")
