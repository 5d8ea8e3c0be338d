"""Claims about recurrences that can be trained in parallel."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "length-generalization", "claims.length_generalization:LengthGeneralization", "linear",
        "updates from carried states mend a network that fails beyond its training length",
        papers=("buitrago2025length",),
    ),
    Card(
        "state-collapse", "claims.state_collapse:StateCollapse", "linear",
        "forgetting more, or holding less, mends it without training", papers=("chen2024stuffed",),
    ),
    Card(
        "linear-universality", "claims.linear_universality:LinearUniversality", "linear",
        "a diagonal complex recurrence holds its whole input", papers=("orvieto2023universality",),
    ),
    Card(
        "aaren-attention", "claims.aaren_attention:AarenAttention", "linear",
        "attention with a learned query is exactly a recurrence", papers=("feng2024aaren",),
    ),
    Card(
        "gated-rnn-attention", "claims.gated_rnn_attention:GatedRNNAttention", "linear",
        "a gated recurrent network is linear attention, and learns to be", papers=("zucchet2023gated",),
    ),
    Card(
        "stable-ssm-memory", "claims.stable_ssm_memory:StableSSMMemory", "linear",
        "stable parameterizations let a state space fade slowly without harm", papers=("wang2023stablessm",),
    ),
    Card(
        "min-gru-speed", "claims.min_gru_speed:MinGRUSpeed", "linear",
        "without the hidden state in its gates a GRU trains faster, and gains with length",
        papers=("feng2024minrnn",),
    ),
    Card(
        "recall-state-size", "claims.recall_state_size:RecallStateSize", "linear",
        "with equal states correcting recalls more than fading, and fading more than adding",
        papers=("arora2023zoology",),
    ),
    Card(
        "bilinear-state-tracking", "claims.bilinear_state_tracking:BilinearStateTracking", "linear",
        "recurrences that only multiply track the states of machines beyond the trained length",
        papers=("ebrahimi2025bilinear",),
    ),
    Card(
        "star-free-languages", "claims.star_free_languages:StarFreeLanguages", "linear",
        "state spaces without negative rates recognise star-free languages and no others",
        papers=("sarrof2024expressive",),
    ),
    Card(
        "copying-limits", "claims.copying_limits:CopyingLimits", "linear",
        "a state of fixed size looks up less in longer contexts, and a layer of attention does not",
        papers=("wen2024rnns",),
    ),
    Card(
        "reading-twice", "claims.reading_twice:ReadingTwice", "linear",
        "a recurrence must hold the set that it reads first, unless it reads both twice",
        papers=("arora2024just",),
    ),
)  # fmt: skip
