"""Token in, logits out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from jaxtyping import Float
from torch import Tensor, nn

from ..core.domain import Epsilon, Positive
from ..core.memory import Memory
from .around import Reader
from .generating import Generating
from .stack import network


class LanguageModel(Generating):
    """Embedding, memory, head: ``logits [B T V], state = model(tokens [B T], state)``.

    Args:
        vocabulary: number of token ids.
        dim: width.
        memory: name in the catalog; a whole stack of layers (``armt``) or what stands in every block (``gru``); or a
            list of names, one a block.
        depth: layers or blocks, where one name is given.
        hidden: width of the MLPs; 4 dim if None.
        convolution: width of a causal convolution in every layer or block; None = without.
        mlp: kind of the blocks' MLPs, "gelu", or gated, "geglu" or "swiglu"; None = without. Whole stacks have theirs.
        options: further arguments of the memory, or of every block's.
        tie: let the head be the embedding, one tensor, which starts as small as a head does.
        epsilon: of the norms; None = 1e-6.
        embedding_scale: what embeddings are multiplied by (sqrt(dim) in Gemma).
        softcap: c of logits, c tanh(x / c); None = without.
    """

    added: ClassVar[Mapping[str, Any]] = {"tie": False, "epsilon": None, "embedding_scale": 1.0, "softcap": None}

    def __init__(
        self,
        vocabulary: int,
        *,
        dim: int = 128,
        memory: str | Sequence[str] = "armt",
        depth: int = 2,
        hidden: int | None = None,
        convolution: int | None = None,
        mlp: str | None = "gelu",
        options: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        tie: bool = False,
        epsilon: Epsilon | None = None,
        embedding_scale: Positive = 1.0,
        softcap: Positive | None = None,
    ) -> None:
        super().__init__()
        if vocabulary < 2:
            raise ValueError(f"vocabulary={vocabulary} leaves nothing to predict; give the tokenizer's size")
        sizes: dict[str, Any] = {"hidden": hidden, "convolution": convolution, "mlp": mlp, "epsilon": epsilon}
        body = network(dim, memory=memory, depth=depth, options=options, **sizes)
        self.vocabulary, self.period, self.softcap = vocabulary, body.period, softcap
        if body.dim is None:
            raise ValueError(f"{type(body).__name__} does not read vectors, so no embedding can stand before it")
        embedding = nn.Embedding(vocabulary, body.dim)
        nn.init.normal_(embedding.weight, std=0.7)
        self.reader = Reader(embedding, body, embedding_scale)
        self.head = nn.Linear(dim, vocabulary, bias=False)
        nn.init.normal_(self.head.weight, std=0.02)
        if tie:
            if body.dim != dim:
                raise ValueError(
                    f"tie=True needs an embedding as wide as the head, not {body.dim} and {dim}; untie them"
                )
            embedding.weight = self.head.weight

    def count_tokens(self) -> None:
        """Take the vocabulary from the embedding, whose rows somebody has made more or fewer."""
        self.vocabulary = self.reader.vocabulary = cast(nn.Embedding, self.reader.embedding).num_embeddings
        self.__dict__["_arguments"]["vocabulary"] = self.vocabulary

    def parts(self) -> tuple[Memory[Any], Callable[[Any], Any]]:
        return self.reader, self.head if self.softcap is None else self.read_out

    def read_out(self, y: Float[Tensor, "... D"]) -> Float[Tensor, "... V"]:
        """Logits of hidden vectors."""
        logits = self.head(y)
        return logits if self.softcap is None else self.softcap * (logits / self.softcap).tanh()
