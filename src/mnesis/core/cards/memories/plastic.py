"""Memories that correct what they hold."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "delta-rule", "memories.plastic.delta_rule:DeltaRule", "plastic",
        "a matrix that corrects what it holds under a key",
        papers=("yang2024deltanet", "schlag2021fast", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
        cost="dim^2 / heads + 3 dim (convolution - 1)",
        example={"dim": 12, "heads": 2, "convolution": 3, "negative_eigenvalues": True, "chunk": 7},
        equations=(
            r"S_t &= S_{t-1} + \beta_t k_t (v_t - S_{t-1}^\top k_t)^\top, \quad \beta_t = \sigma(W x_t)",
            r"y_t &= S_t^\top q_t",
        ),
    ),
    Card(
        "gated-delta-rule", "memories.plastic.gated_delta_rule:GatedDeltaRule", "plastic",
        "a matrix that forgets, then corrects what it holds under a key",
        papers=("yang2024gateddeltanet", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
        size="width", cost="heads * (width^2 * expansion + width (2 + expansion) (convolution - 1))",
        example={"dim": 12, "heads": 2, "width": 5, "convolution": 3, "negative_eigenvalues": True, "chunk": 7},
        earlier=({},),
        equations=(
            r"\alpha_t &= \exp(-A \operatorname{softplus}(W_a x_t + b)), \quad \beta_t = \sigma(W_b x_t)",
            r"S_t &= \alpha_t S_{t-1} + \beta_t k_t (v_t - \alpha_t S_{t-1}^\top k_t)^\top",
            r"y_t &= \operatorname{norm}(S_t^\top q_t) \odot \operatorname{silu}(W_g x_t)",
        ),
    ),
    Card(
        "delta-product", "memories.plastic.delta_product:DeltaProduct", "plastic",
        "a matrix that corrects what it holds several times a unit, so that it can rotate it",
        papers=("siems2025deltaproduct", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
        size="width", cost="heads width^2 expansion + heads width (1 + writes (1 + expansion)) (convolution - 1)",
        example={"dim": 12, "heads": 2, "width": 5, "writes": 2, "gated": True, "convolution": 3, "chunk": 7},
        earlier=({},),
        equations=(
            r"S_j &= S_{j-1} + \beta_j k_j (v_j - S_{j-1}^\top k_j)^\top, \quad j = 1, \dots, n",
            r"y &= S_n^\top q",
        ),
    ),
    Card(
        "mom", "memories.plastic.mom:MoM", "plastic",
        "several matrices, of which every unit writes and reads a few, and one that all share",
        papers=("du2025mom", "yang2024gateddeltanet"), forms=("naive", "chunk", "parallel"),
        size="width",
        cost="(memories + shared) heads (width^2 expansion + width (2 + expansion) (convolution - 1))",
        example={"dim": 12, "heads": 2, "width": 4, "memories": 3, "activated": 2, "convolution": 3, "chunk": 7},
        earlier=({},),
        equations=(
            r"g &= \operatorname{softmax}(W x_t)",
            r"S_m &\leftarrow \alpha_m S_m + \beta_m k_m (v_m - \alpha_m S_m^\top k_m)^\top \quad \text{for "
            r"the chosen } m",
            r"o_t &= \sum_m \frac{g_m}{\sum_n g_n} S_m^\top q_t + S_{\text{shared}}^\top q_t",
        ),
    ),
    Card(
        "lattice", "memories.plastic.lattice:Lattice", "plastic",
        "slots of length 1, to which only what is orthogonal to them is added",
        papers=("karami2025lattice",),
        size="slots", cost="slots dim + (2 heads slots + dim) (convolution - 1)",
        example={"dim": 12, "heads": 2, "slots": 5, "convolution": 3},
        equations=(
            r"s_i &\leftarrow \frac{s_i + \gamma k_i (I - s_i s_i^\top) h}{|s_i + \gamma k_i (I - s_i "
            r"s_i^\top) h|}, \quad \gamma = \sigma(W x_t)",
            r"h &= v - \sum_i k_i s_i \;\text{(decoding)} \quad \text{or} \quad h = v \;\text{(similarity)}",
            r"y_t &= \sum_i q_i s_i",
        ),
    ),
)  # fmt: skip
