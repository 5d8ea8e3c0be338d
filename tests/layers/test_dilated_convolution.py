"""The dilated convolution against its formula, its tail and its options."""

from __future__ import annotations

import pytest
import torch

from mnesis.layers.dilated_convolution import DilatedConvolution


def zeros(convolution: DilatedConvolution, rows: int) -> torch.Tensor:
    return convolution.initial_tail(rows, device=torch.device("cpu"), dtype=torch.float64)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 3])
def test_it_weighs_units_in_strides(groups, dilation) -> None:
    torch.manual_seed(0)
    convolution = DilatedConvolution(4, 8, 3, dilation=dilation, groups=groups).double()
    x = torch.randn(2, 11, 4).double()
    y, tail = convolution(x, zeros(convolution, 2))
    for t in range(11):
        expected = convolution.bias.expand(2, 8)
        for group, (own, weight) in enumerate(zip(x.chunk(groups, -1), convolution.weight.chunk(groups), strict=True)):
            part = slice(group * 8 // groups, (group + 1) * 8 // groups)
            for lag in range(3):
                if t >= lag * dilation:
                    here = torch.zeros(2, 8).double()
                    here[:, part] = own[:, t - lag * dilation] @ weight[..., 2 - lag].T
                    expected = expected + here
        assert (y[:, t] - expected).abs().max() < 1e-12
    assert torch.equal(tail, x[:, -2 * dilation :])


def test_its_tail_makes_cuts_unseen() -> None:
    torch.manual_seed(0)
    convolution = DilatedConvolution(3, 3, 4, dilation=2, groups=3, bias=False).double()
    x, tail, outputs = torch.randn(2, 20, 3).double(), zeros(convolution, 2), []
    whole, last = convolution(x, tail)
    for piece in x.split([1, 2, 10, 1, 6], 1):
        y, tail = convolution(piece, tail)
        outputs.append(y)
    assert (torch.cat(outputs, 1) - whole).abs().max() < 1e-12
    assert torch.equal(tail, last)
    assert tail.untyped_storage().nbytes() == tail.numel() * 8


def test_pieces_shorter_than_the_stride_read_and_teach_the_same() -> None:
    torch.manual_seed(0)
    convolution = DilatedConvolution(3, 5, 4, dilation=6).double()
    x, tail = torch.randn(2, 25, 3).double().requires_grad_(), torch.randn(2, 18, 3).double().requires_grad_()
    found = []
    for sizes in ([25], [6, 6, 1, 5, 7]):  # of which only 7 exceed the stride
        carried, outputs = tail, []
        for piece in x.split(sizes, 1):
            y, carried = convolution(piece, carried)
            outputs.append(y)
        y = torch.cat(outputs, 1)
        found.append([y, carried, *torch.autograd.grad(y.sin().sum(), [x, tail, *convolution.parameters()])])
    for whole, cut in zip(*found, strict=True):
        assert (whole - cut).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 1}, "width=1, dilation=1: a convolution sees no earlier unit then"),
        ({"dilation": 0}, "width=3, dilation=0: a convolution sees no earlier unit then"),
        ({"groups": 3}, "4 inputs and 4 outputs do not split into 3 groups"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        DilatedConvolution(4, 4, **{"width": 3, **options})
