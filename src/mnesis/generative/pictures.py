"""A model of pictures that is made from names and numbers alone, so that a folder says how to open it again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch

from ..core.files import read_json, write_json
from ..core.run_files import CONFIG
from ..nets.files import load, save
from ..tasks.images.sources import LARGEST
from .generation import Generation
from .model import find_likelihood
from .networks import ConvolutionNetworks
from .variational_memory_addressing import VariationalMemoryAddressing

SMALLEST = 12
"""Pixels of a side: below there is nothing to halve three times."""


class PictureModel(Generation):
    """Variational memory addressing with convolutions, of a bank of pictures.

    Source: Bornschein et al. 2017, arXiv 1709.07116.

    Args:
        image: height and width of pictures, 12 to 64 each.
        widths: maps of each convolution.
        latent: width of z.
        match: width of keys and queries.
        likelihood: "bernoulli" of binary pictures, "gaussian" or "discretised-logistic" of grey ones.
        samples: K of the bound in training.

    Raises:
        ValueError: pictures of another size, or an unknown likelihood.
    """

    def __init__(
        self,
        image: Sequence[int],
        *,
        widths: Sequence[int] = (16, 16, 32, 32, 32, 32),
        latent: int = 32,
        match: int = 64,
        likelihood: str = "bernoulli",
        samples: int = 4,
    ) -> None:
        if len(image) != 2:
            raise ValueError(f"image={list(image)} is no height and width; give two numbers")
        height, width = image
        if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
            raise ValueError(
                f"pictures of {width}x{height} pixels are not modelled, those with sides from {SMALLEST} to {LARGEST} "
                "are; --side 28 resizes them"
            )
        networks = ConvolutionNetworks(
            (height, width),
            widths=widths,
            latent=latent,
            match=match,
            channels=find_likelihood(likelihood).channels,
            template=(height, width),
            addressed=True,
        )
        # Lessons draw targets that do not stand in their bank.
        super().__init__(
            VariationalMemoryAddressing(networks, likelihood=likelihood), samples=samples, allow_targets=True
        )

    @property
    def addressed(self) -> VariationalMemoryAddressing:
        """The model inside, which reads banks by addresses."""
        return cast(VariationalMemoryAddressing, self.model)

    @property
    def image(self) -> tuple[int, int]:
        """Height and width of pictures."""
        return self.model.networks.image


def store(run: str | os.PathLike[str], folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a finished run as it ships with the package: its weights in float16, and its whole config.json.

    Args:
        run: the folder of a training of pictures.
        folder: such as ``src/mnesis/pictures/omniglot``, by whose name ``mnesis generate`` finds it.
        overwrite: allow to replace what stands there.

    Raises:
        FileNotFoundError: no such run, or one that has not finished.
        ValueError: another network, or a folder that holds one.
    """
    network = load(run)
    if not isinstance(network, PictureModel):
        raise ValueError(
            f"{Path(run)} holds a {type(network).__name__}, no model of pictures; give a run of mnesis train"
        )
    config = read_json(Path(run) / CONFIG, dict[str, Any], mend="train the run anew")
    save(network, folder, overwrite=overwrite, dtype=torch.float16)
    write_json(Path(folder) / CONFIG, config)
