"""Write a run as a folder for other tools: a model of Hugging Face. Or a GGUF file, as a folder that opens in a second.

    mnesis export runs/reader exported/reader --to huggingface
    mnesis export reader exported/reader
    mnesis export SmolLM2-135M-Instruct.Q4_1.gguf hosts/smollm2

transformers opens the folder (AutoModelForCausalLM, AutoTokenizer; generate, Trainer, peft), and so does what is built
on it. A tool that knows nothing of mnesis is told to trust remote code: the folder's file of code only imports mnesis,
which must be installed there. mnesis stream, evaluate and show open the folder like the run itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from ..core.run_files import is_gguf, read_config
from ..core.shipped import find
from .arguments import Named
from .pretrained import is_pretrained

KEPT = "nothing is written"


def run(
    model: Annotated[str, Named("RUN")],
    folder: Annotated[Path, Named("FOLDER")],
    /,
    to: Literal["huggingface"] = "huggingface",
    trust: bool = False,
    overwrite: bool = False,
) -> None:
    """Export, and print how the folder is opened.

    Args:
        model: a run's folder, or the name of a reader that ships with mnesis; or the GGUF file of a pretrained model,
            whose weights are spread out to float32.
        folder: a new one.
        to: whose model it becomes.
        trust: let the run's files name classes outside the catalog, whose code then runs.
        overwrite: replace an earlier export.
    """
    if is_gguf(Path(model)):
        from ..nets.huggingface.folder import unpack

        unpack(model, folder)
        print(folder)
        print(f"mnesis show {folder} says what it is as a host of memories")
        return
    if is_pretrained(Path(model)):
        raise ValueError(f"{model} is a model of transformers already; give a run's folder, or a reader that ships")
    opened = find(model)
    if folder.resolve() == opened.resolve():
        raise ValueError(f"{folder} is the run itself; choose another folder")

    from transformers.utils.logging import disable_progress_bar

    from ..nets.huggingface.folder import export
    from .runs import TOKENIZER, open_network, open_run

    if (opened / TOKENIZER).is_file():
        read = open_run(model, trust=trust)
        network, tokenizer = read.network, read.tokenizer
    else:
        network, tokenizer = open_network(opened, trust=trust).network, None
    disable_progress_bar()
    told = read_config(opened, mend="train the run anew")
    about = {key: value for key, value in told.items() if key not in ("model", "network", "arguments", "revisions")}
    export(network, folder, tokenizer=tokenizer, run=about or None, overwrite=overwrite)
    print(folder)
    print(f'open it with AutoModelForCausalLM.from_pretrained("{folder}") after import mnesis.nets.huggingface,')
    print("or in a tool that knows nothing of mnesis with trust_remote_code=True")
