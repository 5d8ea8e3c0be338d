"""A pretrained language model with a memory: token in, logits out, and a state that is carried on."""

from __future__ import annotations

import inspect
import json
import os
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from ...core.card import Card
from ...core.catalog import card, cards
from ...core.domain import Size
from ...tasks.language.tokenizer import Tokenizer
from ..bounded import unbounded
from ..generating import Generating
from .host import HuggingFaceHost, switched_adapters
from .opening import open_model, open_tokenizer

HOST = "reader.host.model."
ADAPTERS = "lora_"
"""What is in the names of adapters' weights."""


class HostedLanguageModel(Generating):
    """A pretrained model that remembers: ``logits [B T V], state = model(tokens [B T], state)``.

    The memory is new, and the host stays as it is; with ``lora`` low-rank adapters on all its linear maps learn with
    the memory (Hu et al. 2021, arXiv 2106.09685). What is saved is the memory and the adapters: the host is named by
    path and digest, and another one is refused. A host whose own weights are made to learn would be lost so, and
    ``state_dict`` refuses it.

    Args:
        host: the folder or GGUF file of a model (:func:`~mnesis.nets.huggingface.opening.open_model`), or the model
            itself, which then cannot be saved by name; ``lora`` puts its adapters into that very model.
        memory: name in the catalog of a memory that takes a host: "rmt", "armt".
        segment: units in a segment; with its memory tokens no longer than what the host was trained on.
        lora: rank of the adapters; None = the memory learns alone.
        options: further arguments of the memory. RMT's memory tokens have a causal mask unless told otherwise, as its
            authors have it on pretrained hosts.
        dtype: of the host's weights; memory and adapters learn in float32.
        digest: what the host's must be; None = whatever it is.
        configuration: a name for what the host's config.json should say; None = whatever it says. Another one is told
            by a warning, as another transformers may read the same file otherwise.

    Raises:
        FileNotFoundError: no such host.
        ValueError: a host that cannot be read or served, has another digest, or has adapters that learn already; a
            memory that takes none.
    """

    added: ClassVar[Mapping[str, Any]] = {"configuration": None}

    def __init__(
        self,
        host: str | os.PathLike[str] | PreTrainedModel,
        *,
        memory: str = "armt",
        segment: Size = 256,
        lora: Size | None = None,
        options: Mapping[str, Any] | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        digest: str | None = None,
        configuration: str | None = None,
    ) -> None:
        super().__init__()
        _check_takes_host(memory)
        self.path, self.lora = os.fspath(host) if isinstance(host, (str, os.PathLike)) else None, lora
        if digest is not None and self.path is not None and not os.path.exists(self.path):
            seen = "" if os.path.isabs(self.path) else f", seen from {os.getcwd()}"
            raise ValueError(
                f"its host {self.path} is not there{seen}; write where it stands now as 'host' (the digest is compared)"
            )
        with unbounded():  # what the host weighs stands in its own files
            model = open_model(self.path, dtype=getattr(torch, dtype)) if self.path is not None else host
            _check_adapters(cast(nn.Module, model), lora)
            served = HuggingFaceHost(cast(nn.Module, model).requires_grad_(False), with_head=False)
            self.described = served.describe()
            if digest is not None and self.described["digest"] != digest:
                raise ValueError(
                    f"{self.path} has other weights (digest {self.described['digest']}) than the host that this "
                    f"memory was trained on ({digest}); give that host"
                )
            if configuration not in (None, self.described["configuration"]):
                warnings.warn(
                    f"the configuration of {self.path} reads otherwise ({self.described['configuration']}) than when "
                    f"this memory was trained on it ({configuration}): if its config.json was edited, put it back; if "
                    "transformers alone is another version, save the model anew",
                    stacklevel=2,
                )
            if lora is not None:
                served = HuggingFaceHost(_adapted(served.model, lora), check=False, with_head=False)
        usual = {"memory_mask": "causal"} if memory == "rmt" else {}
        given = {"host": served, "segment": segment, **usual, **(options or {})}
        self.reader = cast(Any, card("memories", memory).load()(served.dim, **given))
        self.head = _Readout(served)
        self.vocabulary, self.period = served.vocabulary, self.reader.period
        self.register_state_dict_post_hook(_leave_host_out)
        self.register_load_state_dict_post_hook(_host_is_not_missing)

    @property
    def host(self) -> HuggingFaceHost:
        """The model that remembers."""
        return cast(HuggingFaceHost, self.reader.host)

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments; digest and configuration are those of the host."""
        return {**super().config, **{name: self.described[name] for name in ("digest", "configuration")}}

    def describe(self) -> dict[str, str]:
        """As of every memory, with the host by what it is and not by where it stands."""
        host = self.described | switched_adapters(self.host.model)
        arguments = {**super().config, "host": host, "digest": None}
        arguments.pop("configuration", None)
        return {**super().describe(), "arguments": json.dumps(arguments, sort_keys=True, default=str)}

    def tokenizer(self) -> Tokenizer:
        """The host's.

        Raises:
            ValueError: it was given as a model, without files.
        """
        if self.path is None:
            raise ValueError("a host that was given as a model has no tokenizer here; give the folder that holds both")
        return open_tokenizer(self.path)


class _Readout(nn.Module):
    """The host's head, called for the units that are asked about."""

    def __init__(self, host: HuggingFaceHost) -> None:
        super().__init__()
        self.host = (host,)
        """Not a child: the memory has it."""

    def forward(self, h: Tensor) -> Tensor:
        return self.host[0].readout(h)


def _takes_host(memory: Card) -> bool:
    return "host" in inspect.signature(memory.load().__init__).parameters


def _check_takes_host(memory: str) -> None:
    if not _takes_host(card("memories", memory)):
        takes = [each.name for each in cards("memories") if _takes_host(each)]
        raise ValueError(f"{memory} wraps no host; give one of {', '.join(takes)}")


def _check_adapters(model: nn.Module, lora: int | None) -> None:
    """Adapters of another model around the same host would be put to rest, or overwritten by new ones."""
    adapters = [weight.requires_grad for name, weight in model.named_parameters() if ADAPTERS in name]
    if adapters and (lora is not None or any(adapters)):
        raise ValueError(
            f"the {type(model).__name__} has low-rank adapters already, perhaps of another model around it; give a "
            "host of its own, open_model(path) anew, or one with its adapters merged"
        )


def _adapted(model: nn.Module, rank: int) -> nn.Module:
    try:
        import peft
    except ImportError:
        raise ImportError(
            "low-rank adapters need peft, and it is not installed; pip install 'mnesis[transformers]'"
        ) from None
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what peft asks transformers for
        warnings.filterwarnings("ignore", "fan_in_fan_out is set to")  # it sees itself how GPT-2's maps lie
        return peft.get_peft_model(cast(Any, model), config)


def _of_host(name: str) -> bool:
    """Whether a weight is the host's own, which stands in the host's files."""
    return HOST in name and ADAPTERS not in name


def _leave_host_out(network: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    if cast(HostedLanguageModel, network).lora is not None and not any(ADAPTERS in name for name in state):
        raise ValueError(
            "the adapters were merged into the host, and what is saved leaves the host out; save the model before "
            "they are merged, or build it on a host with them, written by model.host.model.save_pretrained(FOLDER)"
        )
    learning = [name for name, weight in network.named_parameters() if _of_host(name) and weight.requires_grad]
    if learning:
        raise ValueError(
            f"{learning[0].removeprefix(HOST)} of the host learns, and what is saved leaves the host out; write it "
            "with model.host.model.save_pretrained(FOLDER), rest it with model.host.requires_grad_(False), and build "
            "the model on that folder"
        )
    for name in [name for name in state if name.startswith(prefix) and _of_host(name)]:
        del state[name]


def _host_is_not_missing(network: nn.Module, found: Any) -> None:
    found.missing_keys[:] = [name for name in found.missing_keys if not _of_host(name)]
