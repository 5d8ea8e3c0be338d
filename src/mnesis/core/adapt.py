"""What is not a Memory, as one: any callable ``(sequence, state) -> (sequence, state)``, torch's RNNs, transformers.

The laws are written for a :class:`Memory`; these adapters let them be measured on other people's classes. They offer
what is wrapped and no more: nothing here makes a reset or a ragged row out of what has none.
"""

from __future__ import annotations

import inspect
import io
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Int
from torch import Tensor, nn

from .memory import Memory
from .pieces import first_leaf

SMALL = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "pad_token_id": None,
}
"""Of a transformers model that is built to be examined, where its configuration knows them and nothing else is said."""

NO_RESETS = {
    "resets": "it takes no resets",
    "padding": "it takes no lengths of rows",
    "late": "no counter in its state can be moved",
    "compiles": "compile what is wrapped by itself",
}


class AdaptedState(NamedTuple):
    """Somebody's state: its tensors, with rows first, and what else it is made of."""

    kind: Int[Tensor, " B"]
    """Which of the structures that were met so far, the same for all rows; -1 = none yet, a fresh start."""
    tensors: tuple[Tensor, ...]


class Adapted(Memory[AdaptedState]):
    """A callable that reads a sequence from a state, as a memory.

    A state may be anything that consists of tensors and plain values: a tensor, tuples, lists, dictionaries, objects
    such as a cache. It is taken apart into tensors, made anew for every call, and never changed. None stands for a
    fresh start.

    Args:
        call: ``(x, state or None) -> (y, state)``; an nn.Module is examined with its parameters.
        dim: width of the input vectors, or
        vocabulary: number of token ids, where it reads those.
        batch_axis: of the tensors in a state; 1 for torch's RNNs.
        batch_first: False where x and y are ``[time, batch, ...]``.

    Raises:
        ValueError: neither dim nor vocabulary, or a call that does not return a sequence and a state.
    """

    def __init__(
        self,
        call: Callable[[Tensor, Any], tuple[Tensor, Any]],
        *,
        dim: int | None = None,
        vocabulary: int | None = None,
        batch_axis: int = 0,
        batch_first: bool = True,
    ) -> None:
        super().__init__()
        if (dim is None) == (vocabulary is None):
            raise ValueError("give either dim, the width of the vectors that are read, or vocabulary, of the token ids")
        self.call, self.dim, self.batch_axis, self.batch_first = call, dim, batch_axis, batch_first
        if vocabulary is not None:
            self.vocabulary = vocabulary
        self.structures: list[bytes] = []
        self.lacks = dict(NO_RESETS) | self._tried()
        """Laws that ask for what it does not offer, and what that is."""

    @property
    def bounded(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the state had the same size after one unit and after two."""
        return "bounded" not in self.lacks

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> AdaptedState:
        """A fresh start; its tensors have the shapes that they have after one unit, and are not read."""
        with torch.no_grad():
            state = self.scan(self._zeros(batch, device, dtype), self._start(batch, device))[1]
        return AdaptedState(torch.full_like(state.kind, -1), tuple(map(torch.zeros_like, state.tensors)))

    def scan(self, x: Tensor, state: AdaptedState, phase: int = 0) -> tuple[Tensor, AdaptedState]:
        batch = first_leaf(x).shape[0]
        y, after = self._called(x, self._rebuilt(state, batch))
        return y, self._taken_apart(after, batch)

    def _called(self, x: Tensor, own: Any) -> tuple[Tensor, Any]:
        result = self.call(x if self.batch_first else x.transpose(0, 1), own)
        if not (isinstance(result, tuple) and len(result) == 2):
            found = f"{len(result)} things" if isinstance(result, (tuple, list)) else f"a {type(result).__name__}"
            raise ValueError(f"{self._name} returns {found}; let it return a sequence and a state: (y, state)")
        y, after = result
        return (y if self.batch_first else y.transpose(0, 1)), after

    @property
    def _name(self) -> str:
        inner = getattr(self.call, "model", self.call)
        return getattr(inner, "__name__", type(inner).__name__)

    def _zeros(self, batch: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        if self.dim is None:
            return torch.zeros(batch, 1, dtype=torch.long, device=device)
        if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
            dtype = next((p.dtype for p in self.parameters()), dtype)  # as inputs are that autocast is to narrow
        return torch.zeros(batch, 1, self.dim, dtype=dtype, device=device)

    def _start(self, batch: int, device: torch.device) -> AdaptedState:
        return AdaptedState(torch.full((batch,), -1, device=device), ())

    def _tried(self) -> dict[str, str]:
        """What two units show of a state, by the laws that it bears on."""
        like = next((p for p in self.parameters() if p.is_floating_point()), torch.empty(0))
        x, found = self._zeros(2, like.device, like.dtype), {}
        with torch.no_grad():
            first = self.scan(x, self._start(2, like.device))[1]
            own = self._rebuilt(first, 2)
            second = self._taken_apart(self._called(x, own)[1], 2)
            given = self._taken_apart(own, 2)
        shapes = [[tuple(leaf.shape) for leaf in state.tensors] for state in (first, second)]
        if shapes[0] != shapes[1]:
            sizes = [sum(leaf.nbytes for leaf in state.tensors) // 2 for state in (first, second)]
            found["bounded"] = f"its state grows: {sizes[0]:,} bytes a row after one unit, {sizes[1]:,} after two"
        if not _is_tree(own):
            found["saved"] = f"its state is a {type(own).__name__} and no tree of tensors"
        same = torch.equal(given.kind, first.kind) and shapes[0] == [tuple(leaf.shape) for leaf in given.tensors]
        if not (same and all(map(torch.equal, given.tensors, first.tensors))):
            found["purity"] = "it changes the state that it is given, so that it is handed a copy here"
        return found

    def _taken_apart(self, own: Any, batch: int) -> AdaptedState:
        tensors: dict[int, Tensor] = {}

        def is_state(leaf: Tensor) -> bool:
            return leaf.ndim > self.batch_axis and leaf.shape[self.batch_axis] == batch

        def place(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return None
            if is_state(value):
                tensors[id(value)] = value
                return list(tensors).index(id(value))
            return (tuple(value.shape), value.dtype, value.detach().flatten().tolist())

        file = io.BytesIO()
        pickler = pickle.Pickler(file)
        pickler.fast = True  # without references to what came before, so that equal structures are equal bytes
        pickler.persistent_id = place  # pyright: ignore[reportAttributeAccessIssue]
        pickler.dump(own)
        if (bytes_ := file.getvalue()) not in self.structures:
            self.structures.append(bytes_)
        moved = tuple(leaf.movedim(self.batch_axis, 0) for leaf in tensors.values())
        device = next((leaf.device for leaf in moved), None)
        return AdaptedState(torch.full((batch,), self.structures.index(bytes_), device=device), moved)

    def _rebuilt(self, state: AdaptedState, batch: int) -> Any:
        """Somebody's state as it was, out of copies of its tensors."""
        kinds = set(state.kind.tolist())
        if len(kinds) > 1:
            raise ValueError(
                f"{self._name} cannot read rows from states of {len(kinds)} kinds at once; read them apart"
            )
        if (kind := kinds.pop()) < 0:
            return None
        if kind >= len(self.structures):
            raise ValueError(f"this state was returned by another adapter of {self._name}; go on with that one")
        device = state.kind.device

        def value(place: Any) -> Tensor:
            if isinstance(place, int):
                return state.tensors[place].clone().movedim(0, self.batch_axis).contiguous()
            shape, dtype, numbers = place
            return torch.tensor(numbers, dtype=dtype, device=device).reshape(shape)

        unpickler = pickle.Unpickler(io.BytesIO(self.structures[kind]))
        unpickler.persistent_load = value  # pyright: ignore[reportAttributeAccessIssue]
        return unpickler.load()


def _is_tree(own: Any) -> bool:
    if isinstance(own, Mapping):
        own = tuple(own.values())
    return isinstance(own, Tensor) or (isinstance(own, (tuple, list)) and all(map(_is_tree, own)))


class CachedTransformer(nn.Module):
    """A transformers model as a callable: its cache, and what its modules keep between calls, is its state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        names = ("cache", "past_key_values", "cache_params")
        taken = inspect.signature(model.forward).parameters
        self.cache = next((name for name in names if name in taken), "past_key_values")
        self.kept = [
            (name, key)
            for name, module in model.named_modules()
            for key, value in vars(module).items()
            if value is None and not key.startswith("_")
        ]
        """Attributes in which a module may keep something."""

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        from transformers import DynamicCache  # pyright: ignore[reportMissingImports]

        cache, kept = state or (DynamicCache(config=self.model.config), {})  # pyright: ignore[reportArgumentType]
        self._put(kept)
        out = self.model(input_ids=x, use_cache=True, **{self.cache: cache})
        found = {place: value for place in self.kept if isinstance(value := self._get(place), Tensor)}
        self._put({})
        y = out.logits if "logits" in out else out[0]
        return y, (out.get(self.cache) or cache, found)

    def _get(self, place: tuple[str, str]) -> Any:
        return getattr(self.model.get_submodule(place[0]), place[1])

    def _put(self, kept: dict[tuple[str, str], Tensor]) -> None:
        for name, key in self.kept:
            setattr(self.model.get_submodule(name), key, kept.get((name, key)))


def adapt(module: Any) -> Memory:
    """A memory out of what can be examined: a Memory itself, one of torch's RNNs, a transformers model, or a callable.

    Args:
        module: a callable ``(x, state or None) -> (y, state)`` tells its inputs by an attribute ``dim``,
            ``input_size`` or ``vocabulary``.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(module, Memory):
        return module
    if isinstance(module, nn.RNNBase):
        return Adapted(module, dim=module.input_size, batch_axis=1, batch_first=module.batch_first)
    if is_transformer(type(module)):
        return Adapted(CachedTransformer(module), vocabulary=module.config.vocab_size)
    name = type(module).__name__
    if not callable(module) or getattr(type(module), "forward", None) is nn.Module.forward:
        raise ValueError(f"{name} is not a Memory, and has no forward(x, state); derive it from mnesis.Memory")
    dim = next((width for key in ("dim", "input_size") if isinstance(width := getattr(module, key, None), int)), None)
    vocabulary = getattr(module, "vocabulary", None) if dim is None else None
    if dim is None and not isinstance(vocabulary, int):
        raise ValueError(
            f"{name} is not a Memory, and says by none of dim, input_size and vocabulary what it reads; set one of "
            "them, or derive it from mnesis.Memory"
        )
    return Adapted(cast(Callable[..., Any], module), dim=dim, vocabulary=vocabulary)


def is_transformer(cls: type) -> bool:
    """Whether a class is a model of transformers."""
    base = getattr(sys.modules.get("transformers"), "PreTrainedModel", None)
    return base is not None and issubclass(cls, base)


def small_transformer(cls: Any, options: Mapping[str, Any]) -> Any:
    """A transformers model of random weights, out of options of its configuration.

    Raises:
        ValueError: options that the configuration does not know or cannot have.
    """
    known = vars(cls.config_class())
    if unknown := [key for key in options if key not in known and key not in cls.config_class.attribute_map]:
        raise ValueError(
            f"{cls.__name__}'s configuration has no {unknown[0]!r}; its own documentation tells what it has"
        )
    defaults = {key: value for key, value in SMALL.items() if key in known}
    return cls(cls.config_class(**{**defaults, **options}))
