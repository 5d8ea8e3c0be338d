"""Tasks that ask for what was said."""

from __future__ import annotations

from ...card import Card, Published


def _zoology(units: int, pairs: int, batch: int) -> Published:
    """Figure 2 of Arora et al. 2023 as its code has it: 64 passes over 100,000 sequences, here drawn anew each time."""
    options = {"vocabulary": 8192, "units": units, "random_fillers": False}
    rates = (1e-4, 4.64e-4, 2.15e-3, 1e-2)
    return Published(pairs, options, tokens=64 * 100_000 * units, batch=batch, rates=rates, sequences=3000)


CARDS = (
    Card(
        "associative-retrieval", "tasks.recall.associative_retrieval:AssociativeRetrieval", "retrieval",
        "find the value of a key, its first (remember) or its latest (rewrite)",
        papers=("rodkin2024armt",), example={"form": "rewrite"}, lengths=(1, 8),
    ),
    Card(
        "multi-query-recall", "tasks.recall.multi_query_recall:MultiQueryRecall", "retrieval",
        "say the value of every key, each of which comes once more among other symbols",
        papers=("arora2023zoology",), example={"vocabulary": 128, "random_fillers": False}, lengths=(2, 16),
        published={
            "zoology-64": _zoology(64, 4, 512), "zoology-128": _zoology(128, 8, 512),
            "zoology-256": _zoology(256, 16, 256), "zoology-512": _zoology(512, 64, 128),
        },
    ),
    Card(
        "induction", "tasks.recall.induction:Induction", "retrieval",
        "say what followed a mark, when the mark comes again",
        papers=("olsson2022induction", "gu2023mamba"), lengths=(8, 64),
    ),
    Card(
        "needle", "tasks.recall.needle:Needle", "retrieval",
        "say the value of a key that stood somewhere in a long stream of random tokens",
        papers=("hsieh2024ruler", "mohtashami2023landmark"), lengths=(8, 32),
    ),
    Card(
        "set-disjointness", "tasks.recall.set_disjointness:SetDisjointness", "retrieval",
        "name the one member that a small and a large set share", papers=("arora2024just",),
        example={"vocabulary": 68}, lengths=(4, 16),
    ),
    Card(
        "hidden-fact", "tasks.recall.hidden_fact:HiddenFact", "retrieval",
        "say the fact that stood somewhere in segments of filler", papers=("bulatov2023scaling",), lengths=(1, 5),
    ),
    Card(
        "updated-facts", "tasks.recall.updated_facts:UpdatedFacts", "retrieval",
        "say the latest value of facts that were revised among statements about others",
        papers=("rakotonirina2024memoryprompt",), example={"gap": 1, "values": 16}, lengths=(1, 4),
    ),
    Card(
        "interleaved-documents", "tasks.recall.interleaved_documents:InterleavedDocuments", "retrieval",
        "say what either of two documents that take turns told some segments ago",
        papers=("he2024hmt",), example={"segment": 8, "segments": 8}, lengths=(1, 8),
    ),
    Card(
        "late-meaning", "tasks.recall.late_meaning:LateMeaning", "retrieval",
        "say what symbols meant at earlier places, which a key explains afterwards", papers=("ji2022lamemo",),
        example={"joined": True}, lengths=(2, 16),
    ),
)  # fmt: skip
