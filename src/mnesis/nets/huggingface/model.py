"""Any language model of mnesis as a model of transformers: generation, training, saving and loading by its tools."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.generation.configuration_utils import GenerationMode
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME
from transformers.utils.deprecation import deprecate_kwarg
from transformers.utils.generic import can_return_tuple

from ...core.files import read_json
from ...core.made_by import told
from ...core.memory import Memory
from ...core.run_files import CONFIG, WEIGHTS, is_exported
from ...core.specification import specification
from ..files import PREFIX, build, examine, shared_parameters
from ..language_model import LanguageModel
from .cache import MnesisCache
from .configuration import MnesisConfig
from .hosted import HostedLanguageModel
from .model_card import is_written_by_hand, write_model_card

MODES = (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE, GenerationMode.BEAM_SEARCH, GenerationMode.BEAM_SAMPLE)
"""Ways to generate that only ever read on."""


class MnesisForCausalLM(PreTrainedModel, GenerationMixin):
    """A language model of mnesis, as transformers, its Trainer, peft and lm-eval know models.

    The state of the memory is the cache (:class:`~mnesis.nets.huggingface.MnesisCache`): it is as large after a million
    tokens as after one. What ``attention_mask`` leaves out is not read, wherever it stands in a row, and its logits are
    those behind the last token that was read before it, or those of a hidden vector of zeros where none was. Where
    ``position_ids`` are given, each 0 among them is a fresh start, so that documents may be packed into a row. Gradient
    checkpointing keeps a state for every sqrt(T) tokens of T.

    Args:
        config: says what the network is.
        network: with its weights, which becomes the model's own; None = built, with fresh weights.
        trust: let the configuration name classes outside the catalog, whose code then runs.

    Raises:
        ValueError: a configuration that describes no language model, or code that is not trusted; one sentence.
    """

    config_class = MnesisConfig
    config: MnesisConfig
    base_model_prefix = "network"
    _is_stateful = True
    supports_gradient_checkpointing = True
    _gradient_checkpointing_func: Callable[..., Any]
    _no_split_modules = ["Reader"]  # noqa: RUF012 - transformers reads it off the class

    def __init__(self, config: MnesisConfig, *, network: LanguageModel | None = None, trust: bool = False) -> None:
        super().__init__(config)
        self.network = _built(config, trust) if network is None else network
        config.vocab_size = self.network.vocabulary
        config.hidden_size = cast(nn.Linear, self.network.head).in_features
        tied = {f"{PREFIX}{name}": f"{PREFIX}{other}" for name, other in shared_parameters(self.network).items()}
        self.gradient_checkpointing = False
        self._tied_weights_keys, config.tie_word_embeddings = tied, bool(tied)
        self.post_init()

    @classmethod
    def from_network(cls, network: Memory[Any], *, run: dict[str, Any] | None = None) -> MnesisForCausalLM:
        """A model around a network, whose parameters it shares.

        Args:
            network: built from names.
            run: config.json of the run that trained it, to be kept with the model.

        Raises:
            ValueError: no language model, or one that was built from objects.
        """
        if isinstance(network, HostedLanguageModel):
            raise ValueError(
                "a memory on a pretrained host is no model of transformers: its weights are kept without the host's; "
                "mnesis.nets.load opens its folder where the host stands"
            )
        if not isinstance(network, LanguageModel):
            raise ValueError(f"{type(network).__name__} is no language model; give a mnesis.nets.LanguageModel")
        described = specification(network)
        config = MnesisConfig(specification=described, run=run, **told(network))
        return cls(config, network=network).train(network.training)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Open a folder that was saved or exported, or a repository; see transformers.

        Classes outside the catalog are refused unless ``trust_remote_code=True`` is given. Weights are read from
        safetensors alone.

        Raises:
            ValueError: a configuration or weights that do not fit each other, code that is not trusted, or weights that
                are not finite (``allow_nan=True`` opens these to look at them).
        """
        trust, allow_nan = bool(kwargs.get("trust_remote_code")), kwargs.pop("allow_nan", False)
        wanted = kwargs.pop("output_loading_info", False)
        folder = Path(pretrained_model_name_or_path) if pretrained_model_name_or_path is not None else None
        if folder is not None and all((folder / name).is_file() for name in (CONFIG, WEIGHTS)):
            content = read_json(folder / CONFIG, dict[str, Any], mend="export it anew")
            if not is_exported(content):
                raise ValueError(
                    f"{folder} is a run or a network of mnesis, which transformers does not read; make a folder that "
                    f"it does with mnesis export {folder} FOLDER --to huggingface"
                )
            examine(folder, trust=trust)
        kwargs |= {"use_safetensors": True, "output_loading_info": True, "trust": trust}
        model, info = cast(Any, super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs))
        for key, what in (("missing_keys", "lack"), ("unexpected_keys", "have beside it")):
            if names := sorted(info[key]):
                more = f" and {len(names) - 1} more" if len(names) > 1 else ""
                raise ValueError(
                    f"the weights of {pretrained_model_name_or_path} do not fit its {CONFIG}: they {what} {names[0]}"
                    f"{more}; export it anew"
                )
        for name, tensor in model.network.named_parameters():
            if not allow_nan and tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise ValueError(
                    f"{pretrained_model_name_or_path} holds numbers in {name} that are not finite: the training "
                    "diverged; train with a smaller learning rate, or load with allow_nan=True to look at it"
                )
        return (model, info) if wanted else model

    @classmethod
    def register_for_auto_class(cls, auto_class: Any = "AutoModel") -> None:
        """Nothing: a folder gets an import of mnesis, and no copy of its code."""

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: constructors have drawn what each memory starts from."""

    def get_input_embeddings(self) -> nn.Module:
        return self.network.reader.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.network.reader.embedding = cast(nn.Embedding, value)

    def get_output_embeddings(self) -> nn.Module:
        return self.network.head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        self.network.head = new_embeddings

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Give the network another vocabulary; see transformers. Its specification follows."""
        embedding = cast(nn.Embedding, super().resize_token_embeddings(*args, **kwargs))
        size = embedding.num_embeddings
        self.network.count_tokens()
        described = cast(dict[str, Any], self.config.specification)
        self.config.specification = {**described, "arguments": {**described["arguments"], "vocabulary": size}}
        return embedding

    @deprecate_kwarg("past_key_values", "5.40.0", new_name="cache")
    @can_return_tuple
    def forward(
        self,
        input_ids: Int[Tensor, "B T"] | None = None,
        attention_mask: Tensor | None = None,
        cache: Any = None,
        inputs_embeds: Float[Tensor, "B T D"] | None = None,
        labels: Int[Tensor, "B T"] | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Read T more tokens of every row.

        Args:
            input_ids: tokens.
            attention_mask: ``[B T]``, or ``[B S+T]`` with the S tokens that the cache has read; 0 = is not read.
            cache: a :class:`~mnesis.nets.huggingface.MnesisCache`, which goes on to stand behind these tokens; None =
                rows start fresh.
            inputs_embeds: vectors in place of tokens.
            labels: the tokens themselves, -100 where nothing is to be learned; the model shifts them.
            use_cache: hand out a cache; as the configuration says if None, and not in training.
            output_hidden_states: hand out what the head reads, as the one hidden state there is.
            logits_to_keep: logits of so many last tokens alone, or of these; 0 = of all.
            **kwargs: ``position_ids``, and those of the loss, such as ``num_items_in_batch``; others are ignored, as by
                transformers' own models.

        Raises:
            ValueError: neither tokens nor vectors or both, a cache of something else or of other rows, or a mask that
                is too short.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("a reader takes input_ids or inputs_embeds, one of them; give input_ids")
        given = cast(Tensor, inputs_embeds if input_ids is None else input_ids)
        self._check_cache(cache, len(given))
        mask = _mask(attention_mask, given)
        positions = kwargs.pop("position_ids", None)  # not named above, or generate() would make some
        reset = None if positions is None else (positions == 0).expand(given.shape[:2])
        hidden, state = self._read(given, None if cache is None else cache.state, mask, reset)
        logits = self.network.parts()[1](slice_logits_to_keep(hidden, logits_to_keep))
        if cache is None and (self.config.use_cache and not self.training if use_cache is None else use_cache):
            cache = MnesisCache()
        if cache is not None:
            cache.read(state, given.shape[1], None if input_ids is None else input_ids[:, -1])
        loss = None
        if labels is not None:
            if mask is not None:  # what stands behind a gap is foretold by nobody
                labels = torch.cat([labels[:, :1], labels[:, 1:].masked_fill(~mask[:, :-1], -100)], 1)
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.network.vocabulary, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, cache=cache, hidden_states=(hidden,) if output_hidden_states else None
        )

    def _read(
        self, given: Tensor, state: Any, mask: Tensor | None, reset: Tensor | None
    ) -> tuple[Float[Tensor, "B T D"], Any]:
        """Hidden vectors, and where the rows stand then."""
        reader = self.network.reader
        if given.ndim == 3:  # vectors, in place of embeddings
            reader, given = reader.body, reader.scaled(given)
        if mask is None:
            if given.shape[1] == 1 and reset is None:
                hidden, state = reader(given[:, 0], state, step=True)
                return hidden[:, None], state
            return self._along(reader, given, state, None, reset)
        # What is read moves to the front of its row; of left-padded rows that is what mnesis.align_left does.
        order = torch.argsort(mask.long(), dim=1, descending=True, stable=True)
        reset = None if reset is None else reset.gather(1, order)
        hidden, state = self._along(reader, _at(given, order), state, mask.sum(1), reset)
        read = mask.cumsum(1)
        hidden = _at(hidden, (read - 1).clamp(min=0)).masked_fill((read == 0)[..., None], 0)
        return hidden, state

    def _along(
        self, reader: Memory[Any], given: Tensor, state: Any, length: Tensor | None, reset: Tensor | None
    ) -> tuple[Float[Tensor, "B T D"], Any]:
        """Rows from their first token on; under gradient checkpointing piece by piece, each computed anew on the way
        back: a cut changes nothing, and what is kept is a state a piece."""
        if not (self.gradient_checkpointing and self.training):
            return reader(given, state, length=length, reset=reset)
        outputs, size = [], math.isqrt(given.shape[1] - 1) + 1
        for start in range(0, given.shape[1], size):
            piece = given[:, start : start + size]
            hidden, state = self._gradient_checkpointing_func(
                reader,
                piece,
                state,
                length=None if length is None else (length - start).clamp(0, piece.shape[1]),
                reset=None if reset is None else reset[:, start : start + size],
                use_reentrant=False,  # the other kind loses what passes through states
            )
            outputs.append(hidden)
        return torch.cat(outputs, 1), state

    def _check_cache(self, cache: Any, rows: int) -> None:
        if cache is None:
            return
        if not isinstance(cache, MnesisCache):
            raise ValueError(
                f"{type(cache).__name__} holds keys and values, and a memory has none; give a MnesisCache, or no cache"
            )
        if cache.batch_size not in (-1, rows):
            raise ValueError(
                f"the cache is of {cache.batch_size} rows, and {rows} are read; with beams call "
                "cache.batch_repeat_interleave(num_beams) first, else choose rows with cache.batch_select_indices(rows)"
            )

    def generate(self, inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Go on writing: greedily, sampled, or with beams; see transformers.

        With a ``cache`` that has read something, give the whole text, or new tokens alone with an ``attention_mask``
        over all, ones of the length of both.

        Raises:
            ValueError: a way to generate that takes a state back, or tokens of which nobody can tell whether they are
                read already.
        """
        ids = kwargs.get("input_ids") if inputs is None else inputs
        cache, mask = kwargs.get("cache", kwargs.get("past_key_values")), kwargs.get("attention_mask")
        if isinstance(cache, MnesisCache) and cache.seen and isinstance(ids, Tensor):
            width = ids.shape[1] if mask is None else mask.shape[1]
            if width == ids.shape[1] and not _continues(cache, ids):
                raise ValueError(
                    f"input_ids of {ids.shape[1]} tokens do not begin with the {cache.seen} that the cache has read; "
                    "give the whole text, or new tokens alone with "
                    f"attention_mask=torch.ones({len(ids)}, {cache.seen + ids.shape[1]})"
                )
        return _generation(super()).generate(inputs, *args, **kwargs)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    def _prepare_cache_for_generation(
        self,
        generation_config: Any,
        model_kwargs: dict[str, Any],
        generation_mode: GenerationMode,
        batch_size: int,
        max_cache_length: int,
    ) -> Any:
        _generation(super())._prepare_cache_for_generation(
            generation_config, model_kwargs, generation_mode, batch_size, max_cache_length
        )
        if generation_config.use_cache is not False and model_kwargs.get("cache") is None:
            model_kwargs["cache"] = MnesisCache()

    def _get_deprecated_gen_repo(
        self, generation_mode: GenerationMode, trust_remote_code: Any = None, custom_generate: str | None = None
    ) -> str | None:
        _require_mode(generation_mode)  # before transformers asks for somebody's code
        return _generation(super())._get_deprecated_gen_repo(generation_mode, trust_remote_code, custom_generate)

    def _validate_generation_mode(
        self, generation_mode: Any, generation_config: Any, generation_mode_kwargs: Any
    ) -> None:
        _require_mode(generation_mode)
        _generation(super())._validate_generation_mode(generation_mode, generation_config, generation_mode_kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Write config.json, model.safetensors, a model card and the file that imports mnesis; see transformers.

        A README.md of somebody else's is left as it is.
        """
        if not is_written_by_hand(card := Path(save_directory) / "README.md"):
            write_model_card(card, self.network, self.config)
        weights, index = (Path(save_directory) / name for name in (WEIGHTS, SAFE_WEIGHTS_INDEX_NAME))
        before = {file: _written(file) for file in (weights, index)}
        super().save_pretrained(save_directory, *args, **kwargs)
        for file, other in ((weights, index), (index, weights)):  # of an earlier save, which would be opened
            if before[file] and _written(file) == before[file] and _written(other) != before[other]:
                file.unlink()

    def _upload_modified_files(self, working_dir: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """What push_to_hub ends with, where transformers has put a card of its own in the place of ours."""
        if not is_written_by_hand(card := Path(working_dir) / "README.md"):
            write_model_card(card, self.network, self.config)
        return super()._upload_modified_files(working_dir, *args, **kwargs)


def _written(file: Path) -> tuple[int, ...] | None:
    """When and as what a file was written; None = there is none."""
    if not file.exists():
        return None
    about = file.stat()
    return about.st_mtime_ns, about.st_ino, about.st_size


def _built(config: MnesisConfig, trust: bool) -> LanguageModel:
    """The network that a configuration describes, with fresh weights."""
    source = f"the configuration of {config.name_or_path}" if config.name_or_path else "the configuration"
    if not isinstance(config.specification, dict):
        raise ValueError(
            f"{source} has no specification of a network; make one with MnesisForCausalLM.from_network(network)"
        )
    network = build(config.specification, trust=trust, revisions=config.revisions, source=source)
    if not isinstance(network, LanguageModel):
        raise ValueError(f"{source} describes a {type(network).__name__}, which is no language model; give one of text")
    return network


def _generation(parent: Any) -> Any:
    """What transformers generates by, whose types are those of a protocol of its own."""
    return parent


def _mask(attention_mask: Tensor | None, given: Tensor) -> Tensor | None:
    """Which of the present tokens are read; None = all."""
    if attention_mask is None:
        return None
    time = given.shape[1]
    if attention_mask.ndim != 2 or len(attention_mask) != len(given) or attention_mask.shape[1] < time:
        raise ValueError(
            f"attention_mask has the shape {list(attention_mask.shape)}, and {len(given)} rows of {time} tokens are "
            f"read; give one number a token: [{len(given)}, {time}]"
        )
    mask = attention_mask[:, -time:].bool()
    return None if bool(mask.all()) else mask


def _at(x: Tensor, order: Int[Tensor, "B T"]) -> Tensor:
    """The units of every row in another order."""
    index = order.reshape(*order.shape, *[1] * (x.ndim - 2))
    return x.gather(1, index.expand_as(x))


def _continues(cache: MnesisCache, ids: Int[Tensor, "B T"]) -> bool:
    """Whether a text may be the one that a cache has begun to read, as far as can be told."""
    if ids.shape[1] <= cache.seen:
        return False
    if cache.last is None or len(cache.last) % len(ids):
        return True
    before = ids[:, cache.seen - 1].repeat_interleave(len(cache.last) // len(ids))
    return bool((before == cache.last.to(ids.device)).all())


def _require_mode(mode: GenerationMode) -> None:
    if mode not in MODES:
        raise ValueError(
            f"there is no {mode.value.replace('_', ' ')} here, since a state cannot be taken back to an earlier token; "
            "generate greedily, sampled or with beams"
        )
