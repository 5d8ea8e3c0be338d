"""Memories whose state is added to, faded or turned by what is read."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "linear-attention", "memories.linear.linear_attention:LinearAttention", "linear",
        "a sum of outer products of keys and values, with a normaliser",
        papers=("katharopoulos2020linear",), forms=("naive", "chunk", "parallel"),
        cost="dim^2 / heads + dim + 3 dim (convolution - 1)",
        example={"dim": 12, "heads": 2, "convolution": 3, "chunk": 7},
        equations=(
            r"S_t &= S_{t-1} + \phi(k_t) v_t^\top, \quad z_t = z_{t-1} + \phi(k_t)",
            r"y_t &= \frac{S_t^\top \phi(q_t)}{\phi(q_t) \cdot z_t}, \quad \phi(x) = \operatorname{elu}(x) + 1",
        ),
    ),
    Card(
        "retention", "memories.linear.retention:Retention", "linear",
        "outer products that fade at a fixed rate per head, with rotary phases",
        papers=("sun2023retnet",), forms=("naive", "chunk", "parallel"), cost="2 dim^2 / heads",
        example={"dim": 12, "heads": 3, "chunk": 7},
        equations=(
            r"S_t &= \gamma S_{t-1} + k_t v_t^\top, \quad \gamma = 1 - 2^{-5-h}",
            r"y_t &= \operatorname{swish}(W x_t) \odot \operatorname{norm}(S_t^\top q_t)",
        ),
    ),
    Card(
        "gla", "memories.linear.gla:GLA", "linear",
        "outer products whose key channels fade at a pace that follows the data",
        papers=("yang2023gla",), forms=("naive", "chunk", "parallel"),
        cost="key_expansion value_expansion dim^2 / heads + (2 key_expansion + value_expansion) dim (convolution - 1)",
        example={"dim": 12, "heads": 2, "rank": 4, "convolution": 3, "chunk": 7},
        earlier=({"epsilon": 1e-5},),
        equations=(
            r"a_t &= \sigma(W_2 W_1 x_t + b_a)^{1/\text{temperature}}",
            r"S_t &= \operatorname{diag}(a_t) S_{t-1} + k_t v_t^\top",
            r"y_t &= \operatorname{swish}(W x_t + b) \odot \operatorname{norm}(S_t^\top q_t)",
        ),
    ),
    Card(
        "gateloop", "memories.linear.gateloop:GateLoop", "linear",
        "outer products whose key channels fade and turn as the data say",
        papers=("katsch2023gateloop",), forms=("naive", "chunk", "parallel"), cost="2 dim^2 / heads",
        example={"dim": 12, "heads": 3, "chunk": 7},
        equations=(
            r"a_t &= \sigma(W_\alpha x_t + b) \odot \exp(i W_\beta x_t)",
            r"S_t &= \operatorname{diag}(a_t) S_{t-1} + k_t v_t^\top",
            r"y_t &= \operatorname{silu}(W_g x_t) \odot \operatorname{Re}(S_t^\top q_t)",
        ),
    ),
    Card(
        "min-gru", "memories.linear.min_gru:MinGRU", "linear",
        "a GRU whose gate and candidate look at the input alone",
        papers=("feng2024minrnn",), forms=("naive", "chunk", "parallel"), cost="expansion dim",
        example={"dim": 12, "expansion": 1.5, "chunk": 7},
        equations=(
            r"z_t &= \sigma(W_z x_t + b_z), \quad c_t = g(W_c x_t + b_c)",
            r"h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot c_t",
        ),
    ),
    Card(
        "min-lstm", "memories.linear.min_lstm:MinLSTM", "linear",
        "an LSTM whose gates look at the input alone and share what is kept and added",
        papers=("feng2024minrnn",), forms=("naive", "chunk", "parallel"), cost="expansion dim",
        example={"dim": 12, "expansion": 1.5, "chunk": 7},
        equations=(
            r"f_t &= \sigma(W_f x_t + b_f), \quad i_t = \sigma(W_i x_t + b_i), \quad c_t = g(W_c x_t + b_c)",
            r"h_t &= \frac{f_t}{f_t + i_t} \odot h_{t-1} + \frac{i_t}{f_t + i_t} \odot c_t",
        ),
    ),
    Card(
        "rg-lru", "memories.linear.rg_lru:RGLRU", "linear",
        "channels that fade behind a gate and take in what they lose",
        papers=("de2024griffin", "botev2024recurrentgemma"), forms=("naive", "chunk", "parallel"),
        cost="width + width (convolution - 1)", example={"dim": 12, "blocks": 4, "chunk": 7},
        equations=(
            r"a_t &= \sigma(\Lambda)^{8 r_t}",
            r"h_t &= a_t \odot h_{t-1} + \sqrt{1 - a_t^2} \odot (i_t \odot u_t)",
            r"y_t &= W_o (h_t \odot \operatorname{gelu}(W x_t))",
        ),
    ),
    Card(
        "mlstm", "memories.linear.mlstm:MLSTM", "linear",
        "outer products with exponential input gates, a normaliser and a running maximum",
        papers=("beck2025xlstm7b", "beck2024xlstm"), forms=("naive", "chunk", "parallel"),
        cost="dim^2 / (2 heads) + dim / 2 + heads", example={"dim": 12, "heads": 2, "chunk": 7},
        equations=(
            r"C_t &= f_t C_{t-1} + i_t k_t v_t^\top",
            r"n_t &= f_t n_{t-1} + i_t k_t",
            r"y_t &= \sigma(W x_t) \odot \operatorname{norm}\left(\frac{C_t^\top q_t}{\max(|n_t \cdot q_t|, 1)}\right)",
        ),
    ),
    Card(
        "mlstm-block", "memories.linear.mlstm_block:MLSTMBlock", "linear",
        "an mLSTM of wide heads behind a convolution, between projections",
        papers=("beck2024xlstm",), forms=("naive", "chunk", "parallel"),
        cost="(expansion dim)^2 / heads + expansion dim convolution + heads",
        example={"dim": 12, "heads": 2, "chunk": 7},
        equations=(
            r"u_t, z_t &= W x_t, \quad c_t = \operatorname{silu}(\operatorname{conv}(u)_t)",
            r"q_t, k_t, v_t &= W_q c_t,\; W_k c_t,\; W_v u_t",
            r"y_t &= W_o \bigl((\operatorname{norm}(\operatorname{mLSTM}(q, k, v)_t) + s \odot c_t) \odot "
            r"\operatorname{silu}(z_t)\bigr)",
        ),
    ),
    Card(
        "xlstm", "nets.xlstm:XLSTM", "linear", "blocks of mLSTMs, and of sLSTMs among them",
        papers=("beck2024xlstm",), whole=True,
        cost="that of its blocks: layers of mlstm-block, or of slstm",
        example={"dim": 12, "layers": 2, "slstm_at": (1,), "heads": 2, "chunk": 7},
        earlier=({"norm": "rms"},),
        equations=(
            r"\text{either}\quad x &\leftarrow x + \operatorname{mLSTMBlock}(\operatorname{norm}(x))",
            r"\text{or}\quad x &\leftarrow x + \operatorname{sLSTM}(\operatorname{norm}(x))",
            r"x &\leftarrow x + \operatorname{MLP}(\operatorname{norm}(x))",
        ),
    ),
    Card(
        "griffin", "nets.griffin:Griffin", "linear", "two layers of RG-LRUs, then one that attends to a window",
        papers=("de2024griffin", "botev2024recurrentgemma"), whole=True,
        size="window", cost="that of its layers: rg-lru, rg-lru, window",
        sees="window; one more with released=True", limits=("window",),
        example={"dim": 12, "layers": 3, "heads": 2, "window": 9, "blocks": 4, "hidden": 24, "chunk": 7},
        earlier=({},),
        equations=(
            r"x &\leftarrow x + M(\operatorname{norm}(x)), \quad M = \text{RG-LRU},\; \text{RG-LRU},\; \text{window}",
            r"x &\leftarrow x + \operatorname{MLP}(\operatorname{norm}(x))",
        ),
    ),
    Card(
        "mamba", "memories.linear.mamba:Mamba", "linear",
        "diagonal states whose pace, input and read-out follow the data",
        papers=("gu2023mamba",), forms=("naive", "chunk", "parallel"),
        size="states", cost="expansion dim (states + convolution - 1)",
        example={"dim": 8, "states": 4, "rank": 2, "chunk": 7},
        equations=(
            r"h_t &= \exp(d_t A) \odot h_{t-1} + d_t x_t B_t",
            r"y_t &= C_t \cdot h_t + D x_t",
        ),
    ),
    Card(
        "mamba2", "memories.linear.mamba2:Mamba2", "linear",
        "outer products that fade at a pace that follows the data, one pace a head",
        papers=("dao2024mamba2",), forms=("naive", "chunk", "parallel"),
        size="states", cost="expansion dim states + (expansion dim + 2 groups states) (convolution - 1)",
        example={"dim": 12, "states": 5, "width": 4, "groups": 2, "convolution": 3, "chunk": 7},
        equations=(
            r"S_t &= \exp(d_t A) S_{t-1} + B_t (d_t x_t)^\top",
            r"y_t &= \operatorname{norm}\bigl((S_t^\top C_t + D x_t) \odot \operatorname{silu}(z_t)\bigr)",
        ),
    ),
    Card(
        "lru", "memories.linear.lru:LRU", "linear",
        "complex channels that turn and fade at learned rates, which start on a ring",
        papers=("orvieto2023lru",), forms=("naive", "chunk", "parallel"),
        size="states", cost="2 states",
        example={"dim": 12, "states": 5, "chunk": 7},
        equations=(
            r"\lambda &= \exp(-\exp(\nu) + i \exp(\theta))",
            r"h_t &= \lambda \odot h_{t-1} + \exp(\gamma) \odot (B x_t)",
            r"y_t &= \operatorname{Re}(C h_t) + D \odot x_t",
        ),
    ),
    Card(
        "s4d", "memories.linear.s4d:S4D", "linear",
        "each channel filtered by diagonal states at paces that start a hundredfold apart",
        papers=("gu2022s4d",), forms=("naive", "chunk", "parallel"),
        size="states", cost="dim states",
        example={"dim": 6, "states": 4, "chunk": 7},
        equations=(
            r"h_t &= \exp(d A) h_{t-1} + \frac{\exp(d A) - 1}{A} u_t",
            r"y_t &= 2 \operatorname{Re}(C h_t) + D u_t",
        ),
    ),
    Card(
        "lssl", "memories.linear.lssl:LSSL", "linear",
        "each channel filtered by a state space whose matrix stays in HiPPO's family",
        papers=("gu2021lssl", "gu2020hippo"), forms=("naive", "chunk", "parallel"),
        size="states", cost="dim states", example={"dim": 6, "states": 4, "outputs": 2, "chunk": 7},
        equations=(
            r"A' &= \left(I - \tfrac{d}{2} A\right)^{-1} \left(I + \tfrac{d}{2} A\right), \quad "
            r"B' = \left(I - \tfrac{d}{2} A\right)^{-1} d B",
            r"h_t &= A' h_{t-1} + B' u_t",
            r"y_t &= C h_t + D u_t",
        ),
    ),
    Card(
        "parallel-lmu", "memories.linear.parallel_lmu:ParallelLMU", "linear",
        "Legendre polynomials that follow a window of signals drawn from the input alone",
        papers=("chilkuri2021lmu", "voelker2019lmu"), forms=("naive", "chunk", "parallel"),
        size="order", cost="signals order",
        example={"dim": 12, "signals": 2, "order": 5, "window": 9.0, "chunk": 7},
        equations=(
            r"u_t &= \operatorname{ReLU}(W_u x_t + b_u)",
            r"m_t &= A m_{t-1} + B u_t",
            r"y_t &= \operatorname{ReLU}(W [m_t, x_t] + b)",
        ),
    ),
    Card(
        "lmuformer", "nets.lmuformer:LMUFormer", "linear",
        "a Transformer whose attention is a parallel LMU, with or without spiking neurons",
        papers=("liu2024lmuformer", "chilkuri2021lmu"), forms=("naive", "chunk", "parallel"), whole=True,
        cost="layers * dim; with spikes layers * (7 dim + 1 + hidden)",
        example={"dim": 12, "layers": 2, "hidden": 20, "window": 9.0, "chunk": 7},
        earlier=({"surrogate": "arctangent"},),
        equations=(
            r"x &\leftarrow x + \operatorname{norm}(W \operatorname{LMU}(x))",
            r"x &\leftarrow x + \operatorname{relu}(\operatorname{norm}(W_2 "
            r"\operatorname{gelu}(\operatorname{norm}(W_1 x))))",
        ),
    ),
    Card(
        "s5", "memories.linear.s5:S5", "linear",
        "one diagonal state space for all channels of the input together",
        papers=("smith2022s5",), forms=("naive", "chunk", "parallel"),
        size="states", cost="states",
        example={"dim": 12, "blocks": 2, "chunk": 7},
        earlier=({"approximate": "none"},),
        equations=(
            r"h_t &= \exp(\Lambda d) \odot h_{t-1} + \frac{\exp(\Lambda d) - 1}{\Lambda} \odot (B x_t)",
            r"g_t &= \operatorname{gelu}(2 \operatorname{Re}(C h_t) + D \odot x_t)",
            r"y_t &= g_t \odot \sigma(W g_t + b)",
        ),
    ),
    Card(
        "memmamba", "memories.linear.memmamba:MemMamba", "linear",
        "Mamba that notes units that matter and attends to its notes",
        papers=("wang2025memmamba", "gu2023mamba"), forms=("naive", "chunk", "parallel"),
        size="states", cost="expansion dim (states + convolution - 1) + dim + slots (summary + 1)",
        example={"dim": 12, "slots": 5, "summary": 4, "states": 2},
        equations=(
            r"I_t &= \sigma(w \cdot x_t), \quad s_t = I_t W_s x_t, \quad J_t = \sigma(v \cdot z_{t-1})",
            r"z_t &= \operatorname{Mamba}(x)_t",
            r"y_t &= z_t + (J_t - \text{threshold})_+ W_o \operatorname{Attention}(W_q x_t, s, s)",
        ),
    ),
    Card(
        "aaren", "memories.linear.aaren:Aaren", "linear",
        "softmax attention of a learned query over all that has been read",
        papers=("feng2024aaren",), forms=("naive", "chunk", "parallel"),
        cost="dim + 2 heads",
        example={"dim": 12, "heads": 3, "chunk": 7},
        equations=(
            r"s_t &= q \cdot k_t / \sqrt{V}",
            r"a_t &= a_{t-1} + \exp(s_t) v_t, \quad c_t = c_{t-1} + \exp(s_t)",
            r"y_t &= a_t / c_t",
        ),
    ),
    Card(
        "ffm", "memories.linear.ffm:FFM", "linear",
        "gated inputs that fade at several rates and turn at several frequencies",
        papers=("morad2023ffm",), forms=("naive", "chunk", "parallel"),
        size="memory", cost="2 memory context",
        example={"dim": 12, "memory": 4, "context": 3, "chunk": 7},
        equations=(
            r"u_t &= W_1 x_t \odot \sigma(W_2 x_t), \quad \gamma_{jk} = \exp(-|\alpha_j| + i \omega_k)",
            r"S_t &= \gamma \odot S_{t-1} + u_t \mathbf{1}^\top",
            r"g_t &= \sigma(W_4 x_t)",
            r"y_t &= \operatorname{LayerNorm}(\operatorname{mix}(S_t)) \odot g_t + W_3 x_t \odot (1 - g_t)",
        ),
    ),
    Card(
        "galite", "memories.linear.agalite:GaLiTe", "linear",
        "outer products whose keys and values fade at gates of their own",
        papers=("pramanik2023agalite",), forms=("naive", "chunk", "parallel"),
        size="width", cost="heads width expansion (width + 1)",
        example={"dim": 12, "heads": 2, "width": 3, "expansion": 2, "chunk": 7},
        earlier=({"epsilon": 1e-5},),
        equations=(
            r"C_t &= \bigl((1 - \gamma_t) (1 - \beta_t)^\top\bigr) \odot C_{t-1} + (\gamma_t \odot \phi_k) "
            r"(\beta_t \odot v_t)^\top",
            r"s_t &= (1 - \gamma_t) \odot s_{t-1} + \gamma_t \odot \phi_k",
            r"y_t &= \frac{C_t^\top \phi_q}{s_t \cdot \phi_q}",
        ),
    ),
    Card(
        "agalite", "memories.linear.agalite:AGaLiTe", "linear",
        "GaLiTe whose matrices are a few pairs of vectors, told apart by cosines",
        papers=("pramanik2023agalite",), forms=("naive", "chunk", "parallel"),
        size="width", cost="heads width (expansion (cosines + 1) + cosines) + 1",
        example={"dim": 12, "heads": 2, "width": 3, "expansion": 2, "cosines": 7, "chunk": 7},
        earlier=({"first_tick": 1},),
        equations=(
            r"v_t^j &= (1 - \beta_t) \odot v_{t-1}^j + \cos(\omega_j t)\, \beta_t \odot v_t",
            r"k_t^j &= (1 - \gamma_t) \odot k_{t-1}^j + \cos(\omega_j t)\, \gamma_t \odot \phi_k",
            r"s_t &= (1 - \gamma_t) \odot s_{t-1} + \gamma_t \odot \phi_k",
            r"y_t &= \frac{\sum_j v_t^j (k_t^j \cdot \phi_q)}{2 R\, s_t \cdot \phi_q}",
        ),
    ),
    Card(
        "bilinear", "memories.linear.bilinear:Bilinear", "linear",
        "a state that inputs only multiply, which tracks finite automata",
        papers=("ebrahimi2025bilinear",), forms=("naive", "chunk"),
        size="hidden", cost="hidden",
        example={"dim": 12, "hidden": 12},
        equations=(
            r"A(x)_{ij} &= \sum_k W_{ijk} x_k",
            r"h_t &= A(x_t) h_{t-1}",
        ),
    ),
    Card(
        "taylor-attention", "memories.linear.taylor:TaylorAttention", "linear",
        "softmax attention whose exponential is a Taylor polynomial",
        papers=("mongaras2025expressiveness",), forms=("naive", "chunk", "parallel"),
        cost="heads (width + order)! / (width! order!) (dim / heads + 1)",
        example={"dim": 12, "heads": 3, "width": 2, "order": 4},
        equations=(
            r"\exp\left(\frac{q \cdot k}{\sqrt{K}}\right) &\approx \sum_{n=0}^N \frac{1}{n!} \left(\frac{q "
            r"\cdot k}{\sqrt{K}}\right)^n = \phi(q) \cdot \phi(k)",
            r"S_t &= S_{t-1} + \phi(k_t) v_t^\top, \quad z_t = z_{t-1} + \phi(k_t)",
            r"y_t &= \frac{S_t^\top \phi(q_t)}{\phi(q_t) \cdot z_t}",
        ),
    ),
    Card(
        "stable-ssm", "memories.linear.stable_ssm:StableSSM", "linear",
        "channels that fade at rates whose parameters can be moved without harm, however slow they are",
        papers=("wang2023stablessm",), forms=("naive", "chunk", "parallel"), size="states", cost="states",
        example={"dim": 12, "states": 8, "chunk": 7},
        equations=(
            r"h_t &= \lambda \odot h_{t-1} + U x_t + b, \quad \lambda = f(w)",
            r"y_t &= C s(h_t)",
        ),
    ),
    Card(
        "gated-rnn", "memories.linear.gated_rnn:GatedRNN", "linear",
        "channels that fade at fixed rates between two multiplications, enough to be linear attention",
        papers=("zucchet2023gated",), forms=("naive", "chunk", "parallel"), size="neurons", cost="neurons",
        example={"dim": 12, "neurons": 9, "chunk": 7},
        equations=(
            r"h_t &= \lambda \odot h_{t-1} + (M x_t + m) \odot (X x_t + c), \quad \lambda = \exp(-\exp(\nu))",
            r"o_t &= (M' h_t) \odot (X' h_t)",
            r"y_t &= D o_t",
        ),
    ),
)  # fmt: skip
