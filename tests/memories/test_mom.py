"""Mixture-of-Memories: the layer written out, the authors' numbers, what is not chosen, its state and its options."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.plastic.mom import MoM

from .golden import close, gradients_agree, in_pieces, load

every_form = pytest.mark.parametrize("form", MoM.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def one_memory(memory: MoM, m: int, x: Tensor) -> Tensor:
    """What one memory reads of the units that chose it, unit by unit: a Gated DeltaNet before its norm."""
    key_value, strength, decay = (
        layer.weight.unflatten(0, (memory.count, -1))[m] for layer in (memory.key_value, memory.strength, memory.decay)
    )
    projected = torch.cat([memory.query(x), x @ key_value.T], -1)
    if memory.convolution is not None:
        width, weight = memory.convolution.width, memory.convolution.weight
        padded = torch.cat([projected.new_zeros(width - 1, projected.shape[1]), projected])
        projected = projected + sum(padded[width - 1 - j :][: len(x)] * weight[j] for j in range(width))
    q, k, v = (part.unflatten(-1, (memory.heads, -1)) for part in F.silu(projected).split(memory.sizes, -1))
    q, k = (part / (part.square().sum(-1, keepdim=True) + 1e-6).sqrt() for part in (q, k))
    beta = (x @ strength.T).sigmoid()
    alpha = (-memory.log_rate.exp() * F.softplus(x @ decay.T + memory.time_step)).exp()
    matrices, outputs = x.new_zeros(memory.heads, memory.width, memory.value_width), []
    for t in range(len(x)):
        held = alpha[t, :, None, None] * matrices
        error = v[t] - torch.einsum("hk,hkv->hv", k[t], held)
        matrices = held + torch.einsum("h,hk,hv->hkv", beta[t], k[t], error)
        outputs.append(torch.einsum("hk,hkv->hv", q[t], matrices) / memory.width**0.5)
    return torch.stack(outputs)


def written_out(memory: MoM, x: Tensor) -> Tensor:
    """One row, from an empty past, memory by memory."""
    weight, choice = memory.router(x).softmax(-1).topk(memory.activated, -1)
    weight = weight / weight.sum(-1, keepdim=True)
    read = x.new_zeros(len(x), memory.heads, memory.value_width)
    for m in range(memory.memories):
        units, rank = (choice == m).nonzero(as_tuple=True)
        if len(units):
            read[units] += weight[units, rank][:, None, None] * one_memory(memory, m, x[units])
    if memory.count > memory.memories:
        read = read + one_memory(memory, memory.memories, x)
    read = read / (read.square().mean(-1, keepdim=True) + memory.norm.eps).sqrt() * memory.norm.weight
    return (read.flatten(1) * F.silu(memory.gate(x))) @ memory.output.weight.T


@every_form
@pytest.mark.parametrize(
    "options", [{}, {"shared": False, "expansion": 2.0}, {"convolution": None, "activated": 1}, {"memories": 7}]
)
def test_the_layer(form, options) -> None:
    torch.manual_seed(0)
    memory = MoM(12, **{"heads": 3, "width": 4, **options}, form=form, chunk=7).double()
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-12


def official(arrays: dict[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Weights or gradients of the authors' layer under our names; their convolutions do not pass the input by."""
    names = [(f"{{}}_proj.{m}" if m < 4 else "shared_{}").format for m in range(5)]
    found = lambda name: arrays[f"{kind}/{name}.weight"]  # noqa: E731
    convolution = torch.cat([found(f"{name}_conv1d") for name in "qkv"]).T.flip(0).clone()
    convolution[0] -= float(kind == "weight")
    return {
        "router.weight": found("gate"),
        "query.weight": found("q_proj"),
        "key_value.weight": torch.cat([found(name(part)) for name in names for part in "kv"]),
        "strength.weight": torch.cat([found(name("b")) for name in names]),
        "decay.weight": torch.cat([found(name("a")) for name in names]),
        "convolution.weight": convolution,
        "log_rate": arrays[f"{kind}/A_log"],
        "time_step": arrays[f"{kind}/dt_bias"],
        "gate.weight": found("g_proj"),
        "norm.weight": found("o_norm"),
        "output.weight": found("o_proj"),
    }


@every_form
def test_golden(form) -> None:
    """The authors' layer as it evaluates; as it trains, its convolution leaks from one memory and row into another."""
    arrays, memory = load("mom"), MoM(6, heads=2, width=4, expansion=1.5, form=form, chunk=5).double()
    memory.load_state_dict(official(arrays, "weight"))
    x = arrays["input/plain/x"].requires_grad_()
    y, state = memory(x)
    close("y", y, arrays["output/plain/y"])
    close("y of 66 units", memory(arrays["input/training/x"])[0], arrays["output/evaluation/y"])
    held = torch.cat([arrays["state/plain/matrix"], arrays["state/plain/shared"][:, None]], 1)
    close("matrix", state.matrix, held)
    expected = {"x": arrays["gradient/plain/x"], **official(arrays, "gradient/plain")}
    gradients_agree(y.square().sum(), {"x": x, **dict(memory.named_parameters())}, expected)
    pieces, state = in_pieces(memory, x, 5, 1, 1)
    close("y in pieces", pieces, arrays["output/plain/y"])
    close("matrix after pieces", state.matrix, held)


@every_form
def test_what_a_unit_does_not_choose_stands_still(form) -> None:
    torch.manual_seed(0)
    memory = MoM(12, heads=3, memories=5, form=form).double()
    _, before = memory(draw(1, 20, 12))
    x = draw(1, 1, 12)
    _, after = memory(x, before)
    chosen = memory.router(x)[0, 0].topk(2).indices.tolist()
    for m in range(6):
        for leaf, other in zip(before, after, strict=True):
            assert torch.equal(leaf[:, m], other[:, m]) != (m in chosen or m == 5)


@pytest.mark.parametrize("options", [{}, {"convolution": None}, {"shared": False, "memories": 3}])
def test_the_state_is_as_large_as_promised(options) -> None:
    memory = MoM(12, **{"heads": 3, "expansion": 2.0, **options}).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32
    count = options.get("memories", 4) + options.get("shared", True)
    tail = ((options.get("convolution", 4) or 1) - 1) * 3 * 4 * (2 + 2)
    assert nbytes(state) == 2 * count * (4 * 3 * 4 * 8 + 2 * tail)


def test_routing_can_be_watched_and_balanced() -> None:
    torch.manual_seed(0)
    memory, x = MoM(12, heads=3, balance=0.5).double(), draw(2, 30, 12)
    with recording() as observed:
        memory(x)
    weight, loss = observed["mom/routing_weight"][0], observed["loss/mom_balance"][0]
    assert ((weight > 0).sum(-1) == 2).all()
    assert (weight.sum(-1) - 1).abs().max() < 1e-12
    share = (weight > 0).double().mean((0, 1))
    assert (loss - 0.5 * 4 * (share * memory.router(x).softmax(-1).mean((0, 1))).sum()).abs() < 1e-12
    (gradient,) = torch.autograd.grad(loss, memory.router.weight)
    assert gradient.abs().max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 20}, "heads of width 0 and values of 0: give 1 or more of both"),
        ({"activated": 5}, "activated=5 of 4 memories; choose between 1 and all of them"),
        ({"activated": 0}, "activated=0 is not a whole number of at least 1"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        MoM(12, **options)
