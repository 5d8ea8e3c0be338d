"""The networks that all generative models here are made of, so that they differ in their memory alone.

Each of two families has the same parts: encoders of pictures, an encoder of templates (what was taken from a bank), and
a decoder. ``MLPNetworks`` and ``ConvolutionNetworks`` follow Bornschein et al. 2017
(arXiv 1709.07116, section 4); what it leaves open is chosen here and said beside the line.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..core.domain import Checked
from .gaussian import DiagonalGaussian

HIDDEN = 256
"""Between a pyramid and what is read off it; the paper names one hidden layer without its width."""


START = 0.1
"""Of the decoder's last weights, where a training starts from the mean picture."""


class Template(NamedTuple):
    """What the networks make of slots, one row a slot: any leaf can be gathered by address."""

    prior: Float[Tensor, "*B Z2"] | None
    """Outputs of p(z | m); None where z does not depend on the slot."""
    vector: Float[Tensor, "*B V"]
    """What the decoder reads beside z."""
    levels: tuple[Float[Tensor, "*B ..."], ...]
    """Maps for the decoder's skip connections, finest first."""

    def each(self, function: Callable[[Tensor], Tensor]) -> Template:
        """The same function of every leaf: such as slots' rows to reads' rows."""
        prior = None if self.prior is None else function(self.prior)
        return Template(prior, function(self.vector), tuple(function(level) for level in self.levels))


Layer = TypeVar("Layer", bound=nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
Take = Callable[[Tensor], Tensor]
"""From rows of slots to rows of reads: those at the addresses, or blends."""


class Networks(Checked, nn.Module, ABC):
    """Encoders and decoder of one family.

    Args:
        image: height and width of pictures.
        latent: width of z.
        match: E, width of keys and queries.
        channels: of the decoder's output, as the likelihood asks for.
        template: shape of a slot; None = a model without memory.
        addressed: the slot is chosen before z: there are queries, p(z | m) and q(z | x, m). Else z comes first, and its
            posterior sees the picture alone.
        tied: one embedding for keys and queries, h = h^q (tried in the text, where it made no difference); of slots
            that are pictures.

    Raises:
        ValueError: an address without a slot to lead to, or one embedding for what is not alike.
    """

    def __init__(
        self,
        image: tuple[int, int],
        *,
        latent: int,
        match: int,
        channels: int,
        template: tuple[int, ...] | None,
        addressed: bool,
        tied: bool = False,
    ) -> None:
        super().__init__()
        if tied and not (addressed and template == image):
            what = f"slots are {template}" if addressed else "these networks have no queries"
            raise ValueError(f"tied=True embeds pictures and slots alike, and {what}; leave it out")
        self.image, self.latent, self.match, self.channels = image, latent, match, channels
        self.template_shape, self.addressed = template, addressed
        given = [image]
        if addressed:
            if template is None:
                raise ValueError("an address leads to a slot; give the template's shape, or addressed=False")
            given = [image, template]
            self.query = self._encoder([image], match)
        self.posterior_encoder = self._encoder(given, 2 * latent)
        if template is not None:
            self.key = self.query if tied else self._encoder([template], match)

    @abstractmethod
    def _encoder(self, parts: Sequence[tuple[int, ...]], outputs: int) -> Encoder: ...

    @abstractmethod
    def template(self, slot: Float[Tensor, "N ..."]) -> Template:
        """What prior and decoder read of slots."""

    @abstractmethod
    def decode(
        self, z: Float[Tensor, "*B Z"], template: Template | None = None, take: Take | None = None
    ) -> Float[Tensor, "*B C H W"]:
        """The likelihood's parameters.

        Args:
            z: latents.
            template: a row for every z, with the same leading axes; or, with ``take``, a row a slot.
            take: from slots' rows to those of every z, linear, such as a read's. What is the same for all who read a
                slot is then worked out once.
        """

    def start_from(
        self,
        pixels: Float[Tensor, "N H W"],
        constant: Callable[[Float[Tensor, "n h w"]], Float[Tensor, "C h w"]],
    ) -> None:
        """Have the decoder begin with what is best said of all pictures alike, and with a tenth of what else it says.

        Args:
            pixels: the pictures.
            constant: of a likelihood.

        Raises:
            ValueError: a family that does not say how.
        """
        raise ValueError(f"{type(self).__name__} says no start; write its start_from, or train without one")

    def posterior(self, x: Float[Tensor, "*B H W"], slot: Float[Tensor, "*B ..."] | None = None) -> DiagonalGaussian:
        """q(z | x, m) of addressed networks, else q(z | x)."""
        given = [x, slot] if self.addressed and slot is not None else [x]
        return DiagonalGaussian.of(self.posterior_encoder(*given))


class Encoder(nn.Module, ABC):
    """Pictures or slots that belong together, to one vector; any leading axes."""

    @abstractmethod
    def forward(self, *parts: Float[Tensor, ...]) -> Float[Tensor, "*B F"]: ...


class MLPNetworks(Networks):
    """Two hidden layers of ReLU units each way: 256 then 128 up, 128 then 256 down.

    Args:
        image: height and width of pictures.
        hidden: widths of the encoders; the decoder has them the other way round.
        skip: add s (2 m - 1) to the decoder's output, s learned: the path of high bandwidth from slot to picture that
            the convolutional decoder has by construction. Without it recall of raw pictures through 256 units leaves
            dozens of nats to z. Only where slots are pictures.
        options: as of :class:`Networks`.
    """

    def __init__(
        self, image: tuple[int, int], *, hidden: Sequence[int] = (256, 128), skip: bool = True, **options: Any
    ) -> None:
        self.hidden = tuple(hidden)
        super().__init__(image, **options)
        template, pixels = self.template_shape, math.prod(image)
        width = 0 if template is None else math.prod(template)
        self.decoder = _layers(self.latent + width, self.hidden[::-1], self.channels * pixels)
        if self.addressed and template is not None:
            self.prior_encoder = self._encoder([template], 2 * self.latent)
        self.strength = nn.Parameter(torch.ones(())) if skip and template == image else None

    def _encoder(self, parts: Sequence[tuple[int, ...]], outputs: int) -> Encoder:
        return MLPEncoder([len(shape) for shape in parts], sum(map(math.prod, parts)), self.hidden, outputs)

    def template(self, slot: Float[Tensor, "N ..."]) -> Template:
        return Template(self.prior_encoder(slot) if self.addressed else None, slot.flatten(1), ())

    def decode(self, z, template=None, take=None):
        vector = None if template is None else _taken(template.vector, take)
        given = z if vector is None else torch.cat([z, vector], -1)
        output = self.decoder(given).unflatten(-1, (self.channels, *self.image))
        if self.strength is None or vector is None:
            return output
        ink = self.strength * (2 * vector.unflatten(-1, self.image) - 1)
        return torch.cat([output[..., :1, :, :] + ink[..., None, :, :], output[..., 1:, :, :]], -3)

    @torch.no_grad()
    def start_from(self, pixels, constant):
        _start(self.decoder[-1], constant(pixels).flatten())


class MLPEncoder(Encoder):
    """Flattened parts side by side, through hidden layers."""

    def __init__(self, axes: Sequence[int], inputs: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.axes = tuple(axes)
        self.layers = _layers(inputs, hidden, outputs)

    def forward(self, *parts: Float[Tensor, ...]) -> Float[Tensor, "*B F"]:
        return self.layers(torch.cat([part.flatten(-axes) for part, axes in zip(parts, self.axes, strict=True)], -1))


class ConvolutionNetworks(Networks):
    """Pyramids of 3x3 convolutions, every second one with stride 2; a decoder with skips from the slot's pyramid.

    The slot's pyramid is shared by p(z | m) and the decoder. The text has q(z | m, x) and the decoder tied, whose first
    layers see two pictures and one, and cannot be: the reading that fits its counts of channels is ours. Keys and
    queries have pyramids of their own. Slots must be pictures.

    Args:
        image: height and width of pictures.
        widths: maps of each convolution; the paper has six of 48 or 64.
        options: as of :class:`Networks`.

    Raises:
        ValueError: slots that are no pictures of this size.
    """

    def __init__(
        self, image: tuple[int, int], *, widths: Sequence[int] = (48, 48, 48, 64, 64, 64), **options: Any
    ) -> None:
        self.widths = tuple(widths)
        super().__init__(image, **options)
        template = self.template_shape
        if template not in (None, image):
            raise ValueError(f"a slot of shape {template} is no picture of {image}; take MLPNetworks for it")
        finest, *coarser = _levels(image, self.widths)
        if template is not None:
            self.pyramid = Pyramid(1, self.widths)
            features = coarser[-1].numel
            if self.addressed:
                self.prior_head = _layers(features, (HIDDEN,), 2 * self.latent)
            self.vector_head = _layers(features, (HIDDEN,), self.latent)
        skips = [level.maps if template is not None else 0 for level in (finest, *coarser)]
        self.bottom = coarser[-1]
        width = self.latent * (2 if template is not None else 1)
        self.rise = nn.Sequential(*_layers(width, (HIDDEN,), self.bottom.numel), nn.ReLU())
        stages, maps = [], self.bottom.maps
        for index in reversed(range(len(coarser))):
            below, above = coarser[index], (finest, *coarser)[index]
            stages.append(_Up(maps + skips[index + 1], above.maps, below, above))
            maps = above.maps
        self.stages = nn.ModuleList(stages)
        self.last = _drawn(nn.Conv2d(maps + skips[0], self.channels, 3, padding=1), last=True)
        # Measured: updates on a processor take 0.75 of the time.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def _encoder(self, parts: Sequence[tuple[int, ...]], outputs: int) -> Encoder:
        return ConvolutionEncoder(len(parts), self.image, self.widths, outputs)

    def template(self, slot: Float[Tensor, "N ..."]) -> Template:
        levels = self.pyramid(slot[:, None])
        features = levels[-1].flatten(1)
        prior = self.prior_head(features) if self.addressed else None
        return Template(prior, self.vector_head(features), tuple(levels))

    def decode(self, z, template=None, take=None):
        rows = z.shape[:-1]
        given = z if template is None else torch.cat([z, _taken(template.vector, take)], -1)
        maps = self.rise(given.flatten(0, -2)).unflatten(1, (self.bottom.maps, *self.bottom.size))
        levels = [None] * (len(self.stages) + 1) if template is None else template.levels
        for stage, level in zip(self.stages, levels[:0:-1], strict=True):
            maps = stage(maps, level, take)
        return _beside(self.last, maps, levels[0], take).unflatten(0, rows)

    @torch.no_grad()
    def start_from(self, pixels, constant):
        # A convolution has one bias a channel: all pixels alike.
        _start(self.last, constant(pixels.reshape(-1, 1, 1)).flatten())


class ConvolutionEncoder(Encoder):
    """Pictures as channels of one, through a pyramid and one hidden layer."""

    def __init__(self, inputs: int, image: tuple[int, int], widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(inputs, widths)
        self.head = _layers(_levels(image, widths)[-1].numel, (HIDDEN,), outputs)

    def forward(self, *parts: Float[Tensor, ...]) -> Float[Tensor, "*B F"]:
        rows = torch.broadcast_shapes(*(part.shape for part in parts))[:-2]
        stacked = torch.stack([part.expand(*rows, -1, -1) for part in parts], -3)
        features = self.pyramid(stacked.flatten(0, -4))[-1].flatten(1)
        return self.head(features).unflatten(0, rows)


class Pyramid(nn.Module):
    """3x3 convolutions with ReLU, every second one halving the picture.

    Returns:
        The maps after the first convolution and after every one with stride 2, finest first.
    """

    def __init__(self, inputs: int, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = zip((inputs, *widths[:-1]), widths, strict=True)
        self.convolutions = nn.ModuleList(
            _drawn(nn.Conv2d(before, after, 3, stride=1 + index % 2, padding=1))
            for index, (before, after) in enumerate(pairs)
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B M h w"]]:
        levels = []
        for index, convolution in enumerate(self.convolutions):
            x = convolution(x).relu_()
            if index == 0 or index % 2 or index == len(self.convolutions) - 1:
                levels.append(x)
        return levels


class _Level(NamedTuple):
    maps: int
    size: tuple[int, int]

    @property
    def numel(self) -> int:
        return self.maps * math.prod(self.size)


class _Up(nn.Module):
    """From one level of a pyramid to the next finer one."""

    def __init__(self, inputs: int, outputs: int, below: _Level, above: _Level) -> None:
        super().__init__()
        stride = 1 if below.size == above.size else 2
        rows, columns = (
            fine - (stride * (coarse - 1) + 1) for fine, coarse in zip(above.size, below.size, strict=True)
        )
        self.transposed = _drawn(
            nn.ConvTranspose2d(inputs, outputs, 3, stride, padding=1, output_padding=(rows, columns))
        )
        self.convolution = _drawn(nn.Conv2d(outputs, outputs, 3, padding=1))

    def forward(
        self, x: Float[Tensor, "R C H W"], level: Float[Tensor, "... L H W"] | None, take: Take | None
    ) -> Float[Tensor, "R M h w"]:
        return self.convolution(_beside(self.transposed, x, level, take).relu_()).relu_()


def _beside(
    layer: nn.Conv2d | nn.ConvTranspose2d,
    maps: Float[Tensor, "R M H W"],
    level: Float[Tensor, "... L H W"] | None,
    take: Take | None,
) -> Float[Tensor, "R C h w"]:
    """A layer of a decoder's maps with a slot's level beside them.

    It is linear: where rows are taken from slots, its share of a level is worked out once a slot.
    """
    weight, bias, own = layer.weight, layer.bias, maps.shape[1]
    shape: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "output_padding": layer.output_padding}
    if isinstance(layer, nn.Conv2d):
        # The same as a transposed one. Measured: with one map to put out, forward and back take half the time.
        weight = weight.flip(-2, -1).transpose(0, 1)
    if level is None:
        return F.conv_transpose2d(maps, weight, bias, **shape)
    if take is None:
        return F.conv_transpose2d(torch.cat([maps, level.flatten(0, -4)], 1), weight, bias, **shape)
    share = take(F.conv_transpose2d(level, weight[own:], **shape)).flatten(0, -4)
    return F.conv_transpose2d(maps, weight[:own], bias, **shape).add_(share)


def _taken(rows: Tensor, take: Take | None) -> Tensor:
    return rows if take is None else take(rows)


def _start(last: nn.Module, output: Float[Tensor, " outputs"]) -> None:
    """A last layer that begins with this output, and adds a tenth of what it would."""
    assert isinstance(last, nn.Linear | nn.Conv2d)
    assert last.bias is not None
    last.bias.copy_(output)
    last.weight.mul_(START)


def _levels(image: tuple[int, int], widths: Sequence[int]) -> list[_Level]:
    """The levels that a pyramid returns for pictures of a size."""
    levels, size = [], image
    for index, maps in enumerate(widths):
        size = ((size[0] + 1) // 2, (size[1] + 1) // 2) if index % 2 else size
        if index == 0 or index % 2 or index == len(widths) - 1:
            levels.append(_Level(maps, size))
    return levels


def _layers(inputs: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    widths = (inputs, *hidden)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [_drawn(nn.Linear(before, after)), nn.ReLU()]
    return nn.Sequential(*layers, _drawn(nn.Linear(widths[-1], outputs), last=True))


def _drawn(layer: Layer, *, last: bool = False) -> Layer:
    """Weights that keep the size of what passes through; ``last`` = no ReLU follows.

    He et al. 2015, arXiv 1502.01852; the text names no start. Under torch's own, what depends on the picture shrinks to
    0.4 of itself with every layer: after seven of them all queries are alike, and addresses may never be found.
    """
    fan = layer.weight[0].numel()
    if isinstance(layer, nn.ConvTranspose2d):  # a pixel is reached by one in stride^2 of the kernel's places
        fan = layer.in_channels * math.prod(layer.kernel_size) / math.prod(layer.stride)
    nn.init.normal_(layer.weight, 0.0, math.sqrt((1 if last else 2) / fan))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
