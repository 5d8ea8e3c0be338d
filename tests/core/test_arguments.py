"""Bad arguments and bad calls: each one sentence with the value, the rule and the mend."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch

import mnesis
from mnesis.core.card import Card
from mnesis.core.catalog import cards
from mnesis.core.domain import Checked, argument_domains, check_arguments, fault
from mnesis.generative.autoencoder import VariationalAutoencoder
from mnesis.generative.bank import LearnedBank
from mnesis.generative.matching import GenerativeMatching
from mnesis.generative.networks import ConvolutionNetworks, MLPNetworks
from mnesis.generative.sequence import BankReader
from mnesis.generative.soft_attention import SoftAttention
from mnesis.generative.variational_memory_addressing import VariationalMemoryAddressing
from mnesis.layers.transformer import Transformer, TransformerLayer
from mnesis.learn import Recipe, Stage
from mnesis.nets import Classifier, LanguageModel, Stack

BAD = [0, -1, 1.5, None, math.nan, "8", True]
CARDS = [*cards("memories"), *cards("tasks")]
OTHERS = [
    LanguageModel, Classifier, Stack, Transformer, TransformerLayer, Recipe, Stage, MLPNetworks, ConvolutionNetworks,
    LearnedBank, BankReader, VariationalAutoencoder, VariationalMemoryAddressing, SoftAttention, GenerativeMatching,
]  # fmt: skip


def refused(cls: type) -> list[tuple[str, Any]]:
    """Arguments of a constructor that its annotations do not allow."""
    return [(key, v) for key, (domain, _) in argument_domains(cls).items() for v in BAD if fault(v, domain)]


def one_sentence(error: BaseException, cls: type, key: str) -> None:
    assert str(error).startswith(f"{cls.__name__}: {key}")
    assert "\n" not in str(error)
    assert "; give " in str(error)


@pytest.mark.parametrize("known", CARDS, ids=lambda known: known.name)
def test_every_constructor_of_the_catalog_refuses_what_it_cannot_have(known: Card) -> None:
    cls = known.load()
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    closed = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    assert set(argument_domains(cls)) == closed, "each has an annotation that can be read"
    for key, value in refused(cls):
        with pytest.raises(ValueError) as caught:
            _build(cls, known, key, value)
        one_sentence(caught.value, cls, key)


def _build(cls: type, known: Card, key: str, value: Any) -> None:
    """With its example; a class that needs more is asked about the one argument."""
    needed = [name for name, (_, default) in argument_domains(cls).items() if default is inspect.Parameter.empty]
    if set(needed) - {key} <= set(known.example):
        cls(**{**known.example, key: value})
    else:
        check_arguments(cls, {key: value})


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("known", cards("memories"), ids=lambda known: known.name)
def test_what_annotations_allow_is_taken_or_refused_in_a_sentence(known: Card) -> None:
    cls, told = known.load(), {}
    for key, (domain, _) in argument_domains(cls).items():
        for value in BAD:
            if fault(value, domain) is None:
                try:
                    cls(**{**known.example, key: value})
                except ValueError as error:
                    told[key] = str(error)
    assert all(key in sentence and "\n" not in sentence for key, sentence in told.items())


@pytest.mark.parametrize("cls", OTHERS, ids=lambda cls: cls.__name__)
def test_other_constructors_are_checked_too(cls: type) -> None:
    assert issubclass(cls, (Checked, mnesis.Memory))
    assert refused(cls), "some values are refused"
    for key, value in refused(cls):
        with pytest.raises(ValueError) as caught:
            check_arguments(cls, {key: value})
        one_sentence(caught.value, cls, key)


@pytest.mark.parametrize("known", CARDS, ids=lambda known: known.name)
def test_defaults_are_allowed(known: Card) -> None:
    for key, (domain, default) in argument_domains(known.load()).items():
        if default is not inspect.Parameter.empty:
            assert fault(default, domain, key) is None


SIZE = "is not a whole number of at least 1"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: mnesis.create_memory("gru", dim=0), f"GRU: dim=0 {SIZE}; give a size such as 64"),
        (lambda: mnesis.create_memory("gru", dim=-3), f"GRU: dim=-3 {SIZE}; give a size such as 64"),
        (lambda: mnesis.create_memory("gru", dim="8"), f"GRU: dim='8' {SIZE}; give a size such as 64"),
        (lambda: mnesis.create_memory("gru", dim=8.0), f"GRU: dim=8.0 {SIZE}; give a size such as 64"),
        (lambda: mnesis.create_memory("gru", dim=None), f"GRU: dim=None {SIZE}; give a size such as 64"),
        (lambda: mnesis.create_memory("gru", dim=True), f"GRU: dim=True {SIZE}; give a size such as 64"),
        (lambda: mnesis.create_memory("rmt", dim=8, host=3), "RMT: host=3 is not a Host or a OffersHost or None; give "
         "host=None, the default, or another"),
        (lambda: mnesis.create_memory("GRU", dim=8), "no memory is called 'GRU'; did you mean 'gru'?"),
        (lambda: mnesis.create_task("Copy"), "no task is called 'Copy'; did you mean 'copy'?"),
        (lambda: mnesis.create_memory("gru", dim=8, Hidden=3), "gru has no option 'Hidden'; did you mean 'hidden'?"),
        (lambda: LanguageModel(0), f"LanguageModel: vocabulary=0 {SIZE}; give a size such as 64"),
        (lambda: Stage("4", 2, 3), f"Stage: length='4' {SIZE} or a list; give a size such as 64"),
        (lambda: Recipe(3), "Recipe: stages=3 is not a list; give one"),
        (lambda: MLPNetworks((8, 0)), f"MLPNetworks: image[1] 0 {SIZE}; give one"),
        (lambda: Transformer(8, layers=0), f"Transformer: layers=0 {SIZE}; give layers=2, the default, or another"),
    ],
)  # fmt: skip
def test_a_bad_constructor_call_has_its_sentence(build, sentence) -> None:
    with pytest.raises(ValueError) as caught:
        build()
    assert str(caught.value) == sentence


def ids(*numbers: int) -> torch.Tensor:
    return torch.tensor([numbers])


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda g, x: g(x.numpy()), "GRU reads a tensor, not a ndarray; write torch.as_tensor(x)"),
        (lambda g, x: g(x.tolist()), "GRU reads a tensor, not a list; write torch.as_tensor(x)"),
        (lambda g, x: g(None), "GRU reads a tensor, not a NoneType; write torch.as_tensor(x)"),
        (lambda g, x: g(3.0), "GRU reads a tensor, not a float; write torch.as_tensor(x)"),
        (lambda g, x: g(np.zeros((2, 5, 6))), "GRU reads a tensor, not a ndarray; write torch.as_tensor(x)"),
        (lambda g, x: g(x.long()), "GRU reads vectors of floating point, not torch.int64; write x.float()"),
        (lambda g, x: g(x > 0), "GRU reads vectors of floating point, not torch.bool; write x.float()"),
        (lambda g, x: g(x[0]), "GRU reads x of shape [batch, time, 6], not [5, 6]; add the batch axis: x[None]"),
        (lambda g, x: g(x[..., :4]), "GRU reads x of shape [batch, time, 6], not [2, 5, 4]; build it with dim=4"),
        (lambda g, x: g(x[:0]), "GRU reads at least one row and one unit, not x of shape [0, 5, 6]; skip the call"),
        (lambda g, x: g(x.to_sparse()), "GRU reads a dense tensor, not torch.sparse_coo; write x.to_dense()"),
        (lambda g, x: g(x, 0), "GRU was given the state of another memory (int instead of GRUState); pass the state "
         "that this memory returned, or None to start fresh"),
        (lambda g, x: g(x, "h"), "GRU was given the state of another memory (str instead of GRUState); pass the state "
         "that this memory returned, or None to start fresh"),
        (lambda g, x: g(x, [x]), "GRU was given the state of another memory (list instead of GRUState); pass the state "
         "that this memory returned, or None to start fresh"),
        (lambda g, x: g(x, g(x[:1])[1]), "GRU was given a state of 1 rows for a batch of 2; choose rows with "
         "mnesis.take(state, rows)"),
        (lambda g, x: g(x, length=[3, 2]), "length is a list, not a tensor; write torch.tensor(length)"),
        (lambda g, x: g(x, length=3), "length is a int, not a tensor; write torch.tensor(length)"),
        (lambda g, x: g(x, length=torch.tensor([3.0, 2.0])), "length has shape [2] and torch.float32; give one whole "
         "number a row: [2]"),
        (lambda g, x: g(x, length=torch.tensor([True, False])), "length has shape [2] and torch.bool; give one whole "
         "number a row: [2]"),
        (lambda g, x: g(x, length=torch.tensor([6, 1])), "length holds values 1..6; they must lie in 0..5"),
        (lambda g, x: g(x, reset=[[True] * 5] * 2), "reset is a list, not a tensor; write torch.tensor(reset)"),
        (lambda g, x: g(x, reset=torch.zeros(2, 5)), "reset is torch.float32, not torch.bool; write reset.bool()"),
        (lambda g, x: g(x, reset=torch.zeros(2, 4) > 0), "reset has shape [2, 4] where x has [2, 5, ...]; give one "
         "flag a unit"),
        (lambda g, x: mnesis.take(g(x)[1], [7]), "rows [7] of a state of 2: they count from 0 to 1; choose among "
         "these"),
        (lambda g, x: mnesis.take(g(x)[1], [-1]), "rows [-1] of a state of 2: they count from 0 to 1; choose among "
         "these"),
    ],
)  # fmt: skip
def test_a_bad_call_has_its_sentence(call, sentence) -> None:
    with pytest.raises(ValueError) as caught:
        call(mnesis.create_memory("gru", dim=6), torch.randn(2, 5, 6))
    assert str(caught.value) == sentence


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (ids(1, 11), "LanguageModel reads token ids of 0..10, and x holds 11; tokenize with the vocabulary of 11 that "
         "it was built for"),
        (ids(1, -1), "LanguageModel reads token ids of 0..10, and x holds -1; tokenize with the vocabulary of 11 that "
         "it was built for"),
        (ids(1, 2).float(), "LanguageModel reads token ids, whole numbers, not torch.float32; write x.long()"),
        (ids(1, 2)[0], "LanguageModel reads x of shape [batch, time, ...], not [2]; add the missing axes"),
        (ids(1, 2)[None], "LanguageModel reads token ids [batch, time], not x of shape [1, 1, 2]; drop the other axes"),
    ],
)  # fmt: skip
def test_bad_ids_have_their_sentence(x, sentence) -> None:
    with pytest.raises(ValueError) as caught:
        LanguageModel(11, dim=8, memory="gru")(x)
    assert str(caught.value) == sentence
