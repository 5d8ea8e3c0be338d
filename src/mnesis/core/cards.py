"""The catalog's entries: what mnesis holds, by name. Adding a memory, a task or a claim is one line here.

Every card names a class as ``module:Class``; nothing is imported before it is asked for.
"""

from __future__ import annotations

from .card import Card

CATALOG: dict[str, tuple[Card, ...]] = {
    "memories": (
        Card(
            "elman", "memories.recurrent.elman:Elman", "recurrent", "a hidden vector, overwritten by every unit",
            papers=("elman1990time",), size="hidden", cost="hidden", example={"dim": 12, "hidden": 16},
        ),
        Card(
            "lstm", "memories.recurrent.lstm:LSTM", "recurrent", "a cell that is added to, behind three gates",
            papers=("hochreiter1997lstm", "gers2000forget"), size="hidden", cost="2 hidden",
            example={"dim": 12, "hidden": 16},
        ),
        Card(
            "gru", "memories.recurrent.gru:GRU", "recurrent", "two gates over a hidden vector",
            papers=("cho2014gru",), size="hidden", cost="hidden", example={"dim": 12, "hidden": 16},
        ),
        Card(
            "slstm", "memories.recurrent.slstm:SLSTM", "recurrent",
            "an LSTM with exponential gates, a normaliser and a running maximum",
            papers=("beck2024xlstm",), cost="4 dim + dim (convolution - 1)",
            example={"dim": 12, "heads": 2, "convolution": 3},
        ),
        Card(
            "hippo", "memories.recurrent.hippo:HiPPO", "recurrent",
            "a gated vector beside a polynomial that follows all it writes down, or a window of it",
            papers=("gu2020hippo",), size="order", cost="hidden + signals order + 1",
            example={"dim": 12, "signals": 2, "order": 5},
        ),
        Card(
            "lmu", "memories.recurrent.lmu:LMU", "recurrent",
            "a vector beside Legendre polynomials that follow a window of what it writes down",
            papers=("voelker2019lmu",), size="order", cost="hidden + signals order",
            example={"dim": 12, "signals": 2, "order": 5, "window": 9.0},
        ),
        Card(
            "echo-state", "memories.reservoir.echo_state:EchoState", "reservoir",
            "a random recurrence that is never trained, only what reads it",
            papers=("jaeger2001echo", "jaeger2001memory"), cost="dim", example={"dim": 12},
            search=(
                {"spectral_radius": 0.9, "input_scale": 0.1}, {"spectral_radius": 0.99, "input_scale": 0.03},
                {"spectral_radius": 1.0, "topology": "cycle", "input_scale": 0.03},
                {"spectral_radius": 0.9, "leak": 0.3, "input_scale": 0.1},
            ),
        ),
        Card(
            "rmt", "memories.segment.rmt:RMT", "segment",
            "memory tokens read at the start and written at the end of a segment",
            papers=("bulatov2022rmt",), whole=True, size="memory_tokens", cost="memory_tokens * dim + segment cache",
            example={"dim": 16, "segment": 8, "memory_tokens": 3, "heads": 2, "hidden": 24},
        ),
        Card(
            "armt", "memories.segment.armt:ARMT", "segment",
            "a matrix per layer, written by memory tokens with a delta rule",
            papers=("rodkin2024armt",), whole=True, size="memory_dim",
            cost="layers * 6 memory_dim * (dim + 1) + segment cache",
            example={
                "dim": 16, "segment": 40, "memory_tokens": 6, "memory_dim": 24, "heads": 2, "hidden": 24,
                "convolution": 3, "output_norm": True,
            },
        ),
        Card(
            "transformer-xl", "memories.segment.transformer_xl:TransformerXL", "segment",
            "inputs of every layer in the segments before, read and not trained through",
            papers=("dai2019transformerxl",), whole=True, size="memory_length",
            cost="layers * (memory_length + segment) * dim",
            example={"dim": 16, "segment": 8, "memory_length": 12, "heads": 2, "hidden": 24},
        ),
        Card(
            "linear-attention", "memories.linear.linear_attention:LinearAttention", "linear",
            "a sum of outer products of keys and values, with a normaliser",
            papers=("katharopoulos2020linear",), forms=("naive", "chunk", "parallel"),
            cost="dim^2 / heads + dim + 3 dim (convolution - 1)",
            example={"dim": 12, "heads": 2, "convolution": 3, "chunk": 7},
        ),
        Card(
            "retention", "memories.linear.retention:Retention", "linear",
            "outer products that fade at a fixed rate per head, with rotary phases",
            papers=("sun2023retnet",), forms=("naive", "chunk", "parallel"), cost="2 dim^2 / heads",
            example={"dim": 12, "heads": 3, "chunk": 7},
        ),
        Card(
            "gla", "memories.linear.gla:GLA", "linear",
            "outer products whose key channels fade at a pace that follows the data",
            papers=("yang2023gla",), forms=("naive", "chunk", "parallel"),
            cost="key_expansion value_expansion dim^2 / heads",
            example={"dim": 12, "heads": 2, "rank": 4, "convolution": 3, "chunk": 7},
        ),
        Card(
            "gateloop", "memories.linear.gateloop:GateLoop", "linear",
            "outer products whose key channels fade and turn as the data say",
            papers=("katsch2023gateloop",), forms=("naive", "chunk", "parallel"), cost="2 dim^2 / heads",
            example={"dim": 12, "heads": 3, "chunk": 7},
        ),
        Card(
            "min-gru", "memories.linear.min_gru:MinGRU", "linear",
            "a GRU whose gate and candidate look at the input alone",
            papers=("feng2024minrnn",), forms=("naive", "chunk", "parallel"), cost="expansion dim",
            example={"dim": 12, "expansion": 1.5, "chunk": 7},
        ),
        Card(
            "min-lstm", "memories.linear.min_lstm:MinLSTM", "linear",
            "an LSTM whose gates look at the input alone and share what is kept and added",
            papers=("feng2024minrnn",), forms=("naive", "chunk", "parallel"), cost="expansion dim",
            example={"dim": 12, "expansion": 1.5, "chunk": 7},
        ),
        Card(
            "rg-lru", "memories.linear.rg_lru:RGLRU", "linear",
            "channels that fade behind a gate and take in what they lose",
            papers=("de2024griffin", "botev2024recurrentgemma"), forms=("naive", "chunk", "parallel"),
            cost="width + width (convolution - 1)", example={"dim": 12, "blocks": 4, "chunk": 7},
        ),
        Card(
            "mlstm", "memories.linear.mlstm:MLSTM", "linear",
            "outer products with exponential input gates, a normaliser and a running maximum",
            papers=("beck2025xlstm7b", "beck2024xlstm"), forms=("naive", "chunk", "parallel"),
            cost="dim^2 / (2 heads) + dim / 2 + heads", example={"dim": 12, "heads": 2, "chunk": 7},
        ),
        Card(
            "mlstm-block", "memories.linear.mlstm_block:MLSTMBlock", "linear",
            "an mLSTM of wide heads behind a convolution, between projections",
            papers=("beck2024xlstm",), forms=("naive", "chunk", "parallel"),
            cost="(expansion dim)^2 / heads + expansion dim convolution + heads",
            example={"dim": 12, "heads": 2, "chunk": 7},
        ),
        Card(
            "xlstm", "nets.xlstm:XLSTM", "linear", "blocks of mLSTMs, and of sLSTMs among them",
            papers=("beck2024xlstm",), whole=True,
            cost="that of its blocks: layers of mlstm-block, or of slstm",
            example={"dim": 12, "layers": 2, "slstm_at": (1,), "heads": 2, "chunk": 7},
        ),
        Card(
            "griffin", "nets.griffin:Griffin", "linear", "two layers of RG-LRUs, then one that attends to a window",
            papers=("de2024griffin", "botev2024recurrentgemma"), whole=True,
            cost="that of its layers: rg-lru, rg-lru, window",
            example={"dim": 12, "layers": 3, "heads": 2, "window": 9, "blocks": 4, "hidden": 24, "chunk": 7},
        ),
        Card(
            "mamba", "memories.linear.mamba:Mamba", "linear",
            "diagonal states whose pace, input and read-out follow the data",
            papers=("gu2023mamba",), forms=("naive", "chunk", "parallel"),
            size="states", cost="expansion dim (states + convolution - 1)",
            example={"dim": 8, "states": 4, "rank": 2, "chunk": 7},
        ),
        Card(
            "mamba2", "memories.linear.mamba2:Mamba2", "linear",
            "outer products that fade at a pace that follows the data, one pace a head",
            papers=("dao2024mamba2",), forms=("naive", "chunk", "parallel"),
            size="states", cost="expansion dim states + (expansion dim + 2 groups states) (convolution - 1)",
            example={"dim": 12, "states": 5, "width": 4, "groups": 2, "convolution": 3, "chunk": 7},
        ),
        Card(
            "lru", "memories.linear.lru:LRU", "linear",
            "complex channels that turn and fade at learned rates, which start on a ring",
            papers=("orvieto2023lru",), forms=("naive", "chunk", "parallel"),
            size="states", cost="2 states",
            example={"dim": 12, "states": 5, "chunk": 7},
        ),
        Card(
            "s4d", "memories.linear.s4d:S4D", "linear",
            "each channel filtered by diagonal states at paces that start a hundredfold apart",
            papers=("gu2022s4d",), forms=("naive", "chunk", "parallel"),
            size="states", cost="dim states",
            example={"dim": 6, "states": 4, "chunk": 7},
        ),
        Card(
            "lssl", "memories.linear.lssl:LSSL", "linear",
            "each channel filtered by a state space whose matrix stays in HiPPO's family",
            papers=("gu2021lssl", "gu2020hippo"), forms=("naive", "chunk", "parallel"),
            size="states", cost="dim states", example={"dim": 6, "states": 4, "outputs": 2, "chunk": 7},
        ),
        Card(
            "parallel-lmu", "memories.linear.parallel_lmu:ParallelLMU", "linear",
            "Legendre polynomials that follow a window of signals drawn from the input alone",
            papers=("chilkuri2021lmu", "voelker2019lmu"), forms=("naive", "chunk", "parallel"),
            size="order", cost="signals order",
            example={"dim": 12, "signals": 2, "order": 5, "window": 9.0, "chunk": 7},
        ),
        Card(
            "lmuformer", "nets.lmuformer:LMUFormer", "linear",
            "a Transformer whose attention is a parallel LMU, with or without spiking neurons",
            papers=("liu2024lmuformer", "chilkuri2021lmu"), forms=("naive", "chunk", "parallel"), whole=True,
            cost="layers * dim; with spikes layers * (7 dim + 1 + hidden)",
            example={"dim": 12, "layers": 2, "hidden": 20, "window": 9.0, "chunk": 7},
        ),
        Card(
            "s5", "memories.linear.s5:S5", "linear",
            "one diagonal state space for all channels of the input together",
            papers=("smith2022s5",), forms=("naive", "chunk", "parallel"),
            size="states", cost="states",
            example={"dim": 12, "blocks": 2, "chunk": 7},
        ),
        Card(
            "memmamba", "memories.linear.memmamba:MemMamba", "linear",
            "Mamba that notes units that matter and attends to its notes",
            papers=("wang2025memmamba", "gu2023mamba"), forms=("naive", "chunk", "parallel"),
            size="states", cost="expansion dim (states + convolution - 1) + dim + slots (summary + 1)",
            example={"dim": 12, "slots": 5, "summary": 4, "states": 2},
        ),
        Card(
            "aaren", "memories.linear.aaren:Aaren", "linear",
            "softmax attention of a learned query over all that has been read",
            papers=("feng2024aaren",), forms=("naive", "chunk", "parallel"),
            cost="dim + 2 heads",
            example={"dim": 12, "heads": 3, "chunk": 7},
        ),
        Card(
            "ffm", "memories.linear.ffm:FFM", "linear",
            "gated inputs that fade at several rates and turn at several frequencies",
            papers=("morad2023ffm",), forms=("naive", "chunk", "parallel"),
            size="memory", cost="2 memory context",
            example={"dim": 12, "memory": 4, "context": 3, "chunk": 7},
        ),
        Card(
            "galite", "memories.linear.agalite:GaLiTe", "linear",
            "outer products whose keys and values fade at gates of their own",
            papers=("pramanik2023agalite",), forms=("naive", "chunk", "parallel"),
            size="width", cost="heads width expansion (width + 1)",
            example={"dim": 12, "heads": 2, "width": 3, "expansion": 2, "chunk": 7},
        ),
        Card(
            "agalite", "memories.linear.agalite:AGaLiTe", "linear",
            "GaLiTe whose matrices are a few pairs of vectors, told apart by cosines",
            papers=("pramanik2023agalite",), forms=("naive", "chunk", "parallel"),
            size="width", cost="heads width (expansion (cosines + 1) + cosines) + 1",
            example={"dim": 12, "heads": 2, "width": 3, "expansion": 2, "cosines": 7, "chunk": 7},
        ),
        Card(
            "bilinear", "memories.linear.bilinear:Bilinear", "linear",
            "a state that inputs only multiply, which tracks finite automata",
            papers=("ebrahimi2025bilinear",), forms=("naive", "chunk"),
            size="hidden", cost="hidden",
            example={"dim": 12, "hidden": 12},
        ),
        Card(
            "taylor-attention", "memories.linear.taylor:TaylorAttention", "linear",
            "softmax attention whose exponential is a Taylor polynomial",
            papers=("mongaras2025expressiveness",), forms=("naive", "chunk", "parallel"),
            cost="heads (width + order)! / (width! order!) (dim / heads + 1)",
            example={"dim": 12, "heads": 3, "width": 2, "order": 4},
        ),
        Card(
            "stable-ssm", "memories.linear.stable_ssm:StableSSM", "linear",
            "channels that fade at rates whose parameters can be moved without harm, however slow they are",
            papers=("wang2023stablessm",), forms=("naive", "chunk", "parallel"), size="states", cost="states",
            example={"dim": 12, "states": 8, "chunk": 7},
        ),
        Card(
            "gated-rnn", "memories.linear.gated_rnn:GatedRNN", "linear",
            "channels that fade at fixed rates between two multiplications, enough to be linear attention",
            papers=("zucchet2023gated",), forms=("naive", "chunk", "parallel"), size="neurons", cost="neurons",
            example={"dim": 12, "neurons": 9, "chunk": 7},
        ),
        Card(
            "delta-rule", "memories.plastic.delta_rule:DeltaRule", "plastic",
            "a matrix that corrects what it holds under a key",
            papers=("yang2024deltanet", "schlag2021fast", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
            cost="dim^2 / heads + 3 dim (convolution - 1)",
            example={"dim": 12, "heads": 2, "convolution": 3, "negative_eigenvalues": True, "chunk": 7},
        ),
        Card(
            "gated-delta-rule", "memories.plastic.gated_delta_rule:GatedDeltaRule", "plastic",
            "a matrix that forgets, then corrects what it holds under a key",
            papers=("yang2024gateddeltanet", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
            size="width", cost="heads * (width^2 * expansion + width (2 + expansion) (convolution - 1))",
            example={"dim": 12, "heads": 2, "width": 5, "convolution": 3, "negative_eigenvalues": True, "chunk": 7},
        ),
        Card(
            "delta-product", "memories.plastic.delta_product:DeltaProduct", "plastic",
            "a matrix that corrects what it holds several times a unit, so that it can rotate it",
            papers=("siems2025deltaproduct", "grazzi2024negative"), forms=("naive", "chunk", "parallel"),
            size="width", cost="heads width^2 expansion + heads width (1 + writes (1 + expansion)) (convolution - 1)",
            example={"dim": 12, "heads": 2, "width": 5, "writes": 2, "gated": True, "convolution": 3, "chunk": 7},
        ),
        Card(
            "mom", "memories.plastic.mom:MoM", "plastic",
            "several matrices, of which every unit writes and reads a few, and one that all share",
            papers=("du2025mom", "yang2024gateddeltanet"), forms=("naive", "chunk", "parallel"),
            size="width",
            cost="(memories + shared) heads (width^2 expansion + width (2 + expansion) (convolution - 1))",
            example={"dim": 12, "heads": 2, "width": 4, "memories": 3, "activated": 2, "convolution": 3, "chunk": 7},
        ),
        Card(
            "lattice", "memories.plastic.lattice:Lattice", "plastic",
            "slots of length 1, to which only what is orthogonal to them is added",
            papers=("karami2025lattice",),
            size="slots", cost="slots dim + (2 heads slots + dim) (convolution - 1)",
            example={"dim": 12, "heads": 2, "slots": 5, "convolution": 3},
        ),
        Card(
            "tcn", "memories.convolution.tcn:TCN", "convolution",
            "stacked dilated convolutions, which see a window that doubles with every level",
            papers=("bai2018tcn",), size="channels", cost="(kernel - 1) (dim - channels + 2 channels (2^levels - 1))",
            example={"dim": 12, "channels": 8, "levels": 3, "kernel": 3},
        ),
        Card(
            "multires", "memories.convolution.multires:Multires", "convolution",
            "a window seen through one pair of filters applied again and again, twice as far apart each time",
            papers=("shi2023multires",), cost="(kernel - 1) (2^levels - 1) dim",
            example={"dim": 12, "kernel": 3, "levels": 3, "selection": "uniform", "memory": 7},
        ),
        Card(
            "fsmn", "memories.convolution.fsmn:FSMN", "convolution",
            "a hidden layer whose past is filtered channel by channel, behind a gate",
            papers=("zhang2015fsmn", "zhao2023mossformer2"),
            size="order", cost="width (2 (convolution - 1) + (order - 1) ((layers - 1) 2^layers + 1))",
            example={"dim": 12, "order": 4, "convolution": 3},
        ),
        Card(
            "window", "memories.bank.window:Window", "bank", "keys and values of the last units, exactly",
            papers=("child2019sparse", "beltagy2020longformer"), forms=("naive", "block"),
            size="window", cost="2 (window - 1) dim + dim (convolution - 1)",
            example={"dim": 16, "heads": 2, "window": 11, "convolution": 3},
        ),
    ),
    "tasks": (
        Card(
            "copy", "tasks.copy:Copy", "algorithmic", "repeat a sequence of random symbols",
            papers=("bulatov2022rmt",), lengths=(2, 16),
        ),
        Card(
            "reverse", "tasks.copy:Reverse", "algorithmic", "repeat a sequence of random symbols backwards",
            papers=("bulatov2022rmt",), lengths=(2, 16),
        ),
        Card(
            "associative-retrieval", "tasks.associative_retrieval:AssociativeRetrieval", "retrieval",
            "find the value of a key, its first (remember) or its latest (rewrite)",
            papers=("rodkin2024armt",), example={"form": "rewrite"}, lengths=(1, 8),
        ),
        Card(
            "text", "tasks.text:Text", "language modelling", "the next byte of a text, real or generated", lengths=128
        ),
        Card(
            "words", "tasks.words:Words", "language modelling",
            "the next word of Penn Treebank, WikiText-2 or another text",
            papers=("mikolov2010rnnlm", "merity2016pointer"),
        ),
        Card(
            "polyphonic-music", "tasks.polyphonic_music:PolyphonicMusic", "language modelling",
            "the next key of a piano roll, or the end of its frame",
            papers=("boulanger2012polyphonic", "chung2014empirical", "bai2018tcn"),
        ),
        Card(
            "multi-query-recall", "tasks.multi_query_recall:MultiQueryRecall", "retrieval",
            "say the value of every key, each of which comes once more among other symbols",
            papers=("arora2023zoology",), example={"vocabulary": 128, "random_fillers": False}, lengths=(2, 16),
        ),
        Card(
            "induction", "tasks.induction:Induction", "retrieval",
            "say what followed a mark, when the mark comes again",
            papers=("olsson2022induction", "gu2023mamba"), lengths=(8, 64),
        ),
        Card(
            "needle", "tasks.needle:Needle", "retrieval",
            "say the value of a key that stood somewhere in a long stream of random tokens",
            papers=("hsieh2024ruler", "mohtashami2023landmark"), lengths=(8, 32),
        ),
        Card(
            "index-lookup", "tasks.graphs:Index", "retrieval", "say which symbol stood at a place",
            papers=("wen2024rnns",), example={"most": 64}, lengths=(2, 8),
        ),
        Card(
            "selective-copy", "tasks.selective_copy:SelectiveCopy", "retrieval",
            "say the symbols that stood among blanks, in their order",
            papers=("gu2023mamba",), lengths=(2, 16),
        ),
        Card(
            "set-disjointness", "tasks.set_disjointness:SetDisjointness", "retrieval",
            "name the one member that a small and a large set share", papers=("arora2024just",),
            example={"vocabulary": 68}, lengths=(4, 16),
        ),
        Card(
            "state-tracking", "tasks.state_tracking:StateTracking", "state tracking",
            "multiply elements of a group as they come, and say the product so far",
            papers=("ebrahimi2025bilinear", "grazzi2024negative"), lengths=(2, 16),
        ),
        Card(
            "parity", "tasks.bit_windows:Parity", "state tracking",
            "whether the last N bits hold an odd number of ones",
            papers=("khajehabdollahi2024timescales",), example={"every": True}, lengths=(2, 8),
        ),
        Card(
            "delayed-match", "tasks.bit_windows:DelayedMatch", "state tracking",
            "whether the first of the last N bits equals the last",
            papers=("khajehabdollahi2024timescales",), example={"every": True}, lengths=(2, 8),
        ),
        Card(
            "formal-language", "tasks.formal_languages:FormalLanguage", "state tracking",
            "read the beginning of a word, and say at every symbol which may follow",
            papers=("sarrof2024expressive", "bhattamishra2020ability"), lengths=(2, 50),
        ),
        Card(
            "list-ops", "tasks.list_ops:ListOps", "state tracking",
            "compute nested minima, maxima, medians and sums of digits", papers=("nangia2018listops", "tay2020lra"),
            lengths=(4, 24),
        ),
        Card(
            "counting", "tasks.graphs:Counting", "state tracking", "tell whether a symbol came at least so often",
            papers=("wen2024rnns",), example={"most": 64}, lengths=(2, 16),
        ),
        Card(
            "is-tree", "tasks.graphs:IsTree", "state tracking",
            "tell whether edges that come one after the other make a tree",
            papers=("wen2024rnns",), example={"nodes": 32}, lengths=(5, 8),
        ),
        Card(
            "connected", "tasks.graphs:Connected", "state tracking",
            "tell whether two nodes of two trees are in the same one",
            papers=("wen2024rnns",), example={"nodes": 32}, lengths=(5, 8),
        ),
        Card(
            "working-memory", "tasks.working_memory:WorkingMemory", "working memory",
            "ten families of trials that people are given: lists, markers, figures, changes, rules, and spans",
            papers=("sikarwar2023worm",), example={"family": "memory-updating"}, lengths=(1, 2),
        ),
        Card(
            "adding", "tasks.adding:Adding", "signals",
            "add the two numbers of a long sequence that are marked",
            papers=("hochreiter1997lstm", "arjovsky2016unitary"), lengths=(10, 50),
        ),
        Card(
            "memory-capacity", "tasks.memory_capacity:MemoryCapacity", "signals",
            "say the inputs of the last units again, all at every unit",
            papers=("jaeger2001memory", "ballarin2025capacity"), lengths=64,
        ),
        Card(
            "mackey-glass", "tasks.time_series:MackeyGlass", "signals",
            "foretell a chaotic signal that feeds back on itself after a delay",
            papers=("mackey1977oscillation",), lengths=128,
        ),
        Card(
            "narma", "tasks.time_series:NARMA", "signals",
            "compute a nonlinear moving average of random inputs, with feedback",
            papers=("atiya2000algorithms",), lengths=128,
        ),
        Card(
            "piecewise-stationary", "tasks.piecewise_stationary:PiecewiseStationary", "prediction",
            "say the next bit of a coin whose bias jumps at unknown times",
            papers=("veness2013ptw", "genewein2023memory"), lengths=(16, 128),
        ),
        Card(
            "sequential-images", "tasks.sequential_images:SequentialImages", "classification",
            "tell what a picture shows, after all of its pixels and noise behind them",
            papers=("le2015irnn", "chang2019antisymmetric", "rusch2022lem"), lengths=64,
        ),
        Card(
            "timescale-shift", "tasks.timescale:TimescaleShift", "classification",
            "tell which waves a curve is made of, at sampling rates that training did not have",
            papers=("gu2020hippo",), lengths=100,
        ),
        Card(
            "series", "tasks.series:Series", "classification",
            "tell the class of a recorded series once it has been read", papers=("dau2019ucr", "bagnall2018uea"),
        ),
        Card(
            "spoken-digits", "tasks.spoken_digits:SpokenDigits", "classification",
            "tell which digit was spoken, from spectra or samples", papers=("jackson2018fsdd",),
        ),
        Card(
            "babilong", "tasks.babilong:BABILong", "question answering",
            "answer bAbI's questions about facts scattered in long text",
            papers=("kuratov2024babilong", "weston2015babi"),
        ),
        Card(
            "babi", "tasks.babi.questions:Babi", "question answering",
            "answer questions about short stories, word by word, of twenty kinds", papers=("weston2015babi",),
            lengths=(20, 80),
        ),
    ),
    "claims": (
        Card(
            "armt-rewrite", "claims.armt_rewrite:ARMTRewrite", "segment",
            "ARMT follows rewritten associations far beyond its training length", papers=("rodkin2024armt",),
        ),
        Card(
            "rmt-copy", "claims.rmt_copy:RMTCopy", "segment",
            "RMT copies across segments where Transformer-XL with equal memory does not", papers=("bulatov2022rmt",),
        ),
        Card(
            "rmt-length", "claims.rmt_length:RMTLength", "segment",
            "RMT trained on a few segments holds a fact over many", papers=("bulatov2023scaling",),
        ),
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
            "legs-timescale", "claims.legs_timescale:LegSTimescale", "recurrent",
            "a memory without a time scale reads curves at rates it was not trained on", papers=("gu2020hippo",),
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
    ),
}  # fmt: skip
