"""The card of a model that others may open: what memory it has, whose, what its state weighs, and how it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.catalog import bibtex, card, papers
from ...core.folders import is_ours, write_page
from ...core.made_by import made_by
from ...core.specification import task_in
from ...core.state import nbytes

if TYPE_CHECKING:
    from ...core.card import Card
    from ..language_model import LanguageModel
    from .configuration import MnesisConfig

_TEMPLATE = "This model card has been automatically generated."
"""In the card that transformers makes where a repository has none."""

AS_TEXT = "\ntokenizer = AutoTokenizer.from_pretrained(folder)"
STREAMED = "`mnesis stream book.txt --model FOLDER` reads a text of\nany length with it."
NO_TEXT = "It reads numbers, and has\nno tokenizer."


def is_written_by_hand(path: Path) -> bool:
    """Whether a README.md stands there that neither we nor transformers have made."""
    return path.exists() and not is_ours(path) and _TEMPLATE not in path.read_text(encoding="utf-8", errors="replace")


def write_model_card(path: Path, network: LanguageModel, config: MnesisConfig) -> None:
    """Write the README.md of a folder, atomically; what stands there is replaced."""
    write_page(path, model_card(network, config), mend="", overwrite=True)


def model_card(network: LanguageModel, config: MnesisConfig) -> str:
    """The card, as Markdown under the header that the Hub reads."""
    inside = [card("memories", name) for name in made_by(network)["memories"]]
    names = [each.name for each in inside]
    run = config.run or {}
    source = run.get("config", {}).get("source") if isinstance(run.get("config"), dict) else None
    task = task_in(run)
    trained = "babilong" if isinstance(source, dict) else task.label if task else None
    tags = "\n".join(f"- {tag}" for tag in ["mnesis", *names])
    told = "\n".join(_of(each) for each in inside)
    text = config.eos_token_id is not None  # of a tokenizer that is saved beside it
    references = "\n\n".join(bibtex(inside))
    return f"""---
library_name: transformers
pipeline_tag: text-generation
tags:
{tags}
---

# A language model that reads with {_joined(names) or "a memory of somebody's own"}

{_weights(network)} {_state(network)}{f" It was trained on {trained}." if trained else ""}

{told}

## Load it

```sh
pip install 'mnesis[transformers]'
```

```python
from transformers import AutoModelForCausalLM{", AutoTokenizer" if text else ""}

import mnesis.nets.huggingface

model = AutoModelForCausalLM.from_pretrained(folder){AS_TEXT if text else ""}
```

`folder` is where this file stands, or the repository's name. A tool that knows nothing of mnesis opens it with
`trust_remote_code=True`: the code is an import of the package. {STREAMED if text else NO_TEXT}
{
        f'''
## Papers

```bibtex
{references}
```
'''
        if references
        else ""
    }"""


def _of(memory: Card) -> str:
    found = papers()
    said = [f"{found[key].authors} ({found[key].year}), {found[key].title}" for key in memory.papers]
    return f"- **{memory.name}**: {memory.summary.rstrip('.')}.{''.join(f' {each}.' for each in said)}"


def _weights(network: LanguageModel) -> str:
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{count:,} weights, a vocabulary of {network.vocabulary:,} tokens."


def _state(network: LanguageModel) -> str:
    like: Any = next(network.parameters())
    weight = nbytes(network.initial_state(1, device=like.device, dtype=like.dtype))
    if network.bounded:
        return f"What it remembers of a text takes {weight:,} bytes, however long the text is."
    return f"What it remembers of a text takes {weight:,} bytes at its start, and grows with it."


def _joined(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
