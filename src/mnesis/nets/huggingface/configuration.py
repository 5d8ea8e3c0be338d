"""What a mnesis network is, as a configuration of transformers: its specification, and what trained it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedConfig

from ...core.files import atomic_path
from ...core.run_files import MODEL_TYPE

CODE = "modeling_mnesis.py"
"""The file by which tools that know nothing of mnesis find it; mnesis never reads it."""
_IMPORTS = '''"""A network of mnesis (pip install 'mnesis[transformers]'), for transformers' trust_remote_code=True."""

from mnesis.nets.huggingface import MnesisConfig, MnesisForCausalLM
'''


class MnesisConfig(PreTrainedConfig):
    """Configuration of :class:`~mnesis.nets.huggingface.MnesisForCausalLM`, which makes one of a network.

    Args:
        specification: the network by name and constructor arguments (:func:`mnesis.nets.specification`).
        revisions: of its memories, where a later mnesis computes them otherwise; None = the first.
        run: config.json of the run that trained it, so that ``mnesis evaluate`` knows its task; None = not known.
        vocab_size: number of token ids; as the network has it.
        hidden_size: width of what the head reads; as the network has it.
        use_cache: hand out the state as a :class:`~mnesis.nets.huggingface.MnesisCache`, but in training.
        tie_word_embeddings: whether the head is the embedding; as the network has it.
        bos_token_id: None, since nothing opens a text.
        eos_token_id: what closes an answer.
        pad_token_id: what fills rows; the mask says where.
        auto_map: where transformers' auto classes find the code.
        **kwargs: of every configuration; see transformers.
    """

    model_type = MODEL_TYPE
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["cache"]

    def __init__(
        self,
        specification: dict[str, Any] | None = None,
        revisions: dict[str, int] | None = None,
        run: dict[str, Any] | None = None,
        vocab_size: int | None = None,
        hidden_size: int | None = None,
        use_cache: bool = True,
        tie_word_embeddings: bool = False,
        bos_token_id: int | None = None,
        eos_token_id: int | None = None,
        pad_token_id: int | None = None,
        auto_map: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.specification, self.revisions, self.run = specification, revisions, run
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        self.use_cache, self.tie_word_embeddings = use_cache, tie_word_embeddings
        self.bos_token_id, self.eos_token_id, self.pad_token_id = bos_token_id, eos_token_id, pad_token_id
        module = CODE.removesuffix(".py")
        self.auto_map = auto_map or {
            "AutoConfig": f"{module}.MnesisConfig",
            "AutoModelForCausalLM": f"{module}.MnesisForCausalLM",
        }
        super().__init__(**kwargs)

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoConfig") -> None:
        """Nothing: a folder gets an import of mnesis, and no copy of its code."""

    def save_pretrained(self, save_directory: str | os.PathLike[str], push_to_hub: bool = False, **kwargs: Any) -> None:
        """Write config.json, and the file that imports mnesis beside it; see transformers."""
        with atomic_path(Path(save_directory) / CODE) as temporary:
            temporary.write_text(_IMPORTS, encoding="utf-8")
        super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)
