"""Every memory under torch.func, on the meta device, under autocast, pickled, exported, and with any strides."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from mnesis.core.capabilities import OF_TRANSFORMS, check
from mnesis.core.catalog import create_memory, list_memories
from mnesis.core.state import leaves, tree_map
from mnesis.nets import LanguageModel

pytestmark = pytest.mark.usefixtures("without_type_checks")

MEMORIES = {card.name: card for card in list_memories()}
DEAR = ("compile", "export")
"""Seconds a memory; the law ``compiles`` is tested with the others."""
VARIANTS = {
    "rmt made anew": ("rmt", {"checkpoint": True}),
    "armt made anew": ("armt", {"checkpoint": True}),
    "bilinear by steps": ("bilinear", {"hidden": 18, "chunk": 8}),
    "galite as released": ("galite", {"joint": True}),
    "rg-lru as released": ("rg-lru", {"released": True}),
    "hippo of a window": ("hippo", {"measure": "legt"}),
    "lssl learned": ("lssl", {"learned": True}),
    "lssl at random": ("lssl", {"measure": "random"}),
    "lmuformer that spikes": ("lmuformer", {"spiking": True}),
    "echo state on a cycle": ("echo-state", {"topology": "cycle"}),
}
"""What takes other ways than the catalog's examples."""


def slow(value: str):
    return pytest.param(value, marks=pytest.mark.slow)


def small(name: str, **options):
    torch.manual_seed(0)
    return create_memory(name, **{**MEMORIES[name].example, **options})


@pytest.mark.parametrize("capability", [name for name in OF_TRANSFORMS if name not in DEAR])
@pytest.mark.parametrize("name", MEMORIES)
def test_every_memory_can(name, capability) -> None:
    check(small(name), capability)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMORIES)
def test_every_memory_can_be_exported(name) -> None:
    check(small(name), "export")


def test_a_segment_memory_can_be_exported() -> None:
    """Where its state stands is then a constant; here the unit closes the segment."""
    check(small("rmt", segment=2, layers=1), "export")


@pytest.mark.parametrize(
    "capability", ["vmap", "double backward", *(slow(name) for name in ("func.grad", "jvp", "meta"))]
)
@pytest.mark.parametrize("variant", [slow(name) if "spikes" in name else name for name in VARIANTS])
def test_variants_can(variant, capability) -> None:
    if (variant, capability) == ("lmuformer that spikes", "double backward"):
        pytest.skip("a spike's gradient is that of another function, and no difference of outputs")
    name, options = VARIANTS[variant]
    check(small(name, **options), capability)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [name for name in OF_TRANSFORMS if name not in DEAR])
@pytest.mark.parametrize(("name", "form"), [(card.name, form) for card in MEMORIES.values() for form in card.forms])
def test_every_form_can(name, form, capability) -> None:
    check(small(name, form=form), capability)


@pytest.mark.parametrize("capability", [*(slow(name) for name in ("func.grad", "vmap", "jvp", "pickle")), "meta"])
@pytest.mark.parametrize("name", [name if name in ("rmt", "gru") else slow(name) for name in MEMORIES])
def test_every_language_model_can(name, capability) -> None:
    example = MEMORIES[name].example
    options = {key: value for key, value in example.items() if key not in ("dim", "layers")}
    torch.manual_seed(0)
    check(LanguageModel(11, dim=example["dim"], memory=name, depth=2, options=options), capability)


def test_gradients_by_torch_func() -> None:
    memory, x = create_memory("min-gru", dim=8), torch.randn(2, 12, 8)
    memory(x)[0].sum().backward()
    parameters = {name: part.detach() for name, part in memory.named_parameters()}
    found = grad(lambda own: functional_call(memory, own, (x,))[0].sum())(parameters)
    for name, part in memory.named_parameters():
        torch.testing.assert_close(found[name], part.grad)


def test_an_ensemble_at_once() -> None:
    """As torch's tutorial has it: weights of several, and a skeleton without storage."""
    several = [create_memory("mom", dim=16).eval() for _ in range(3)]
    x = torch.randn(2, 9, 16)
    weights = stack_module_state(several)
    skeleton = create_memory("mom", dim=16).to("meta")
    y = vmap(lambda *weights: functional_call(skeleton, weights, (x,))[0])(*weights)
    torch.testing.assert_close(y, torch.stack([memory(x)[0] for memory in several]))


@pytest.mark.parametrize(
    "name", ["hippo", "lmu", "lssl", "parallel-lmu", "lmuformer", "echo-state", "taylor-attention"]
)
def test_constants_are_whole_after_a_build_without_storage(name) -> None:
    full, x = create_memory(name, dim=16), torch.randn(1, 9, 16)
    with torch.device("meta"):
        emptied, assigned = (create_memory(name, dim=16) for _ in range(2))
    emptied.to_empty(device="cpu").load_state_dict(full.state_dict())
    assigned.load_state_dict(full.state_dict(), assign=True)
    for memory in (emptied, assigned):
        assert not any(part.is_meta for part in memory.buffers())
        assert torch.equal(memory(x)[0], full(x)[0])


def test_constants_made_for_one_call_do_not_spoil_the_next() -> None:
    """In inference mode, under a transform and while exporting, copies are of a kind that others cannot use."""
    memory, x = create_memory("taylor-attention", dim=16).half(), torch.randn(2, 5, 16)
    with torch.inference_mode():
        memory(x.half())
    vmap(lambda row: memory.double()(row[None])[0])(x.double())
    memory.float()(x)[0].sum().backward()
    torch.export.export(memory, (x,))
    y, _ = memory(x)
    y.sum().backward()
    assert torch.equal(pickle.loads(pickle.dumps(memory))(x)[0], y)


def test_shapes_without_storage() -> None:
    memory = create_memory("gla", dim=16).to("meta")
    y, state = memory(torch.empty(1, 4, 16, device="meta"))
    assert (y.shape, y.device.type) == ((1, 4, 16), "meta")
    assert all(leaf.is_meta for leaf in leaves(state))


@pytest.mark.parametrize("name", ["rmt", "armt", "griffin", "window"])
def test_second_derivatives_through_attention(name) -> None:
    """Kernels of attention have none; its math form has."""
    memory, x = small(name).double(), torch.randn(1, 6, MEMORIES[name].example["dim"], dtype=torch.float64)
    x.requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        (slope,) = torch.autograd.grad(memory(x)[0].square().sum(), x, create_graph=True)
        (found,) = torch.autograd.grad(slope.square().sum(), x)

    def square_of_slope(x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(memory(x)[0].square().sum(), x)[0].square().sum()

    way = torch.randn_like(x)
    expected = (square_of_slope(x + 1e-5 * way) - square_of_slope(x - 1e-5 * way)) / 2e-5
    torch.testing.assert_close((found * way).sum(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["gateloop", "lru", "s4d", "s5", "ffm"])
def test_complex_states_may_have_strides(name) -> None:
    memory = create_memory(name, dim=16)
    x = torch.randn(2, 4, 16)
    _, state = memory(x)
    apart = tree_map(lambda leaf: torch.stack([leaf, leaf], -1)[..., 0], state)
    for found, expected in zip(memory(x, apart), memory(x, state), strict=True):
        for a, b in zip(leaves(found), leaves(expected), strict=True):
            torch.testing.assert_close(a, b)
