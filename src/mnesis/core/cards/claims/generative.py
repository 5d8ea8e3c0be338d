"""Claims about models of pictures that read a bank."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "vma-estimator", "claims.vma.estimator:Estimator", "generative",
        "the gradient through a random address is unbiased, with little variance", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-recall", "claims.vma.recall:Recall", "generative",
        "an exact copy of one of N pictures costs about log N nats", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-learned-memory", "claims.vma.learned_memory:LearnedMemory", "generative",
        "a learned bank becomes a code of a few clusters, whatever its size", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-learned-characters", "claims.vma.learned_characters:LearnedCharacters", "generative",
        "of characters a learned bank's address says nearly all that its slots can", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-few-shot", "claims.vma.few_shot:FewShot", "generative",
        "drawing one exemplar models new characters better than blending all", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-confounders", "claims.vma.confounders:Confounders", "generative",
        "classes that are not asked for cost a random read log C nats and no more", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-kl-shift", "claims.vma.kl_shift:KLShift", "generative",
        "more exemplars move cost from the latent to the address", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-classification", "claims.vma.classification:Classification", "generative",
        "addresses tell classes without any training for it", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-ablations", "claims.vma.ablations:Ablations", "generative",
        "which similarity and which prior over addresses hardly matters", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-matching", "claims.vma.matching:MatchingClaim", "generative",
        "matching all exemplars together wins with many of one class, and loses as classes are added",
        papers=("bornschein2017vma",),
    ),
    Card(
        "vma-hard-is-faster", "claims.vma.cost:HardIsFaster", "generative",
        "four random reads are faster in training than one blend of all slots", papers=("bornschein2017vma",),
    ),
    Card(
        "vma-sequence", "claims.vma.sequence:Sequence", "generative",
        "a random address reads a stream's bank as well as soft attention, and larger banks too",
        papers=("bornschein2017vma",),
    ),
)  # fmt: skip
