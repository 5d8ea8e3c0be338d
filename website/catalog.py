"""A page for each memory, task and claim, in Markdown, from its docstring and its card."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docstring_parser

from mnesis.claims.verdicts import Kept
from mnesis.claims.verdicts import read as read_verdicts
from mnesis.cli.show import memory_example, task_example
from mnesis.core.catalog import Card, list_claims, list_memories, list_tasks, papers
from mnesis.core.source import described

from .prose import ROLE, typeset

if TYPE_CHECKING:
    from mnesis.core.card import Paper
    from mnesis.core.memory import Memory

NAVIGATION = ".navigation.md"
"""Where the site's navigation reads which pages a folder has."""
DIM = 256
"""Width at which state and parameters are counted."""
VERDICTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "claims.json"


def memory_pages() -> dict[str, str]:
    """The text of every page by file name."""
    counted = {card.name: _counted(card) for card in list_memories()}
    about = (
        "Every way to remember that mnesis has, by family. A [state](../glossary.md#state) is what a memory carries "
        f"from one call to the next; its size here is that of one sequence in float32, at a width of {DIM} and as "
        "published. [Which one should I use?](../guides/recurrence.md)"
    )
    pages = _overview(
        "Memories", about, list_memories(), ("memory", "what it is", "state, bytes"),
        lambda card: [_bytes(card, counted[card.name][0])],
    )  # fmt: skip
    return pages | {f"{card.name}.md": _memory_page(card, *counted[card.name]) for card in list_memories()}


def task_pages() -> dict[str, str]:
    """The text of every page by file name."""
    about = (
        "What memories are asked to remember. `mnesis compare TASK` trains memories on one side by side: "
        "[how, and how it is fair](../guides/compare.md)."
    )
    pages = _overview("Tasks", about, list_tasks(), ("task", "what has to be said"))
    return pages | {f"{card.name}.md": _task_page(card) for card in list_tasks()}


def claim_pages() -> dict[str, str]:
    """The text of every page by file name."""
    known = read_verdicts(VERDICTS)
    about = (
        "What papers state of memories, each as an experiment that measures, and judges by a rule that was fixed "
        "before the first judged run: `mnesis claim NAME`. [All verdicts, with dates and versions]"
        "(../results/claims.md)."
    )
    pages = _overview(
        "Claims", about, list_claims(), ("claim", "what it says", "verdict"),
        lambda card: [known[card.name].verdict if card.name in known else "not run yet"],
    )  # fmt: skip
    return pages | {f"{card.name}.md": _claim_page(card, known.get(card.name)) for card in list_claims()}


def _overview(
    title: str, about: str, shown: Sequence[Card], head: Sequence[str],
    more: Callable[[Card], list[str]] = lambda card: [],
) -> dict[str, str]:  # fmt: skip
    """The first page of a kind, and its navigation: both by family."""
    parts, lines = [f"# {title}", about], [f"* [{title}](index.md)"]
    for family in dict.fromkeys(card.family for card in shown):
        of_family = [card for card in shown if card.family == family]
        rows = [(f"[{card.name}]({card.name}.md)", card.summary, *more(card)) for card in of_family]
        parts += [f"## {_sentence(family)}", _table(head, rows)]
        lines += [f"* {_sentence(family)}", *(f"    * [{card.name}]({card.name}.md)" for card in of_family)]
    return {"index.md": _text(parts), NAVIGATION: _text(["\n".join(lines)])}


def _memory_page(card: Card, state: int, parameters: int) -> str:
    facts = [
        f"- [State](../glossary.md#state) of a [row](../glossary.md#row) at width {DIM}, as published: "
        f"{_bytes(card, state)} bytes in float32" + (f"; {typeset(card.cost)} numbers." if card.cost else "."),
        f"- Parameters at width {DIM}: {parameters:,}.",
    ]
    if card.forms:
        facts.append(f"- [Forms](../glossary.md#form): {', '.join(card.forms)}; they agree to 1e-9 in float64.")
    if card.load().splits:
        facts.append("- Several processes can read one sequence (`mnesis.memories.over_processes`).")
    make, call = memory_example(card.name, DIM)
    use = [make, f"x = torch.randn(2, 100, {DIM})", call]
    return _page(card, _equations(card), use, ["## What it costs\n\n" + "\n".join(facts)])


def _equations(card: Card) -> list[str]:
    lines = " \\\\\n".join(card.equations)
    return [f"```math\n\\begin{{aligned}}\n{lines}\n\\end{{aligned}}\n```"] if lines else []


def _task_page(card: Card) -> str:
    compared = []
    if card.lengths is not None:
        low, high = card.training_lengths
        ends = str(low) if low == high else f"{low} to {high}"
        compared = [f"## Compared\n\n`mnesis compare {card.name}` trains at lengths of {ends}."]
    return _page(card, [], task_example(card), compared)


def _claim_page(card: Card, kept: Kept | None) -> str:
    claim: Any = card.load()
    verdict = "**Not run yet**"
    if kept is not None:
        verdict = f"**{_sentence(kept.verdict)}**, at {kept.scale} scale, {kept.date}"
    commands = f"mnesis claim {card.name}\nmnesis claim {card.name} --scale smoke  # in seconds, not judged"
    sections = [
        *_opening(card),
        f"> {claim.statement}",
        f"{verdict}. [All verdicts](../results/claims.md)",
        f"## How it is judged\n\nIt {claim.predicate}.",
        "## How it is measured",
        _about(card),
        f"```sh\n{commands}\n```",
    ]
    return _text([*sections, *_sources(card)])


def _page(card: Card, equations: list[str], use: list[str], more: list[str]) -> str:
    """A page: what it is, how it computes, how it is made, its options, and where it was published."""
    parsed, options = _parsed(card), described(card).options
    rows = []
    for each in parsed.params:
        names = each.arg_name.split(", ")  # what is alike may be described together
        defaults = ", ".join(f"`{options[name].default}`" for name in names if options[name].default)
        rows.append((", ".join(f"`{name}`" for name in names), defaults, _line(_shown(card, each.description or ""))))
    sections = [
        *_opening(card),
        *equations,
        _about(card),
        "## Example\n\n```python\nimport torch, mnesis\n\n" + "\n".join(use) + "\n```",
        "## Options\n\n" + _table(("option", "default", "what it is"), rows) if rows else "",
        *more,
    ]
    if parsed.raises:
        told = "; ".join(f"`{each.type_name}`: {_line(_shown(card, each.description or ''))}" for each in parsed.raises)
        sections.append(f"## Errors\n\n{told}")
    return _text([*sections, *_sources(card)])


def _opening(card: Card) -> list[str]:
    family = card.family.replace(" ", "-")
    return [f"# {card.name}", f"{_sentence(card.summary)}. Family: [{card.family}](index.md#{family})."]


def _parsed(card: Card) -> docstring_parser.Docstring:
    return docstring_parser.parse(described(card).doc, docstring_parser.DocstringStyle.GOOGLE)


def _about(card: Card) -> str:
    """The prose of a docstring."""
    parsed = _parsed(card)
    return _shown(card, f"{parsed.short_description or ''}\n\n{parsed.long_description or ''}".strip())


def _shown(card: Card, text: str) -> str:
    """Text of a docstring with formulas set and links to pages of memories."""
    pages = {f"mnesis.{other.target}".replace(":", "."): other.name for other in list_memories()}

    def linked(role: re.Match[str]) -> str:
        target = role["target"]
        page = pages.get(target) or pages.get(f"mnesis.{card.target.partition(':')[0]}.{target}")
        label = f"`{target.rpartition('.')[2]}`"
        folder = "" if card in list_memories() else "../memories/"
        return f"[{label}]({folder}{page}.md)" if page and page != card.name else label

    return re.sub(r":(?=:\n)", "", ROLE.sub(linked, typeset(text)))


def _sources(card: Card) -> list[str]:
    """Papers, as a reader looks for them and as BibTeX."""
    found = [papers()[key] for key in card.papers]
    if not found:
        return []
    entries = "\n\n".join(paper.bibtex() for paper in found)
    listed = "\n".join(f"- {_cited(paper)}" for paper in found)
    return [f"## {'Paper' if len(found) == 1 else 'Papers'}\n\n{listed}", f"```bibtex\n{entries}\n```"]


def _cited(paper: Paper) -> str:
    names = [" ".join(reversed(name.split(", "))) for name in paper.authors.split(" and ")]
    authors = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    where = [f"{paper.venue}" if paper.venue else ""]
    where += [f"[arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else ""]
    return ". ".join([f"{authors} ({paper.year})", f"*{paper.title}*", *filter(None, where)]) + "."


def _counted(card: Card) -> tuple[int, int]:
    """Bytes of one row's state and parameters, as published at a width of 256."""
    import torch

    from mnesis.core.state import nbytes

    torch.manual_seed(0)
    memory: Memory[Any] = card.load()(DIM)
    state = memory.initial_state(1, device=torch.device("cpu"), dtype=torch.float32)
    return nbytes(state), sum(parameter.numel() for parameter in memory.parameters())


def _bytes(card: Card, count: int) -> str:
    return f"{count:,}" if card.bounded else f"{count:,}, and more with every unit,"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(text: str) -> str:
    """On one line, and without what would end a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _text(sections: Iterable[str]) -> str:
    return "\n\n".join(section for section in sections if section) + "\n"
