"""Public checkpoints of recurrent models as networks, and networks as models of transformers."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import torch
import transformers
from torch import Tensor, nn

from ...core.domain import fault, nearest
from ...core.files import read_json
from ...core.memory import Memory
from ...core.tensor_header import told
from ...core.tensors import DTYPES, open_tensors
from ..bounded import bounded
from ..language_model import LanguageModel
from ..stack import Stack
from .families import FAMILIES
from .tables import Family, Row, blocks_of, tied

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_MEND = "download the whole checkpoint again, as safetensors"
EARLIER = {"backbone.embedding.weight": "backbone.embeddings.weight"}
"""Names that transformers still reads, and what they are now."""
TOKENS = 12
"""Of the examination of what goes out."""
TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 3e-2}
"""How far its logits may be from the network's, relative to the largest."""


class _Checkpoint(NamedTuple):
    """Tensors somewhere."""

    place: str
    """In sentences."""
    configuration: Any
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], Tensor]
    """A tensor that nobody else has."""
    device: torch.device = torch.device("cpu")


def from_pretrained(source: str | os.PathLike[str] | nn.Module, *, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """A released recurrent model as a network that gives the same logits.

    Families: Mamba, Mamba-2, RecurrentGemma and xLSTM as transformers has them, and GLA, DeltaNet and Gated DeltaNet of
    flash-linear-attention, whose package is not needed. What comes in is a memory like any other: it steps, it is cut
    and reset anywhere, takes rows of any length, is saved by :func:`mnesis.nets.save` and trained on.

    Args:
        source: a folder with config.json and safetensors, or a model of transformers. Nothing is downloaded, no pickle
            is opened, and no code of a checkpoint runs.
        dtype: of the weights.

    Returns:
        The network, in evaluation mode.

    Raises:
        FileNotFoundError: no such folder, or a file of it is missing.
        ValueError: a family or a configuration that has no network here; tensors that are missing, too many or of
            another shape, by name; weights that are pickled.
    """
    with _opened(source) as checkpoint:
        family = _family(checkpoint)
        configuration, sizes = checkpoint.configuration, [math.prod(shape) for shape in checkpoint.shapes.values()]
        try:
            arguments = family.arguments(configuration)
            with bounded(max(sizes, default=0), len(sizes)), torch.device("meta"):
                network = LanguageModel(**arguments)
        except AttributeError as error:
            raise ValueError(f"the configuration of {checkpoint.place} has no {error.name}; {_MEND}") from None
        rows = family.rows(network, configuration)
        held = network.state_dict()
        _check_names(family, checkpoint, rows, held)
        tensors = {row.ours: row.whole(checkpoint.read, held[row.ours], dtype).to(checkpoint.device) for row in rows}
        if configuration.tie_word_embeddings:
            _check_tie(family, checkpoint)
            tensors["head.weight"] = tensors["reader.embedding.weight"]
    network.load_state_dict(tensors, assign=True)
    if configuration.tie_word_embeddings:
        cast(Any, network.reader.embedding).weight = network.head.weight
    return network.eval()


def to_huggingface(network: Memory[Any], **settings: Any) -> transformers.PreTrainedModel:
    """A network as a model of transformers, whose own ``save_pretrained`` writes what others load.

    Args:
        network: a :class:`~mnesis.nets.LanguageModel` of Mamba or Mamba-2 without MLPs, of Griffin as released, or of
            mLSTM with SwiGLU MLPs.
        settings: what else its configuration says, such as ``eos_token_id``.

    Returns:
        The model, in evaluation mode, with copies of the weights. It has been compared with the network on a few random
        tokens.

    Raises:
        ValueError: a network that transformers has no model for, and what of it is in the way.
    """
    family, network, memory = _family_of(network)
    configuration = getattr(transformers, cast(str, family.configuration))(
        **family.configured(network, memory), **settings
    )
    wanted = family.arguments(configuration)
    for name in ("embedding_scale", "softcap"):
        own, theirs = (given.get(name, LanguageModel.added[name]) for given in (network.config, wanted))
        if own != theirs:
            raise ValueError(f"{family.architecture} has {name}={theirs}, and this network {own}; build it with theirs")
    held = network.state_dict()
    if tied(network):
        del held["head.weight"]
    rows = {row.ours: row for row in family.rows(network, configuration)}
    for names, what in ((held.keys() - rows, "has no place for"), (rows.keys() - held, "needs")):
        if names:
            raise ValueError(
                f"{family.architecture} {what} {min(names)}; give it a network of its own layers, as from_pretrained "
                "builds them"
            )
    like = next(network.parameters())
    model = getattr(transformers, family.architecture)(configuration)
    model = model.to(like.device, like.dtype).eval()
    given = {name: part for own, row in rows.items() for name, part in row.parts(held[own]).items()}
    missing, surplus = model.load_state_dict(given, strict=False)
    if surplus or set(missing) - {family.head}:
        raise ValueError(f"{family.architecture} of this transformers has other weights: {[*surplus, *missing][:3]}")
    _compare(network, model)
    return model


def _family_of(network: Memory[Any]) -> tuple[Family, LanguageModel, Memory[Any]]:
    """Which family a network is of, the network, and the first of its memories."""
    if isinstance(network, LanguageModel) and isinstance(network.reader.body, Stack):
        memories = [block.memory for block in blocks_of(network)]
        for family in FAMILIES.values():
            known = all(type(memory) in family.memories for memory in memories)
            if known and type(memories[0]) is family.memories[0]:
                return family, network, memories[0]
    outwards = ", ".join(family.architecture for family in FAMILIES.values() if family.back)
    inside = ""
    if isinstance(network, LanguageModel):
        inside = f" of {network.config['memory']!r}"
    raise ValueError(f"transformers has no model for a {type(network).__name__}{inside}; there are {outwards}")


@torch.no_grad()
def _compare(network: LanguageModel, model: transformers.PreTrainedModel) -> None:
    """Refuse what computes otherwise: norms of another kind, other nonlinearities."""
    generator = torch.Generator().manual_seed(0)
    weight = cast(Tensor, network.head.weight)
    ids = torch.randint(network.vocabulary, (1, TOKENS), generator=generator).to(weight.device)
    own = network(ids)[0].double()
    gap = float((cast(Any, model)(ids, use_cache=False).logits - own).abs().max() / own.abs().max().clamp_min(1e-6))
    if not gap <= TOLERANCE[weight.dtype]:
        raise ValueError(
            f"{type(model).__name__} computes otherwise than this network, by {gap:.1e} of the largest logit; give "
            "it a network of its own layers, as from_pretrained builds them"
        )


def _family(checkpoint: _Checkpoint) -> Family:
    kind = getattr(checkpoint.configuration, "model_type", None)
    if kind not in FAMILIES:
        near = nearest(str(kind), FAMILIES)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(FAMILIES)}"
        raise ValueError(
            f"{checkpoint.place} is of model_type {kind!r}, which does not come in; {hint} (Transformers can be hosts: "
            "HuggingFaceHost)"
        )
    return FAMILIES[kind]


def _check_names(family: Family, checkpoint: _Checkpoint, rows: list[Row], held: dict[str, Tensor]) -> None:
    """Every tensor that there should be, and no other, each in its shape."""
    place, found = checkpoint.place, checkpoint.shapes
    wanted = {name: tuple(part.shape) for row in rows for name, part in row.parts(held[row.ours]).items()}
    spare = {family.head} if family.head not in wanted else set()
    for names, what, mend in (
        ([name for name in wanted if name not in found], "lacks", _MEND),
        (
            [name for name in found if name not in wanted and name not in spare],
            "holds",
            f"which {family.architecture} of its configuration has no place for; give a checkpoint of that alone",
        ),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ValueError(f"{place} {what} {names[0]}{more}{', ' if what == 'holds' else '; '}{mend}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ValueError(
                f"{place} holds {name} in the shape {list(found[name])}, and its configuration makes it {list(shape)}; "
                "give the config.json that belongs to the weights"
            )


def _check_tie(family: Family, checkpoint: _Checkpoint) -> None:
    """A head beside an embedding that it is said to be."""
    if family.head in checkpoint.shapes:
        head, embedding = checkpoint.read(family.head), checkpoint.read(family.embedding)
        if not torch.equal(head, embedding):
            raise ValueError(
                f"{checkpoint.place} holds {family.head}, which differs from {family.embedding}, and its configuration "
                "ties both; say tie_word_embeddings=false there"
            )


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | nn.Module) -> Iterator[_Checkpoint]:
    """The tensors of a model or a folder, by the names that they have now."""
    if isinstance(source, nn.Module):
        tensors = source.state_dict()
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        device = next((tensor.device for tensor in tensors.values()), torch.device("cpu"))
        known = _checkpoint(
            type(source).__name__, getattr(source, "config", None), shapes, lambda name: tensors[name].clone()
        )
        yield known._replace(device=device)
        return
    folder = Path(source)
    files = _files(folder)
    with contextlib.ExitStack() as stack:
        shapes: dict[str, tuple[int, ...]] = {}
        readers: dict[str, Callable[[str], Tensor]] = {}
        for path in files:
            file = stack.enter_context(open_tensors(path, mend=_MEND))
            for name, promise in file.promises.items():
                if not DTYPES[promise.dtype].is_floating_point:
                    raise ValueError(
                        f"{file.path} holds {name} as {DTYPES[promise.dtype]}; give weights that are not quantised"
                    )
                shapes[name], readers[name] = promise.shape, file.read
        yield _checkpoint(told(folder), _configuration(folder, len(shapes)), shapes, lambda name: readers[name](name))


def _checkpoint(
    place: str, configuration: Any, shapes: dict[str, tuple[int, ...]], read: Callable[[str], Any]
) -> _Checkpoint:
    earlier = {EARLIER.get(name, name): name for name in shapes}
    return _Checkpoint(
        place, configuration, {now: shapes[name] for now, name in earlier.items()}, lambda name: read(earlier[name])
    )


def _files(folder: Path) -> list[Path]:
    """The safetensors of a folder: one file, or those that its index names."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no folder {told(folder)}; nothing is downloaded here: hf download OWNER/NAME --local-dir FOLDER does that"
        )
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / INDEX).exists():
        index = read_json(folder / INDEX, dict[str, Any], mend=_MEND)
        names = index.get("weight_map")
        if found := fault(names, dict[str, str], "weight_map"):
            raise ValueError(f"{told(folder / INDEX)} cannot be read: {found}; {_MEND}")
        files = sorted(set(cast(dict[str, str], names).values()))
        for file in files:
            if Path(file).name != file:
                raise ValueError(f"{told(folder / INDEX)} names {file!r}, which is no file beside it; {_MEND}")
        return [folder / file for file in files]
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickles:
        raise ValueError(
            f"{told(folder)} holds {pickles[0]}, a pickle, which can run code and is not opened; give safetensors, as "
            "model.save_pretrained of transformers writes them"
        )
    raise FileNotFoundError(f"{told(folder)} has no {WEIGHTS}; {_MEND}")


def _configuration(folder: Path, tensors: int) -> Any:
    """What config.json says, and what it leaves out."""
    content = read_json(folder / CONFIG, dict[str, Any], mend=_MEND, finite=False)
    layers = content.get("num_hidden_layers")
    if isinstance(layers, int) and layers > tensors:  # transformers would make lists as long
        raise ValueError(
            f"{told(folder / CONFIG)} says num_hidden_layers={layers}, and beside it are {tensors} tensors; give the "
            "config.json that belongs to the weights"
        )
    family = FAMILIES.get(content["model_type"]) if isinstance(content.get("model_type"), str) else None
    if family is None or family.configuration is None:
        return SimpleNamespace(**{**(family.defaults if family else {}), **content})
    try:
        return getattr(transformers, family.configuration).from_json_file(folder / CONFIG)
    except Exception as error:  # of whatever its checks make of values that belong to no model
        reason = " ".join(str(error).split())
        raise ValueError(f"{told(folder / CONFIG)} is none of {family.architecture} ({reason}); {_MEND}") from None
