"""Language models and tokenizers in local files, safetensors and GGUF. Nothing is fetched, no code of theirs runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from ...core.domain import shown_text
from ...core.reason import reason_for
from ...core.run_files import is_gguf
from ...tasks.language.tokenizer import BPETokenizer, Tokenizer


def open_model(path: str | os.PathLike[str], *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The causal language model of a folder or a GGUF file, in evaluation mode.

    Args:
        path: a folder with config.json and weights as safetensors, as ``save_pretrained`` writes it, or a .gguf file,
            whose weights are spread out to numbers of ``dtype``; that takes ten times as long (``mnesis export``
            writes them as a folder).
        dtype: of the weights.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: files that are broken, of an architecture that transformers does not know, or pickles; one sentence.
    """
    path = Path(path)
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "trust_remote_code": False, **_place(path)}
    with quiet():
        try:
            model, told = cast(
                Any, AutoModelForCausalLM.from_pretrained(**options, use_safetensors=True, output_loading_info=True)
            )
        except Exception as error:  # of whatever stands in somebody's files
            raise ValueError(
                f"{_shown(path)} holds no language model that can be read ({reason_for(error)})"
            ) from error
    if missing := sorted(told["missing_keys"]):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(f"{_shown(path)} lacks the weights {missing[0]}{more}; save the model again")
    if is_gguf(path):  # its weights are plain numbers now, and can be saved as such
        vars(model.config).pop("quantization_config", None)
        vars(model).update(is_quantized=False, hf_quantizer=None)
    return model.eval()


def open_theirs(path: str | os.PathLike[str]) -> PreTrainedTokenizerBase:
    """The tokenizer beside a model, as transformers has it.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: there is none.
    """
    place = _place(path := Path(path))
    with quiet():
        try:
            return AutoTokenizer.from_pretrained(**place, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # of whatever stands in somebody's files
            raise ValueError(f"{_shown(path)} holds no tokenizer that can be read ({reason_for(error)})") from error


def open_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer beside a model, its end-of-text token the one that closes an answer.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: there is none, or one that is not byte-level byte-pair encoding.
    """
    theirs = cast(Any, open_theirs(path))
    serialized = theirs.backend_tokenizer.to_str() if theirs.is_fast else "{}"
    if json.loads(serialized).get("model", {}).get("type") != "BPE" or theirs.eos_token is None:
        raise ValueError(
            f"the tokenizer of {_shown(Path(path))} is not byte-level byte-pair encoding with an end of text; give a "
            "model that has such, as those after GPT-2 and Llama 3 do"
        )
    return BPETokenizer(serialized, end=theirs.eos_token)


def _place(path: Path) -> dict[str, Any]:
    """Where transformers looks, once something it may read stands there."""
    if is_gguf(path):
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    if not (path / "config.json").is_file():
        raise FileNotFoundError(
            f"{_shown(path)} is neither a folder with a config.json nor a .gguf file; give the folder of a model that "
            "save_pretrained wrote (nothing is downloaded here)"
        )
    return {"pretrained_model_name_or_path": str(path)}


def _shown(path: Path) -> str:
    return shown_text(str(path))


@contextmanager
def quiet() -> Iterator[None]:
    """Without bars for files that open within a second."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
