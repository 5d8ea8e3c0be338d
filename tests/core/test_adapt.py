"""Strangers under the laws: callables, torch's RNNs, caches."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from mnesis.core.adapt import Adapted, adapt, small_transformer
from mnesis.core.laws import check

from .mistakes import Neither, Wide

UNOFFERED = {"resets", "padding", "late", "compiles"}
pytestmark = pytest.mark.usefixtures("without_type_checks")


class Cache:
    """As caches of transformers are: filled in place, longer with every unit, None before the first."""

    def __init__(self) -> None:
        self.units, self.kept, self.limit = 0, None, torch.tensor(7)

    def add(self, x: Tensor) -> Tensor:
        self.units += x.shape[1]
        self.kept = x if self.kept is None else torch.cat([self.kept, x], 1)
        return self.kept


class Sums(nn.Module):
    """y_t = W (x_1 + ... + x_t), from all that a cache holds."""

    dim = 6

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(6, 6, bias=False)

    def forward(self, x: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        cache = cache or Cache()
        return self.out(cache.add(x).cumsum(1))[:, -x.shape[1] :], cache


class ForgetsPrefill(nn.Module):
    """Goes on from its state unit by unit alone; what is longer starts afresh, as a prefill does."""

    dim = 6

    def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        start = x.new_zeros(len(x), 6) if h is None or x.shape[1] > 1 else h
        y = x.cumsum(1) + start[:, None]
        return y, y[:, -1]


class Pair(NamedTuple):
    a: Tensor
    b: tuple[Tensor, list[Tensor]]


def laws_of(module: Any, **options: Any) -> dict[str, bool | None]:
    """Each law once, in float64."""
    memory = module if isinstance(module, Adapted) else adapt(module)
    return {gap.law: gap.holds for gap in check(memory, dtypes=[torch.float64], **options)}


# Cheap ones that an adapter bears on; the command measures all.
SOME = [
    "shapes",
    "remembers",
    "causality",
    "resets",
    "rows",
    "bounded",
    "saved",
    "purity",
    "dtypes",
    "late",
    "compiles",
]


@pytest.mark.parametrize(("kind", "batch_first"), [(nn.RNN, True), (nn.GRU, False), (nn.LSTM, True), (nn.LSTM, False)])
def test_torchs_own_keep_all_laws_that_they_offer(kind, batch_first) -> None:
    torch.manual_seed(0)
    found = laws_of(kind(5, 7, 2, batch_first=batch_first), laws=SOME)
    expected = {law: None if law in UNOFFERED else True for law in SOME}
    if kind is nn.LSTM:  # under autocast torch asks oneDNN for one in bfloat16, which processors without AVX-512 lack
        expected["dtypes"] = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert found == expected


def test_torchs_states_are_those_of_the_module() -> None:
    module = nn.LSTM(5, 7, 2)
    x, more = torch.randn(3, 4, 5), torch.randn(3, 2, 5)
    memory = adapt(module)
    y, state = memory(x)
    y_more, _ = memory(more, state)
    expected, own = module(x.transpose(0, 1))
    expected_more, _ = module(more.transpose(0, 1), own)
    assert torch.equal(y, expected.transpose(0, 1))
    assert torch.equal(y_more, expected_more.transpose(0, 1))
    assert [tuple(leaf.shape) for leaf in state.tensors] == [(3, 2, 7), (3, 2, 7)], "rows first"


def test_a_bidirectional_one_sees_the_future() -> None:
    found = laws_of(nn.GRU(5, 7, bidirectional=True), laws=["shapes", "causality", "cuts", "rows"])
    assert found == {"shapes": True, "causality": False, "cuts": False, "rows": True}


def test_a_state_in_a_dictionary_is_taken_apart() -> None:
    found = laws_of(Wide(6), laws=[*SOME, "cuts"])
    assert found == {law: None if law in UNOFFERED else True for law in [*SOME, "cuts"]}


def test_a_cache_is_copied_for_every_call() -> None:
    found = laws_of(Sums(), laws=["shapes", "cuts", "forms", "rows", "bounded", "saved", "purity"])
    assert found == {
        "shapes": True, "cuts": True, "forms": True, "rows": True, "bounded": None, "saved": None, "purity": None
    }  # fmt: skip
    memory = adapt(Sums())
    _, state = memory(torch.randn(2, 3, 6))
    once, _ = memory(torch.ones(2, 1, 6), state)
    again, _ = memory(torch.ones(2, 1, 6), state)
    assert torch.equal(once, again)
    assert memory.lacks["bounded"] == "its state grows: 24 bytes a row after one unit, 48 after two"


def test_a_prefill_that_forgets_breaks_cuts() -> None:
    found = laws_of(ForgetsPrefill(), laws=["shapes", "cuts", "causality", "forms"])
    assert found == {"shapes": True, "cuts": False, "causality": True, "forms": False}


def test_trees_of_any_kind_come_back_as_they_were() -> None:
    def call(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = state or Pair(x[:, 0], (x[:, 0], [x[:, 0]]))
        assert isinstance(state, Pair)
        assert isinstance(state.b[1], list)
        h = state.a + x.sum(1)
        return x + state.a[:, None], Pair(h, (state.b[0] + 1, [state.b[1][0] * 2]))

    memory = Adapted(call, dim=4)
    _, state = memory(torch.ones(3, 2, 4))
    y, state = memory(torch.ones(3, 1, 4), state)
    assert torch.equal(y, torch.full((3, 1, 4), 4.0))
    assert [leaf[0, 0].item() for leaf in state.tensors] == [4.0, 3.0, 4.0]


def test_rows_of_different_kinds_are_refused() -> None:
    memory = adapt(Sums())
    _, state = memory(torch.randn(2, 3, 6))
    mixed = state._replace(kind=torch.tensor([-1, int(state.kind[1])]))
    with pytest.raises(ValueError, match="Sums cannot read rows from states of 2 kinds at once; read them apart"):
        memory(torch.randn(2, 1, 6), mixed)


def test_a_state_of_another_adapter_is_refused() -> None:
    _, state = adapt(Sums())(torch.randn(2, 3, 6))
    other = state._replace(kind=torch.tensor([99, 99]))
    with pytest.raises(ValueError, match="this state was returned by another adapter of Sums; go on with that one"):
        adapt(Sums())(torch.randn(2, 1, 6), other)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda: adapt(Neither()),
            "Neither is not a Memory, and has no forward(x, state); derive it from mnesis.Memory",
        ),
        (lambda: adapt(3), "int is not a Memory, and has no forward(x, state); derive it from mnesis.Memory"),
        (lambda: adapt(nn.Linear(3, 3)), "Linear is not a Memory, and says by none of dim, input_size and vocabulary"),
        (lambda: Adapted(lambda x, state: (x, state)), "give either dim, the width of the vectors that are read, or"),
        (lambda: Adapted(lambda x, state: x, dim=3), "<lambda> returns a Tensor; let it return a sequence and a state"),
    ],
)
def test_what_cannot_be_adapted_is_refused(build, sentence) -> None:
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["Llama", "Mamba", "RecurrentGemma"])
def test_models_of_transformers_are_examined(name) -> None:
    transformers = pytest.importorskip("transformers", minversion="5.0")
    torch.manual_seed(0)
    memory = adapt(small_transformer(getattr(transformers, f"{name}ForCausalLM"), {"vocab_size": 11}))
    ids = torch.randint(11, (2, 6))
    whole, _ = memory(ids)
    y, state = memory(ids[:, :5])
    last, _ = memory(ids[:, 5:], state)
    assert torch.allclose(whole[:, :5], y, atol=1e-5)
    assert torch.allclose(whole[:, 5:], last, atol=1e-5), "a unit after a prefill is what generate() rests on"
    assert memory.lacks["saved"] == "its state is a tuple and no tree of tensors"


def test_an_unknown_option_of_a_configuration_is_refused() -> None:
    transformers = pytest.importorskip("transformers", minversion="5.0")
    with pytest.raises(ValueError, match="LlamaForCausalLM's configuration has no 'hidden'; its own documentation"):
        small_transformer(transformers.LlamaForCausalLM, {"hidden": 3})
