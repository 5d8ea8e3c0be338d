"""Tasks that compute with what is read."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "index-lookup", "tasks.algorithms.graphs:Index", "retrieval", "say which symbol stood at a place",
        papers=("wen2024rnns",), example={"most": 64}, lengths=(2, 8),
    ),
    Card(
        "state-tracking", "tasks.algorithms.state_tracking:StateTracking", "state tracking",
        "multiply elements of a group as they come, and say the product so far",
        papers=("ebrahimi2025bilinear", "grazzi2024negative"), lengths=(2, 16),
    ),
    Card(
        "parity", "tasks.algorithms.bit_windows:Parity", "state tracking",
        "whether the last N bits hold an odd number of ones",
        papers=("khajehabdollahi2024timescales",), example={"every": True}, lengths=(2, 8),
    ),
    Card(
        "delayed-match", "tasks.algorithms.bit_windows:DelayedMatch", "state tracking",
        "whether the first of the last N bits equals the last",
        papers=("khajehabdollahi2024timescales",), example={"every": True}, lengths=(2, 8),
    ),
    Card(
        "formal-language", "tasks.algorithms.formal_languages:FormalLanguage", "state tracking",
        "read the beginning of a word, and say at every symbol which may follow",
        papers=("sarrof2024expressive", "bhattamishra2020ability"), lengths=(2, 50),
    ),
    Card(
        "list-ops", "tasks.algorithms.list_ops:ListOps", "state tracking",
        "compute nested minima, maxima, medians and sums of digits", papers=("nangia2018listops", "tay2020lra"),
        lengths=(4, 24),
    ),
    Card(
        "counting", "tasks.algorithms.graphs:Counting", "state tracking",
        "tell whether a symbol came at least so often",
        papers=("wen2024rnns",), example={"most": 64}, lengths=(2, 16),
    ),
    Card(
        "frequency-sorting", "tasks.algorithms.frequency_sorting:FrequencySorting", "state tracking",
        "say the symbols of a long sequence in the order of how often they came",
        papers=("martins2022infinity", "park2024memoria"), example={"symbols": 8}, lengths=(32, 128),
    ),
    Card(
        "is-tree", "tasks.algorithms.graphs:IsTree", "state tracking",
        "tell whether edges that come one after the other make a tree",
        papers=("wen2024rnns",), example={"nodes": 32}, lengths=(5, 8),
    ),
    Card(
        "connected", "tasks.algorithms.graphs:Connected", "state tracking",
        "tell whether two nodes of two trees are in the same one",
        papers=("wen2024rnns",), example={"nodes": 32}, lengths=(5, 8),
    ),
    Card(
        "adding", "tasks.algorithms.adding:Adding", "signals",
        "add the two numbers of a long sequence that are marked",
        papers=("hochreiter1997lstm", "arjovsky2016unitary"), lengths=(10, 50),
    ),
    Card(
        "linear-attention-teacher", "tasks.algorithms.linear_attention_teacher:LinearAttentionTeacher", "signals",
        "say what linear attention with fixed random weights makes of normal vectors",
        papers=("zucchet2023gated",), lengths=32,
    ),
)  # fmt: skip
