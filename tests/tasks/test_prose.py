import re
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from mnesis.tasks.language.prose import Prose
from mnesis.tasks.language.prose_grammar import GRAMMAR, LEXICON

PERSON = "(?:Mary|John|Daniel|Sandra|Bill|Fred|Jeff|Julie|he|she|they|it)"
ROOM = "(?:bathroom|bedroom|garden|hallway|kitchen|office|cinema|park)"
OBJECT = "(?:apple|football|milk)"
MOVE = "(?:went|moved|travelled|journeyed|walked|ran|hurried|returned|rode|wandered|goes|moves)"
HANDLE = "(?:got|took|grabbed|picked|dropped|discarded|left|put|gave|handed|passed|carried|bought|lost|sold)"


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    return list(islice(Prose().sentences(0), 100_000))


def test_no_sentence_states_a_babi_fact(sentences: list[str]):
    facts = {
        "a move": rf"{MOVE}\b(?: \w+)? (?:to|in|into|toward) (?:the )?(?:\w+ )?{ROOM}\b(?! \w*(?:door|window|wall))",
        "a named person's move": rf"{PERSON} {MOVE}(?: back)? (?:to|in|into) ",
        "a place": rf"\b(?:to|in|into|inside|from|at) the (?:\w+ )?{ROOM}\b",
        "a person's place": rf"\b{PERSON} (?:is|was|went|moved) (?:\w+ )*(?:to|in) (?:\w+ ){{0,2}}{ROOM}\b",
        "a handled object": rf"\b{HANDLE}\b(?: (?:up|down))* (?:the|a|an|his|her|their|my|our) (?:\w+ )?{OBJECT}",
        "a list of handled objects": rf"\b{HANDLE}\b[^.,;\"]* and (?:the|a|an) {OBJECT}",
        "a giver": rf"\b{OBJECT} to {PERSON}\b",
    }
    for kind, pattern in facts.items():
        found = [sentence for sentence in sentences if re.search(pattern, sentence)]
        assert not found, f"{kind}: {found[:3]}"


def test_the_patterns_find_facts():
    """The regular expressions above do catch bAbI's own sentences."""
    assert re.search(rf"\b(?:to|in|into|inside|from|at) the (?:\w+ )?{ROOM}\b", "Mary went back to the kitchen.")
    assert re.search(rf"\b{HANDLE}\b(?: (?:up|down|there|it))* (?:the) (?:\w+ )?{OBJECT}", "John picked up the milk.")


def test_it_holds_what_distracts(sentences: list[str]):
    words = Counter(re.findall(r"[A-Za-z]+", " ".join(sentences)))
    for word in (
        *("Mary", "John", "Daniel", "Sandra", "bathroom", "bedroom", "garden", "hallway", "kitchen", "office"),
        *("apple", "football", "milk", "went", "moved", "travelled", "journeyed", "took", "dropped", "discarded"),
    ):
        assert words[word] > 200, word
    assert len({word.lower() for word in words}) > 600


def test_sentences_look_like_sentences(sentences: list[str]):
    lengths = [len(sentence.split()) for sentence in sentences]
    assert min(lengths) >= 6
    assert max(lengths) <= 40
    assert max(lengths) > 30
    assert min(lengths) < 8
    for sentence in sentences[:20_000]:
        assert re.fullmatch(r'"?[A-Z][A-Za-z \'",;?.-]*[.?]"?', sentence), sentence
        assert sentence.count('"') % 2 == 0, sentence
        assert not re.search(r"\ba [aeio]", sentence, re.IGNORECASE), sentence
        assert not re.search(r"  | [,.;?]|_|\b[A-Z]{2,}", sentence), sentence


def test_hardly_any_sentence_comes_twice(sentences: list[str]):
    assert len(set(sentences)) > 0.98 * len(sentences)


def test_the_seed_decides():
    first, again, other = (list(islice(Prose().sentences(seed), 600)) for seed in (7, 7, 8))
    assert first == again
    assert len(set(first) & set(other)) < 30


def test_later_blocks_are_new_text():
    prose, generator = Prose(), np.random.default_rng(1)
    first, second = prose.draw(100, generator), prose.draw(100, generator)
    assert first.tokens[:50].tolist() != second.tokens[:50].tolist()
    assert first.tokens.max() < len(prose.fragments)


def test_every_name_of_the_grammar_is_used():
    used = {part for productions in GRAMMAR.values() for production in productions for part in production.split()}
    assert set(GRAMMAR) - used == {"SENTENCE"}
    assert set(LEXICON) <= used
    assert not {part for part in used if part.isupper() and len(part) > 1 and part not in GRAMMAR}
