"""Modules are called: what hangs on a call, or stands in a module's place, is never passed by."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mnesis.core.capabilities_of_modules import OF_MODULES, Adapter, adapted, unused
from mnesis.core.catalog import card, create_memory, list_memories
from mnesis.core.laws.subject import in_form
from mnesis.core.record import silent
from mnesis.core.state import leaves
from mnesis.memories.linear.gla import GLA
from mnesis.nets import Classifier, LanguageModel, Stack
from mnesis.nets.lmuformer import LMUFormer
from mnesis.nets.state_collapse import Clipped, Remedied

from .broken import Leaky

pytestmark = [
    pytest.mark.usefixtures("without_type_checks"),
    pytest.mark.filterwarnings("ignore:FSDP2-wrapped module .* returned a view tensor"),
]
NAMES = [card.name for card in list_memories()]
QUICK = [name for name in OF_MODULES if name != "LoRA"]
OF_A_KIND = ("gru", "rmt", "bilinear", "mom")


def memory(name: str) -> Any:
    torch.manual_seed(0)
    return create_memory(name, **card("memories", name).example)


def language_model(name: str) -> LanguageModel:
    torch.manual_seed(0)
    example = dict(card("memories", name).example)
    whole = {"hidden": example.pop("hidden", None)} if card("memories", name).whole else {}
    dim = example.pop("dim")
    options = {key: value for key, value in example.items() if key not in ("layers", "convolution")}
    return LanguageModel(11, dim=dim, memory=name, depth=2, options=options, **whole)


def examine(capability: str, subject: Any) -> None:
    with silent():
        OF_MODULES[capability](subject)


@pytest.mark.parametrize("capability", QUICK)
@pytest.mark.parametrize("name", NAMES)
def test_every_memory(name, capability) -> None:
    examine(capability, memory(name))


@pytest.mark.parametrize("capability", QUICK)
@pytest.mark.parametrize("name", [n if n in OF_A_KIND else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_every_memory_in_a_language_model(name, capability) -> None:
    examine(capability, language_model(name))


@pytest.mark.parametrize("name", [n if n == "hippo" else pytest.param(n, marks=pytest.mark.slow) for n in NAMES])
def test_adapters(name) -> None:
    examine("LoRA", memory(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_adapters_in_a_language_model(name) -> None:
    examine("LoRA", language_model(name))


@pytest.mark.parametrize("capability", QUICK)
@pytest.mark.parametrize(
    "subject",
    [
        lambda: Classifier(5, 3, dim=8, memory="lattice"),
        lambda: LMUFormer(6, layers=2, hidden=8, window=8.0, spiking=True),
        lambda: Remedied(GLA(8, heads=2), Clipped(2.0)),
        lambda: Stack(
            8, memory=["gru", create_memory("rmt", dim=8, segment=4, memory_tokens=2, heads=2)], convolution=3
        ),
    ],
    ids=["classifier", "spikes", "remedied", "stack"],
)
def test_what_stands_around_memories(capability, subject) -> None:
    torch.manual_seed(0)
    examine(capability, subject())


class ReadsPast(Leaky):
    """Multiplies by the weights of a module that it never calls."""

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        h, outputs = state.h.to(x.dtype), []
        for u in (x @ self.rise.weight.mT + self.rise.bias).unbind(1):
            h = 0.7 * h + u
            outputs.append(h)
        return torch.stack(outputs, 1) + x, type(state)(h.to(state.h.dtype))


class ReadsPastInSteps(Leaky):
    """Calls it for sequences alone."""

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        h = 0.7 * state.h + x @ self.base.weight.mT + self.base.bias
        return h + x, type(state)(h)

    @property
    def base(self) -> nn.Linear:
        return self.rise.base_layer if isinstance(self.rise, Adapter) else self.rise  # type: ignore[return-value]


class StartsOutside(Leaky):
    """Around a memory with a learned start, which it makes itself."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.inner = create_memory("bilinear", dim=dim, hidden=4)

    def initial_state(self, batch: int, **place: Any) -> Any:
        return self.inner.initial_state(batch, **place)

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        return self.inner(x, state, phase=phase)

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self.inner(x, state, step=True)


@pytest.mark.parametrize(
    ("broken", "capability", "message"),
    [
        (ReadsPast, "hooks", "hooks of rise do not run in scans"),
        (ReadsPastInSteps, "hooks", "hooks of rise do not run in steps"),
        (ReadsPast, "LoRA", "mT|weight"),
        (ReadsPastInSteps, "LoRA", "broken: forms"),
        (ReadsPast, "offload", "meta"),
        (StartsOutside, "offload", "meta"),
        (ReadsPast, "prune", "a second time"),
        (StartsOutside, "FSDP2", "DTensor"),
    ],
)
def test_each_check_notices(broken, capability, message) -> None:
    with pytest.raises((AssertionError, RuntimeError, AttributeError, NotImplementedError), match=message):
        examine(capability, broken(6))


def test_blocks_are_called_once_a_sequence_and_once_a_step() -> None:
    model, seen = LanguageModel(32, dim=16, memory="gla", depth=2), []
    for block in model.reader.body.blocks:
        block.register_forward_hook(lambda _, given, found: seen.append((given[0].shape, found[0].shape)))
    _, state = model(torch.randint(32, (1, 8)))
    assert seen == [((1, 8, 16), (1, 8, 16))] * 2
    model(torch.tensor([3]), state, step=True)
    assert seen[2:] == [((1, 16), (1, 16))] * 2


def test_generation_calls_every_module() -> None:
    model, seen = language_model("rmt"), set()
    for name, part in model.named_modules():
        part.register_forward_hook(lambda *_, name=name: seen.add(name))
    model.generate(torch.randint(11, (2, 5)), tokens=9)
    missed = {name for name, part in model.named_modules() if list(part.parameters(recurse=False))} - seen
    assert not missed
    assert "" in seen


@pytest.mark.parametrize("name", ["rmt", "bilinear", "window"])
def test_steps_may_start_without_a_state(name) -> None:
    model, unit = language_model(name), torch.tensor([3, 4])
    fresh = model.initial_state(2, device=unit.device, dtype=torch.float32)
    (y, state), (expected, after) = model(unit, step=True), model.step(unit, fresh)
    assert torch.equal(y, expected)
    assert all(torch.equal(a, b) for a, b in zip(leaves(state), leaves(after), strict=True))


def test_what_inner_memories_start_with_is_as_narrow_as_autocast() -> None:
    """A state's dtypes are those of ``initial_state``, also where the memories inside made it."""
    model = LanguageModel(11, dim=8, memory=["gru", "bilinear"], convolution=3, options=[{}, {"hidden": 4}])
    x = torch.randint(11, (2, 5))
    with torch.autocast("cpu", torch.bfloat16):
        expected = model.initial_state(2, device=x.device, dtype=model.compute_dtype(x))
        _, state = model(x)
        _, ragged = model(x, length=torch.tensor([5, 2]))
    for found in (state, ragged):
        assert [leaf.dtype for leaf in leaves(found)] == [leaf.dtype for leaf in leaves(expected)]


def test_other_forms_keep_what_was_put_inside() -> None:
    for name in ("gla", "memmamba", "lmuformer", "window"):
        subject = adapted(memory(name))
        other = in_form(subject, "naive")
        assert other.config == {**subject.config, "form": "naive"}
        assert subject.config["form"] != "naive"
        assert other.state_dict().keys() == subject.state_dict().keys()
        assert any(isinstance(part, Adapter) for part in other.modules())
        inner = [part for part in other.modules() if "form" in getattr(part, "config", {})]
        assert all(part.form == "naive" for part in inner)
    with pytest.raises(ValueError, match="GLA has no form 'fast'; choose one of naive, chunk, parallel"):
        in_form(memory("gla"), "fast")


def test_parameters_that_some_calls_leave_out() -> None:
    """For these DistributedDataParallel needs ``find_unused_parameters=True``."""
    found = {name: unused(memory(name)) for name in NAMES}
    assert {name for name, left in found.items() if left} == {"rmt", "armt", "block-recurrent", "bilinear", "lattice"}
    assert found["rmt"] == ["memory"]
    assert found["bilinear"] == found["lattice"] == ["start"]
    writes = [f"{part}.weight" for part in ("gate", "key", "value")] + ["gate.bias"]
    assert {name.split(".", 2)[-1] for name in found["armt"]} == {*writes, "memory"}


def test_a_wrapper_of_the_forward_of_every_linear_map_counts() -> None:
    """As libraries do that keep the module and replace its ``forward``."""
    for name in ("transformer-xl", "hippo", "mom", "armt", "mamba"):
        subject = memory(name).double()
        plain, x = copy.deepcopy(subject), torch.randn(2, 5, subject.dim, dtype=torch.float64)
        for part in subject.modules():
            if isinstance(part, nn.Linear):
                part.forward = lambda x, own=part.forward: 1.5 * own(x)
        for part in plain.modules():
            if isinstance(part, nn.Linear):
                with torch.no_grad():
                    part.weight.mul_(1.5)
                    if part.bias is not None:
                        part.bias.mul_(1.5)
        outputs = []
        for each in (subject, plain):
            y, state = each(x)
            y_step, _ = each(x[:, 0], state, step=True)
            outputs.append((y, y_step))
        for found, expected in zip(*outputs, strict=True):
            assert (found - expected).abs().max() < 1e-9
