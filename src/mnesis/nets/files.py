"""Memories and networks as folders: config.json and model.safetensors; a run's folder is read too.

A folder is somebody's word: its names are those of the catalog unless it is trusted, and what its configuration asks
for is compared with its weights before anything is allocated.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypedDict, cast

import torch
from torch import Tensor

from ..core.catalog import as_of, cards, catalog_alone, create_memory, memory_called
from ..core.domain import Size, argument_domains, fault, nearest, shown_text
from ..core.files import parse_json, read_json, write_json
from ..core.made_by import told
from ..core.memory import Memory
from ..core.run_files import is_exported, is_under_way, of_run
from ..core.specification import NETWORKS, specification
from ..core.tensors import DTYPES, TensorFile, open_tensors, write_tensors
from .bounded import bounded

CONFIG, WEIGHTS = "config.json", "model.safetensors"
PREFIX = "network."
"""Of the weights' names in a folder for transformers, whose model has the network inside."""
_MEND = "save it anew with mnesis.nets.save(network, folder)"
_TIED = "tied"
"""Of the weights' file: names that share a tensor with another, and that one's name."""


class _Network(TypedDict):
    """A network by the name of its class."""

    network: str
    arguments: dict[str, Any]


class _Bare(TypedDict):
    """A memory by its name in the catalog, or of its class."""

    memory: str
    arguments: dict[str, Any]


class _Trained(TypedDict):
    """What a training says of the memory that it trained: its class, and its arguments as JSON."""

    memory: str
    arguments: str


def build(
    description: dict[str, Any],
    *,
    trust: bool = False,
    revisions: dict[str, int] | None = None,
    source: str = "the specification",
) -> Memory:
    """The network or memory that a specification names, with fresh weights.

    Args:
        description: as :func:`specification` gives it.
        trust: let it name classes outside the catalog, ``file.py:Class`` or ``module:Class``, whose code then runs.
        revisions: of its memories, where they are to compute as an earlier version of them did.
        source: where the specification stands, for sentences.

    Raises:
        ValueError: it names what there is not, or what must be trusted, or arguments that are none.
    """
    revisions = _revisions({"revisions": revisions or {}}, source)
    return _build(_as_saved(description, revisions, source), source, trust)


def save(
    network: Memory, folder: str | os.PathLike[str], *, overwrite: bool = False, dtype: torch.dtype | None = None
) -> None:
    """Write a network or a memory to a folder.

    Parameters that share a tensor are kept once and share it again when loaded.

    Args:
        network: a LanguageModel, Classifier, Stack or PictureModel built from names, or any memory; one outside the
            catalog is named by its class, and needs ``trust`` to be loaded.
        folder: made if missing.
        overwrite: allow to replace weights that stand there.
        dtype: of stored floating-point weights; float16 halves the file.

    Raises:
        ValueError: what was built from objects, weights that stand there, or a place that cannot be written.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).exists() and not overwrite:
        raise ValueError(f"{folder} already holds {WEIGHTS}; choose another folder or pass overwrite")
    if (
        (folder / CONFIG).exists()
        and not overwrite
        and not (folder / WEIGHTS).exists()
        and not _is_ours(folder / CONFIG)
    ):
        raise ValueError(f"{folder} holds a {CONFIG} of something else; choose another folder or pass overwrite")
    if dtype is not None and dtype not in DTYPES.values():
        raise ValueError(f"dtype={dtype} is none that files hold; give one such as torch.float16")
    description, tensors = specification(network), network.state_dict()
    tied = _tied(tensors)
    kept = {
        name: tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
        if name not in tied
    }
    metadata = {"mnesis": "network"} | ({_TIED: json.dumps(tied)} if tied else {})
    with _no_folder_left(folder):
        write_tensors(folder / WEIGHTS, kept, metadata)
        write_json(folder / CONFIG, {**description, **told(network)})


def _is_ours(config: Path) -> bool:
    """Whether a configuration names a network, as :func:`save` and trainings write it."""
    try:
        content = json.loads(config.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and bool({"network", "memory", "config"} & content.keys())


def load(folder: str | os.PathLike[str], *, trust: bool = False, allow_nan: bool = False) -> Memory:
    """The network or memory of a folder, in evaluation mode.

    Args:
        folder: that :func:`save` or a training wrote, or ``mnesis export``.
        trust: let it name classes outside the catalog, whose code then runs.
        allow_nan: open weights that are not finite too, to look at them.

    Raises:
        FileNotFoundError: no such folder, or a half-written one.
        ValueError: a file that is broken, code that is not trusted, weights that do not fit the configuration or are
            not finite; one sentence.
    """
    with _opened(Path(folder), trust) as (network, file):
        _fill(network, file, allow_nan)
    return network.eval()


def examine(folder: str | os.PathLike[str], *, trust: bool = False) -> None:
    """Compare the configuration of a folder with its weights, as :func:`load` does, and read nothing of these.

    Raises:
        FileNotFoundError: no such folder, or a half-written one.
        ValueError: a file that is broken, code that is not trusted, or weights that do not fit the configuration.
    """
    with torch.device("meta"), _opened(Path(folder), trust) as (network, file):
        _examine(network, file)
        held, shared = network.state_dict(), shared_parameters(network)
        there = file.promises.keys() | {name for name, other in shared.items() if other in file.promises}
        _require_all(file, [name for name in held if name not in there], [name for name in there if name not in held])


@contextlib.contextmanager
def _opened(folder: Path, trust: bool) -> Iterator[tuple[Memory, TensorFile]]:
    """The network that a folder describes, with fresh weights, and the file of its own."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).exists():
            if is_under_way(folder):
                raise FileNotFoundError(
                    f"{folder} has no {name} yet: its training has not ended; the command that began it goes on where "
                    "it stopped"
                )
            raise FileNotFoundError(f"{folder} has no {name}; it is no saved network, or a run that has not finished")
    source, written = str(folder / CONFIG), read_json(folder / CONFIG, dict[str, Any], mend=_MEND)
    content = of_run(written, source, mend=_MEND)
    own = {key: value for key, value in content.items() if key != "revisions"}
    described = own if "network" in own or isinstance(own.get("memory"), str) else _inside(own)
    if not isinstance(described, dict) and isinstance(written.get("model_type"), str):
        raise ValueError(
            f"{folder} is a pretrained model ({shown_text(written['model_type'])}), which has no memory; give it one "
            f"with mnesis train babilong --host {folder}, or with mnesis.nets.HostedLanguageModel"
        )
    if not isinstance(described, dict):
        raise ValueError(f"{source} names no network, as 'network', 'memory' or config.model; {_MEND}")
    with open_tensors(folder / WEIGHTS, mend=_MEND) as file:
        if is_exported(written):
            file.promises = {name.removeprefix(PREFIX): promise for name, promise in file.promises.items()}
        sizes = [promise.nbytes // DTYPES[promise.dtype].itemsize for promise in file.promises.values()]
        with bounded(max(sizes, default=0), len(sizes)) if not trust else contextlib.nullcontext():
            network = _build(_as_saved(described, _revisions(content, source), source), source, trust)
        yield network, file


def load_weights(network: Memory, path: str | os.PathLike[str], *, allow_nan: bool = False) -> None:
    """Fill a network from a safetensors file, in the network's own dtype.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is broken, does not fit the network, or holds what is not finite and not allowed.
    """
    with open_tensors(path, mend=_MEND) as file:
        _fill(network, file, allow_nan)


def _revisions(content: dict[str, Any], config: str) -> dict[str, int]:
    """Those of the memories of a folder that are not the first; files of earlier versions name none."""
    found = content.get("revisions", {})
    if wrong := fault(found, dict[str, Size], "revisions"):
        raise ValueError(f"{config} cannot be read: {wrong}; {_MEND}")
    known = {card.name: card.revision for card in cards("memories")}
    for name, revision in found.items():
        if revision > known.get(name, revision):
            raise ValueError(
                f"{config} is of revision {revision} of {name}, and this version of mnesis has {known[name]}; update "
                "mnesis"
            )
    return found


def _as_saved(described: dict[str, Any], revisions: dict[str, int], config: str) -> dict[str, Any]:
    """A specification by which the memories of a folder compute as when it was written."""
    try:
        return as_of(described, revisions)
    except ValueError as error:
        raise ValueError(f"{config} describes a network that cannot be built: {error}") from None


def _inside(content: dict[str, Any]) -> Any:
    """The specification in a run's configuration: its ``model``, or what was trained says itself."""
    config, trained = content.get("config"), content.get("memory")
    for described in (content, config):
        if isinstance(described, dict) and "model" in described:
            return described["model"]
    if fault(trained, _Trained):
        return None
    name, text = (cast(_Trained, trained)[key] for key in ("memory", "arguments"))
    arguments = parse_json(text, dict[str, Any], source=f"the arguments of {name}", mend=_MEND)
    network = next((key for key, target in NETWORKS.items() if f"mnesis.{target}" == name), None)
    if network is not None:
        return {"network": network, "arguments": arguments}
    card = memory_called(name)
    return {"memory": card.name if card else name, "arguments": arguments}


def _build(described: dict[str, Any], source: str, trust: bool) -> Memory:
    found = fault(described, _Bare if "memory" in described else _Network)
    if found:
        raise ValueError(f"{source} does not describe a network: {found}; {_MEND}")
    arguments = described["arguments"]
    with contextlib.nullcontext() if trust else catalog_alone(source):
        try:
            if "memory" in described:
                return create_memory(described["memory"], **arguments)
            return _network(described["network"])(**_known(described["network"], arguments))
        except ValueError as error:
            if str(error).startswith(source):
                raise
            raise ValueError(f"{source} describes a network that cannot be built: {error}") from error
        except Exception as error:  # of whatever a constructor makes of numbers that belong to no network
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise ValueError(f"{source} describes a network that cannot be built ({reason}); {_MEND}") from error


def _network(name: str) -> type[Memory]:
    if name not in NETWORKS:
        near = nearest(name, NETWORKS)
        raise ValueError(
            f"no network is called {name!r}; " + (f"did you mean {near!r}?" if near else _known_networks())
        )
    module, _, own = NETWORKS[name].rpartition(":")
    return getattr(import_module(f"mnesis.{module}"), own)


def _known_networks() -> str:
    return f"known are {', '.join(NETWORKS)}"


def _known(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    known = argument_domains(_network(name))
    for key in arguments:
        if key not in known:
            near = nearest(key, known)
            hint = f"did you mean {near!r}?" if near else f"it takes {', '.join(known)}"
            raise ValueError(f"{name} has no argument {key!r}; {hint}")
    return arguments


def _examine(network: Memory, file: TensorFile) -> None:
    """Compare what a file promises with a network, which may stand on the meta device; nothing is read.

    Raises:
        ValueError: they do not fit.
    """
    held = network.state_dict()
    for name, promise in file.promises.items():
        dtype = DTYPES[promise.dtype]
        if name in held and held[name].dtype.is_floating_point != dtype.is_floating_point:
            raise ValueError(f"{file.path} holds {name} as {dtype}, and its network as {held[name].dtype}; {_MEND}")
    for name, promise in file.promises.items():
        if name in held and promise.shape != tuple(held[name].shape):
            raise _unfit(file, f"{name} has the shape {list(promise.shape)}, and there {list(held[name].shape)}")


def _fill(network: Memory, file: TensorFile, allow_nan: bool) -> None:
    _examine(network, file)
    held, tensors = network.state_dict(), {}
    for name in file.promises:
        tensors[name] = tensor = file.read(name)
        if not allow_nan and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            what = "NaN" if bool(tensor.isnan().any()) else "infinity"
            raise ValueError(
                f"{file.path} holds {what} in {name}: the training diverged; train with a smaller learning rate, or "
                "load with allow_nan=True to look at it"
            )
    tied = _told_ties(file, held, tensors)
    own = _tied(held)
    tensors |= {name: tensors[other] for name, other in (own | tied).items() if name in held and other in tensors}
    try:
        missing, surplus = network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise _unfit(file, str(error).strip().split("\n")[-1].strip()) from None
    _require_all(file, missing, surplus)
    for name, other in tied.items():
        if own.get(name) != other:
            _tie(network, name, other)


def shared_parameters(network: Memory) -> dict[str, str]:
    """Names of parameters that are the same as an earlier one, and the name of that; on the meta device too."""
    first: dict[int, str] = {}
    named = network.named_parameters(remove_duplicate=False)
    return {name: first[id(part)] for name, part in named if first.setdefault(id(part), name) != name}


def _require_all(file: TensorFile, missing: list[str], surplus: list[str]) -> None:
    for names, what in ((missing, "lacks"), (surplus, "has beside it")):
        if names:
            raise _unfit(file, f"it {what} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""))


def _unfit(file: TensorFile, reason: str) -> ValueError:
    return ValueError(f"{file.path} does not fit the network of its {CONFIG}: {reason}; {_MEND}")


def _tied(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Names of tensors that are the same as an earlier one, and the name of that."""
    first: dict[Any, str] = {}
    tied = {}
    for name, tensor in tensors.items():
        if tensor.numel() and not tensor.is_meta:
            place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            if first.setdefault(place, name) != name:
                tied[name] = first[place]
    return tied


def _told_ties(file: TensorFile, held: dict[str, Tensor], tensors: dict[str, Tensor]) -> dict[str, str]:
    """What the file says of shared tensors."""
    try:
        tied = json.loads(file.metadata.get(_TIED, "{}"))
    except (ValueError, RecursionError):
        tied = None
    if fault(tied, dict[str, str]):
        raise _unfit(file, f"its list of shared tensors is none ({file.metadata[_TIED][:60]!r})")
    for name, other in cast(dict[str, str], tied).items():
        fits = name in held and other in held and held[name].shape == held[other].shape
        if not fits or name in tensors or other not in tensors:
            raise _unfit(file, f"{name} shares the tensor of {other}, and cannot there")
    return cast(dict[str, str], tied)


def _tie(network: Memory, name: str, other: str) -> None:
    """Let a parameter be the same as another."""
    place, _, leaf = name.rpartition(".")
    of, _, same = other.rpartition(".")
    setattr(network.get_submodule(place), leaf, getattr(network.get_submodule(of), same))


@contextlib.contextmanager
def _no_folder_left(folder: Path) -> Iterator[None]:
    """Remove a folder that was made for what then could not be written."""
    made = not folder.exists()
    try:
        yield
    except BaseException:
        if made:
            for name in (WEIGHTS, CONFIG):
                (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
