"""Language models and tokenizers in local files, safetensors and GGUF. Nothing is fetched, no code of theirs runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from ...core.domain import shown_text
from ...core.files import read_json
from ...core.reason import reason_for
from ...core.run_files import is_gguf
from ...core.tensor_header import read_header
from ...tasks.language.tokenizer import BPETokenizer, Tokenizer

ATTENTION = ("attn_implementation", "_attn_implementation")
"""How a configuration names what computes its attention."""
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
"""How it says how many layers there are."""
_NUMBER = re.compile(r"\.\d+\b")


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
    if not is_gguf(path):
        _check_configuration(path)
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
    known = {_NUMBER.sub(".N", name) for name in model.state_dict()}
    if beyond := sorted(name for name in told["unexpected_keys"] if _NUMBER.sub(".N", name) in known):
        raise ValueError(
            f"{_shown(path)} holds the weights {beyond[0]}, and its config.json makes no such layer; give the "
            "config.json that belongs to the weights"
        )
    if is_gguf(path):  # its weights are plain numbers now, and can be saved as such
        vars(model.config).pop("quantization_config", None)
        vars(model).update(is_quantized=False, hf_quantizer=None)
    return model.eval()


def _check_configuration(path: Path) -> None:
    """Refuse what transformers would build for hours, or fetch code for.

    Raises:
        ValueError: more layers than there are weights, or attention by the code of a repository.
    """
    content = read_json(path / "config.json", dict[str, Any], mend="give the folder of a model", finite=False)
    tensors = _tensors(path)
    for part in (content, *(each for each in content.values() if isinstance(each, dict))):
        for name in LAYERS:
            if isinstance(layers := part.get(name), int) and layers > tensors > 0:
                raise ValueError(
                    f"{_shown(path / 'config.json')} says {name}={layers}, and beside it are {tensors} tensors; give "
                    "the config.json that belongs to the weights"
                )
        for name in ATTENTION:
            if "/" in (asked := str(part.get(name))):
                raise ValueError(
                    f"{_shown(path / 'config.json')} asks for the attention of {shown_text(asked)}, whose code would "
                    f"be downloaded; take {name} out of it"
                )


def _tensors(path: Path) -> int:
    """Tensors in the files of a folder; 0 where that cannot be told of one."""
    try:
        return sum(len(read_header(file, mend="").promises) for file in path.glob("*.safetensors"))
    except (FileNotFoundError, ValueError):  # of types that are none of ours, or broken: transformers says which
        return 0


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
    content = json.loads(serialized)
    decoder = content.get("decoder") or {}
    by_bytes = any(part.get("type") == "ByteLevel" for part in (decoder, *decoder.get("decoders", ())))
    # What marks spaces instead, as SentencePiece does, puts one before every piece of a text.
    if content.get("model", {}).get("type") != "BPE" or not by_bytes or theirs.eos_token is None:
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
