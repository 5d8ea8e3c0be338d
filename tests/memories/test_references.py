"""Every memory of the catalog has been computed a second time: by other code, or from its equations, inside a test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from mnesis.core.catalog import list_memories

TESTS = Path(__file__).resolve().parents[1]
GOLDEN = TESTS / "golden"

REFERENCES = {
    "elman": ("memories/test_recurrent.py::test_torch_module_with_the_same_weights",),
    "lstm": ("memories/test_recurrent.py::test_torch_module_with_the_same_weights",),
    "gru": ("memories/test_recurrent.py::test_torch_module_with_the_same_weights",),
    "slstm": ("slstm", "slstm_layer", "memories/test_slstm.py::test_the_layer"),
    "hippo": ("hippo",),
    "lmu": ("lmu",),
    "echo-state": ("echo_state",),
    "rmt": ("rmt",),
    "armt": ("armt", "dpfp"),
    "transformer-xl": ("transformer_xl",),
    "block-recurrent": ("block_recurrent", "memories/test_block_recurrent.py::test_equations"),
    "linear-attention": ("linear_attention", "linear_attention_layer"),
    "retention": ("retention",),
    "gla": ("gla", "gla_layer"),
    "gateloop": ("gateloop",),
    "min-gru": ("mingru", "minrnns"),
    "min-lstm": ("minlstm", "minrnns"),
    "rg-lru": ("rg_lru",),
    "mlstm": ("mlstm", "mlstm_layer"),
    "mlstm-block": ("mlstm_block",),
    "xlstm": ("xlstm",),
    "griffin": ("griffin",),
    "mamba": ("mamba",),
    "mamba2": ("mamba2",),
    "lru": ("lru", "memories/test_lru.py::test_the_layer"),
    "s4d": ("s4d",),
    "lssl": ("lssl", "memories/test_lssl.py::test_the_layer"),
    "parallel-lmu": ("lmu",),
    "lmuformer": ("lmuformer", "nets/test_lmuformer.py::test_a_layer_unit_by_unit"),
    "s5": ("s5", "memories/test_s5.py::test_the_layer"),
    "memmamba": ("memories/test_memmamba.py::test_the_layer",),
    "aaren": ("memories/test_aaren.py::test_it_is_attention",),
    "ffm": ("ffm",),
    "galite": ("galite", "memories/test_agalite.py::test_galite"),
    "agalite": ("agalite", "memories/test_agalite.py::test_agalite"),
    "bilinear": ("memories/test_bilinear.py::test_the_layer",),
    "taylor-attention": ("taylor_attention", "memories/test_taylor.py::test_the_layer"),
    "stable-ssm": ("memories/test_stable_ssm.py::test_the_layer",),
    "gated-rnn": ("memories/test_gated_rnn.py::test_equations",),
    "delta-rule": ("delta_rule", "delta_rule_layer"),
    "gated-delta-rule": ("gated_delta_rule", "gated_delta_rule_layer"),
    "delta-product": ("gated_delta_product", "delta_product_layer"),
    "mom": ("mom",),
    "lattice": ("memories/test_lattice.py::test_the_layer",),
    "tcn": ("tcn",),
    "multires": ("multires", "memories/test_multires.py::test_the_layer"),
    "fsmn": ("fsmn",),
    "window": ("memories/test_window.py::test_dense_attention_with_gradients",),
}
"""Of each memory the files in ``tests/golden``, without their ending, or the tests."""


def is_there(reference: str) -> bool:
    if "::" not in reference:
        return (GOLDEN / f"{reference}.safetensors").is_file()
    file, _, function = reference.partition("::")
    return (TESTS / file).is_file() and function in functions(TESTS / file)


@cache
def functions(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


@cache
def read_by_tests() -> set[str]:
    """Golden files that tests name: with their ending, or as a word where a test takes arrays from a shared piece."""
    found = set()
    for file in TESTS.rglob("*.py"):
        text = file.read_text()
        found |= set(re.findall(r'(\w+)\.safetensors"', text))
        if re.search(r"^from [\w.]*(golden\w*|fla_layers) import", text, re.MULTILINE):
            found |= set(re.findall(r'"(\w+)"', text))
    return found


def test_no_memory_is_left_out() -> None:
    assert sorted(REFERENCES) == sorted(card.name for card in list_memories())
    assert all(REFERENCES.values())


@pytest.mark.parametrize("name", REFERENCES)
def test_references_are_there(name) -> None:
    missing = [reference for reference in REFERENCES[name] if not is_there(reference)]
    assert not missing, f"{name}: no {missing}; name a file in tests/golden or file.py::function"


def test_golden_files_belong_to_a_memory_and_are_read_by_a_test() -> None:
    files = {file.stem for file in GOLDEN.glob("*.safetensors")}
    named = {reference for references in REFERENCES.values() for reference in references}
    assert not files - named, "no memory refers to it; add it to the table"
    assert not files - read_by_tests(), "no test reads it"
