"""Runs and GGUF files as folders that transformers opens; of a run with a card, and the file that imports mnesis."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core.files import read_json, told
from ...core.folders import alone
from ...core.memory import Memory
from ...core.run_files import CONFIG, WEIGHTS, is_exported
from ...tasks.language.tokenizer import BPETokenizer, Tokenizer
from .configuration import CODE
from .model import MnesisForCausalLM
from .opening import open_model, open_theirs, quiet
from .tokenizer import fast_tokenizer


def export(
    network: Memory[Any],
    folder: str | os.PathLike[str],
    *,
    tokenizer: Tokenizer | None = None,
    run: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a folder that ``AutoModelForCausalLM`` and ``AutoTokenizer`` open, and :func:`mnesis.nets.load` too.

    A new folder appears whole or not at all.

    Args:
        network: a language model with its weights, which are written as they are.
        folder: a new one, or an empty one.
        tokenizer: of the run; None = it has none.
        run: config.json of the run, so that ``mnesis evaluate`` knows its task.
        overwrite: replace an earlier export there.

    Raises:
        ValueError: no language model, a folder that holds something, or a place that cannot be written.
    """
    folder = Path(folder)
    _require_room(folder, overwrite)
    model = MnesisForCausalLM.from_network(network, run=run)
    if tokenizer is not None:
        for told_to in (model.config, model.generation_config):
            told_to.eos_token_id = told_to.pad_token_id = tokenizer.end
    with _beside(folder) as made:
        model.save_pretrained(made)
        shutil.copymode(made / CONFIG, made / WEIGHTS)  # which safetensors gives to its owner alone
        if tokenizer is not None:
            fast_tokenizer(tokenizer).save_pretrained(made)
            if isinstance(tokenizer, BPETokenizer):
                tokenizer.save(made)  # as the run has it, so that it is the same tokenizer to mnesis


def unpack(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
    """Write a pretrained model with its tokenizer as a folder of safetensors, which opens in a second.

    A new folder appears whole or not at all.

    Args:
        path: a GGUF file, whose weights are spread out to float32, or a folder.
        folder: a new one, or an empty one.

    Raises:
        FileNotFoundError, ValueError: what cannot be read, or a folder that holds something or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} holds something; choose another folder")
    model, tokenizer = open_model(path), open_theirs(path)
    with _beside(folder) as made, quiet():
        model.save_pretrained(made)
        shutil.copymode(made / CONFIG, made / WEIGHTS)
        tokenizer.save_pretrained(made)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder beside another, which it becomes once all stands in it. What kills left of such is removed.

    Raises:
        ValueError: a place that cannot be written, or one that another process is writing.
    """
    folder = Path(os.path.abspath(folder))
    with alone(folder.parent, folder.name, name=folder.name):
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        made = beside / folder.name
        try:
            with told(folder):
                yield made
                if folder.is_dir() and any(folder.iterdir()):
                    # Nobody opens a folder without it, in which weights may be new and the tokenizer old.
                    (folder / CONFIG).unlink(missing_ok=True)
                    for file in sorted(made.iterdir(), key=lambda each: each.name == CONFIG):
                        file.replace(folder / file.name)
                else:
                    made.replace(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _require_room(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose another folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    config = folder / CONFIG
    if overwrite and not config.exists() and (folder / CODE).is_file():
        return  # an export was killed while it replaced an earlier one
    if not config.is_file() or not is_exported(read_json(config, dict[str, Any], mend="choose another folder")):
        raise ValueError(f"{folder} holds something that was not exported; choose another folder")
    if not overwrite:
        raise ValueError(f"{folder} holds an earlier export; choose another folder or pass overwrite=True")
