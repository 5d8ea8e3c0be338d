"""Memories that hold a vector, gated or followed by polynomials."""

from __future__ import annotations

from ...card import Card

CARDS = (
    Card(
        "elman", "memories.recurrent.elman:Elman", "recurrent", "a hidden vector, overwritten by every unit",
        papers=("elman1990time",), size="hidden", cost="hidden", example={"dim": 12, "hidden": 16},
        equations=(
            r"h_t &= \tanh(W x_t + b + U h_{t-1} + c)",
        ),
    ),
    Card(
        "lstm", "memories.recurrent.lstm:LSTM", "recurrent", "a cell that is added to, behind three gates",
        papers=("hochreiter1997lstm", "gers2000forget"), size="hidden", cost="2 hidden",
        example={"dim": 12, "hidden": 16},
        equations=(
            r"i_t, f_t, o_t &= \sigma(W x_t + b + U h_{t-1} + c)",
            r"g_t &= \tanh(W_g x_t + b_g + U_g h_{t-1} + c_g)",
            r"c_t &= f_t \odot c_{t-1} + i_t \odot g_t",
            r"h_t &= o_t \odot \tanh(c_t)",
        ),
    ),
    Card(
        "gru", "memories.recurrent.gru:GRU", "recurrent", "two gates over a hidden vector",
        papers=("cho2014gru",), size="hidden", cost="hidden", example={"dim": 12, "hidden": 16},
        equations=(
            r"r_t, z_t &= \sigma(W x_t + U h_{t-1} + b)",
            r"n_t &= \tanh(W_n x_t + b_n + r_t \odot (U_n h_{t-1} + c_n))",
            r"h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}",
        ),
    ),
    Card(
        "slstm", "memories.recurrent.slstm:SLSTM", "recurrent",
        "an LSTM with exponential gates, a normaliser and a running maximum",
        papers=("beck2024xlstm",), cost="4 dim + dim (convolution - 1)",
        example={"dim": 12, "heads": 2, "convolution": 3},
        earlier=({},),
        equations=(
            r"\tilde{\imath}_t, \tilde{f}_t, \tilde{z}_t, \tilde{o}_t &= W x_t + R h_{t-1} + b",
            r"i_t &= \exp(\tilde{\imath}_t), \quad f_t = \sigma(\tilde{f}_t)",
            r"c_t &= f_t \odot c_{t-1} + i_t \odot \tanh(\tilde{z}_t)",
            r"n_t &= f_t \odot n_{t-1} + i_t",
            r"h_t &= \sigma(\tilde{o}_t) \odot c_t / n_t",
        ),
    ),
    Card(
        "hippo", "memories.recurrent.hippo:HiPPO", "recurrent",
        "a gated vector beside a polynomial that follows all it writes down, or a window of it",
        papers=("gu2020hippo",), size="order", cost="hidden + signals order + 1",
        example={"dim": 12, "signals": 2, "order": 5},
        equations=(
            r"u_t &= W_u [x_t, h_{t-1}] + b_u",
            r"c_t &= A_t c_{t-1} + B_t u_t",
            r"g_t &= \sigma(W_g [x_t, c_t] + b_g)",
            r"h_t &= (1 - g_t) \odot h_{t-1} + g_t \odot \tanh(W_h [x_t, c_t] + b_h)",
        ),
    ),
    Card(
        "lmu", "memories.recurrent.lmu:LMU", "recurrent",
        "a vector beside Legendre polynomials that follow a window of what it writes down",
        papers=("voelker2019lmu",), size="order", cost="hidden + signals order",
        example={"dim": 12, "signals": 2, "order": 5, "window": 9.0},
        equations=(
            r"u_t &= e_x \cdot x_t + e_h \cdot h_{t-1} + e_m \cdot m_{t-1}",
            r"m_t &= A m_{t-1} + B u_t",
            r"h_t &= \tanh(W_x x_t + W_h h_{t-1} + W_m m_t)",
        ),
    ),
)  # fmt: skip
