"""When a generated text answers a bAbI question: BABILong's official rule, and the same rule on whole words.

Both lower-case the output, cut it at the first full stop, ``<context>`` or ``<example>``, collect the task's answers
that occur in it, leave out those that the question itself names, and accept if what remains is the target alone (for a
list such as ``apple,milk``: exactly its items). They differ in what *occurs* means. Officially it is a substring, so

- qa7: in "none" also "one" is found, and the right answer "none" is always marked wrong;
- qa6 (and every yes/no task): "yes, I know" is wrong, because "know" holds "no".

On whole words both are right. Numbers compared with published ones need the official rule.

Source: github.com/booydar/babilong, babilong/metrics.py (the current rule; older figures used a plain substring test).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Scorer = Callable[[str, str, str, Sequence[str]], bool]


def official(output_text: str, question_text: str, answer_text: str, choices: Sequence[str]) -> bool:
    """BABILong's rule: answers are looked for as substrings.

    Args:
        output_text: what the model wrote after the question.
        question_text: the question as asked.
        answer_text: the right answer; several items are joined by commas.
        choices: every single item that this kind of question can have as an answer.
    """
    return _judge(output_text, question_text, answer_text, choices, lambda choice, text: choice in text)


def whole_word(output_text: str, question_text: str, answer_text: str, choices: Sequence[str]) -> bool:
    """The same rule where an answer must stand as a word of its own; arguments as in :func:`official`."""
    return _judge(output_text, question_text, answer_text, choices, _stands_in)


def _stands_in(choice: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(choice)}(?!\w)", text) is not None


def _judge(output: str, question: str, answer: str, choices: Sequence[str], occurs: Callable[[str, str], bool]) -> bool:
    output, question, answer = output.lower(), question.lower(), answer.lower()
    for stop in (".", "<context>", "<example>"):
        output = output.split(stop)[0]
    labels = {choice.lower() for choice in choices}
    found = {label for label in labels if occurs(label, output) and not occurs(label, question)}
    # A direction pair of qa19 ("e,n") is one label of three characters, not a list.
    items = answer.split(",") if "," in answer and len(answer) > 3 else [answer]
    return set(items) <= found and len(found) == len(items)
