"""The claims about variational memory addressing: their exams on known models, their predicates on made-up figures."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import torch

from mnesis.claims.points import agreed
from mnesis.claims.vma.ablations import CLASSES, COSINE, FLAT, INNER, TIED, Ablations
from mnesis.claims.vma.answer_bits import AnswerBitsExam
from mnesis.claims.vma.classification import TESTS, Classification
from mnesis.claims.vma.confounders import Confounders
from mnesis.claims.vma.cost import HARD, HardIsFaster
from mnesis.claims.vma.cost import SOFT as BLEND
from mnesis.claims.vma.exams import ClassExam, NestedExam, Pictures, RecallExam, Watch
from mnesis.claims.vma.few_shot import FewShot
from mnesis.claims.vma.kl_shift import KLShift
from mnesis.claims.vma.learned_characters import LearnedCharacters
from mnesis.claims.vma.learned_memory import LearnedMemory
from mnesis.claims.vma.matching import ADDRESSED, MATCHING, MatchingClaim
from mnesis.claims.vma.nats import gap
from mnesis.claims.vma.recall import PLAIN, Recall, _switch
from mnesis.claims.vma.sequence import ALL, NONE, RANDOM, TOP, Sequence
from mnesis.claims.vma.sequence import SOFT as BLENDED
from mnesis.claims.vma.study import SETTINGS, SHORT, SOFT, SOFT_FEW, VAE, VMA, build
from mnesis.generative.generation import Generation
from mnesis.learn.folder import describe
from mnesis.tasks.images.collections import open_collection
from mnesis.tasks.images.lessons import RecallLessons

GLYPHS = Pictures("glyphs")
TASK = RecallLessons(open_collection("glyphs").train)
STUDY = (FewShot, Confounders, Classification, KLShift, Ablations, MatchingClaim)


def network(model: str = "vma") -> Generation:
    torch.manual_seed(0)
    return cast(Generation, build(SETTINGS["smoke"], model, {}))


def test_claims_of_one_study_share_their_trainings() -> None:
    """A training that two claims ask for is described alike, or the second would refuse the first one's folder."""
    found: dict[str, list[Any]] = {}
    for kind in STUDY:
        for trial in kind().trials("smoke"):
            (phase,) = trial.phases
            about = {"study": kind.study, "phase": phase.name, **trial.about}
            description = describe(phase.build(), phase.task, phase.recipe, about, phase.validation)
            found.setdefault(trial.model, []).append((description, phase.task.__class__, vars(phase.task)))
    assert max(map(len, found.values())) >= 3
    for name, parts in found.items():
        assert all(part == parts[0] for part in parts), name


@pytest.mark.parametrize("model", ["vma", "soft", "matching", "vae"])
def test_nested_exams_ask_every_model_for_the_same_targets(model, monkeypatch) -> None:
    seen: list[torch.Tensor] = []
    taught = network(model)

    def watched(x, bank=None, **options):
        seen.append(x)
        return torch.zeros(len(x))

    monkeypatch.setattr(taught.model, "log_prob", watched)
    for classes, examples in ((1, 1), (3, 2), (2, 16)):
        NestedExam(0, GLYPHS, classes=classes, examples=examples, rounds=2, limit=3).take(taught, TASK)
    targets = torch.cat(seen).view(3, 2, 3, 4, 26, 26)
    assert (targets[0] == targets[1]).all()
    assert (targets[0] == targets[2]).all()
    assert not (targets[0, 0] == targets[0, 1]).all()


def test_banks_are_nested_and_hold_the_target_s_class() -> None:
    taught = network()
    banks = {}
    for classes, examples in ((1, 2), (3, 2), (3, 5)):
        exam = NestedExam(0, GLYPHS, classes=classes, examples=examples, rounds=1, limit=4)
        banks[classes, examples] = list(exam._batches(taught))
    whole = open_collection("glyphs").test
    for small, middle, large in zip(*banks.values(), strict=True):
        rows = [{tuple(row.flatten().tolist()) for row in bank.content} for _, bank in (small, middle, large)]
        assert len(rows[0]) == 2
        assert rows[0] < rows[1] < rows[2]
        targets = {tuple(row.flatten().tolist()) for row in small[0]}
        assert not targets & rows[2]
        label = [_class_of(whole, row) for row in (*small[0], *small[1].content)]
        assert len(set(label)) == 1


def _class_of(images, row) -> int:
    return int(images.label[(images.pixels == row.to(torch.uint8)).all((1, 2))][0])


def test_keys_made_once_are_those_of_the_slots() -> None:
    taught = network()
    for x, bank in NestedExam(0, GLYPHS, classes=3, examples=2, rounds=1, limit=2)._batches(taught):
        assert (taught.model.keyed(bank.content).keys - bank.keys).abs().max() < 1e-6
        assert len(x) == 4


def test_exams_give_nats_of_every_target() -> None:
    found = RecallExam(4, GLYPHS, samples=5, lessons=2, targets=6).take(network(), TASK)
    assert len(found["nats"]) == found["targets"] == 12
    assert found["nll"] == pytest.approx(sum(found["nats"]) / 12, abs=0.01)
    again = RecallExam(4, GLYPHS, samples=5, lessons=2, targets=6).take(network(), TASK)
    assert again == found
    figures = Watch((RecallExam(4, GLYPHS, samples=5, lessons=1, targets=6),), TASK)(network())
    assert set(figures) == {"nll", "nll_standard_error", "kl_address", "kl_latent", "reconstruction"}


def test_figures_of_several_exams_are_told_together() -> None:
    exams = (RecallExam(4, GLYPHS, samples=5, lessons=1, targets=6), ClassExam(0, GLYPHS, samples=0, episodes=2))
    figures = Watch(exams, TASK)(network())
    assert set(figures) == {"nll", "nll_standard_error", "kl_address", "kl_latent", "reconstruction", "address"}
    assert figures["address"] == exams[1].take(network(), TASK)["address"]["accuracy"]


def test_class_exams_count_right_ones() -> None:
    found = ClassExam(0, GLYPHS, samples=2, ways=3, shots=2, episodes=2, targets=1).take(network(), TASK)
    assert found["address"]["answers"] == found["importance"]["answers"] == 6
    assert 0 <= found["address"]["accuracy"] <= 1


def test_weights_trained_anew_are_asked_anew_by_every_claim_of_the_study(tmp_path) -> None:
    for claim in (Classification(), Confounders()):
        claim.run("smoke", tmp_path, progress=False)
    own = tmp_path / "smoke" / "VMA-0" / "training" / "exams"
    assert {path.stem for path in own.iterdir()} == {"vma-classification", "vma-confounders"}
    Classification().run("smoke", tmp_path, progress=False, overwrite=True)
    assert {path.stem for path in own.iterdir()} == {"vma-classification"}


def test_gaps_are_paired() -> None:
    assert gap({"nats": [3.0, 5.0, 9.0]}, {"nats": [2.0, 4.0, 8.0]}) == (1.0, 0.0)


def test_seeds_must_agree() -> None:
    points = [{"seed": seed, "right": seed != 1} for seed in (0, 1, 2)]

    def judge(figures):
        (point,) = figures["points"]
        return "holds" if point["right"] else "does not hold"

    assert agreed({"points": points}, judge) == "inconclusive"
    assert agreed({"points": points[::2]}, judge) == "holds"
    assert agreed({"points": points[1:2]}, judge) == "does not hold"


def made(model: str, at: int, nll: float, address: float = 2.0, latent: float = 20.0, **more) -> dict[str, Any]:
    nats = [nll - 1, nll, nll + 1]
    return {
        "model": model,
        "seed": 0,
        "at": at,
        "nll": nll,
        "kl_address": address,
        "kl_latent": latent,
        "nats": nats,
        **more,
    }


@pytest.mark.parametrize(
    ("vma", "soft", "few", "vae", "verdict"),
    [
        (90, 95, 93, 99, "holds"),
        (92.5, 95, 93, 99, "does not hold"),  # within a nat of the better soft attention
        (90, 98.5, 98.5, 99, "does not hold"),
    ],
)
def test_few_shot(vma, soft, few, vae, verdict) -> None:
    points = [made(VMA, 32, vma), made(SOFT, 32, soft), made(SOFT_FEW, 32, few), made(VAE, 0, vae)]
    assert FewShot().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("excess", "vae", "verdict"),
    [
        (0.9, 99, "holds"),
        (-0.9, 99, "holds"),
        (1.1, 99, "does not hold"),
        (-1.1, 99, "does not hold"),
        (0, 93, "does not hold"),
    ],
)
def test_confounders(excess, vae, verdict) -> None:
    points = [made(VMA, 1, 90), made(VMA, 2, 90 + math.log(2)), made(VMA, 144, 90 + math.log(144) + excess)]
    assert Confounders().judge({"points": [*points, made(VAE, 1, vae)]}) == verdict


@pytest.mark.parametrize(
    ("address", "latent", "nats", "verdict"),
    [
        (3.1, 18.9, 88.9, "holds"),
        (2.9, 18.9, 88.9, "does not hold"),
        (3.1, 19.1, 88.9, "does not hold"),
        (3.1, 18.9, 89.1, "does not hold"),
    ],
)
def test_kl_shift(address, latent, nats, verdict) -> None:
    points = [made("VMA 8x1", 1, 90), made(VMA, 4, 70), made("VMA 8x16", 16, nats, address, latent)]
    assert KLShift().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("off", "latent", "far", "verdict"),
    [
        (0.14, 0.34, 0.49, "holds"),
        (0.16, 0.34, 0.49, "does not hold"),
        (0.14, 0.36, 0.49, "does not hold"),
        (0.14, 0.34, 0.51, "does not hold"),
    ],
)
def test_recall(off, latent, far, verdict) -> None:
    points = [made("VMA 256", 256, math.log(256) + off, math.log(256) - off, latent)]
    points += [made("VMA 256", 2048, math.log(2048) + far), made(f"VMA 256{PLAIN}", 256, 50), made("VMA 512", 512, 60)]
    assert Recall().judge({"points": points, "trained": 256}) == verdict


def test_a_switch_is_the_first_look_near_log_n() -> None:
    looks = [{"update": update, "nll": nll} for update, nll in ((500, 90.0), (1000, 6.5), (1500, 7.0))]
    assert _switch(looks, 256) == 1000
    assert _switch(looks, 64) is None


@pytest.mark.parametrize(
    ("address", "importance", "verdict"),
    [(0.8, 0.87, "holds"), (0.79, 0.9, "does not hold"), (0.9, 0.86, "does not hold")],
)
def test_classification(address, importance, verdict) -> None:
    def share(value):
        return {"accuracy": value, "interval": [value, value]}

    points = [
        {"ways": ways, "shots": shots, "seed": 0, "address": share(address), "importance": share(importance)}
        for ways, shots in TESTS
    ]
    assert Classification().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("inner", "cosine", "flat", "classes", "tied", "verdict"),
    [
        (89.1, 95, 90.9, 90.9, 90.9, "holds"),
        (88.9, 95, 90.9, 90.9, 90, "does not hold"),
        (90, 88.9, 90.9, 90.9, 90, "does not hold"),
        (90, 90, 91.1, 90.9, 90, "does not hold"),
        (90, 90, 90.9, 91.1, 90, "does not hold"),
        (90, 90, 90.9, 90.9, 91.1, "does not hold"),
    ],
)
def test_ablations(inner, cosine, flat, classes, tied, verdict) -> None:
    nats = {INNER: inner, COSINE: cosine, FLAT: flat, CLASSES: classes, TIED: tied}
    points = [made(SHORT, 32, 90), *(made(f"{VMA}{suffix}", 32, value) for suffix, value in nats.items())]
    assert Ablations().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("addresses", "entropy", "bound", "nats", "verdict"),
    [
        ((2.0, 2.9, 3.4), 4.0, 90.9, 92.9, "holds"),
        ((0.0, 2.9, 3.4), 4.0, 90.9, 92.9, "holds"),  # two seeds of three
        ((0.0, 3.6, 2.0), 4.2, 90.9, 92.9, "does not hold"),
        ((2.0, 2.9, 3.4), 2.4, 90.9, 92.9, "does not hold"),
        ((2.0, 2.9, 3.4), 4.0, 91.1, 92.9, "does not hold"),
        ((2.0, 2.9, 3.4), 4.0, 90.9, 93.1, "does not hold"),
    ],
)
def test_learned_memory(addresses, entropy, bound, nats, verdict) -> None:
    points = [
        {**made(f"VMA {slots}", slots, nats, address, prior_entropy=entropy), "bound": bound, "seed": seed}
        for slots in (64, 1024)
        for seed, address in enumerate(addresses)
    ]
    points += [{**made(VAE, 0, 90), "bound": 90.0, "seed": seed} for seed in range(3)]
    points.append(made("VMA 64, short, one rate", 64, 200, 0.0, prior_entropy=0.0))
    assert LearnedMemory().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("said", "nats", "verdict"),
    [(0.71, 89.9, "holds"), (0.69, 89.9, "does not hold"), (0.71, 90.1, "does not hold")],
)
def test_learned_characters(said, nats, verdict) -> None:
    points = [made("VMA 64", 64, 200, 0.0), made("VMA 256, regularised", 256, 200, 0.0), made(VAE, 0, 90)]
    points += [made(f"VMA {slots}", slots, nats, said * math.log(slots)) for slots in (256, 1024)]
    assert LearnedCharacters().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("at_32", "at_48", "at_64", "verdict"),
    [(2.0, 0.9, 0.9, "holds"), (0.9, 1.1, 0.9, "does not hold"), (0.9, 0.9, 1.1, "does not hold")],
)
def test_hard_is_faster(at_32, at_48, at_64, verdict) -> None:
    points = [
        {"model": model, "at": at, "seconds": seconds}
        for at, hard in ((32, at_32), (48, at_48), (64, at_64))
        for model, seconds in ((HARD, hard), (BLEND, 1.0))
    ]
    assert HardIsFaster().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("few", "four", "verdict"),
    [(82.1, 68.1, "holds"), (80.9, 68.1, "does not hold"), (82.1, 66.9, "does not hold")],
)
def test_matching(few, four, verdict) -> None:
    """VMA falls by 10 nats from 1 to 10 exemplars, and pays 5 for 4 classes."""
    cells = {
        (MATCHING, 1, 1): few,
        (MATCHING, 1, 10): 71.0,
        (MATCHING, 4, 10): four + 9,
        (ADDRESSED, 1, 1): 86.0,
        (ADDRESSED, 1, 10): 76.0,
    }
    cells[ADDRESSED, 4, 10] = 81.0
    points = [
        made(model, classes * examples, value, classes=classes, examples=examples)
        for (model, classes, examples), value in cells.items()
    ]
    assert MatchingClaim().judge({"points": points}) == verdict


@pytest.mark.parametrize(
    ("near", "far", "soft", "verdict"),
    [
        (3.7, 2.1, 4.0, "holds"),
        (3.5, 2.1, 4.0, "does not hold"),
        (3.7, 1.9, 4.0, "does not hold"),
        (3.7, 2.1, 1.9, "inconclusive"),
    ],
)
def test_sequence(near, far, soft, verdict) -> None:
    def at(pairs: int, **bits: float) -> list[dict[str, Any]]:
        return [{"model": name, "seed": 0, "at": pairs, "bits": value} for name, value in bits.items()]

    points = [*at(16, **{RANDOM: near, BLENDED: soft, NONE: 0.0}), *at(128, **{RANDOM: far, BLENDED: 2.0, NONE: 0.0})]
    assert Sequence().judge({"points": points, "trained": 16, "whole": 4.0}) == verdict


def test_answer_bits_are_those_of_the_value() -> None:
    """A reader that always says the value has all its bits, one that says anything 0; the bank holds all units."""
    (trial,) = (trial for trial in Sequence().trials("smoke") if trial.model == ALL)
    (phase,) = trial.phases

    class Knows(phase.build().__class__):
        sure = True

        def scan(self, x, state, phase=0):
            _, state = super().scan(x, state, phase)
            said = torch.nn.functional.one_hot(x.answer.clamp_min(0), self.vocabulary).double().log()
            guess = torch.full_like(said, -math.inf)
            guess[..., :16] = -math.log(16)
            return (said if self.sure else guess), state

    reader = phase.build()
    reader.__class__ = Knows
    found = AnswerBitsExam(3, rows=10).take(reader, phase.task)
    assert (found["bits"], found["accuracy"], found["answers"]) == (4.0, 1.0, 10)
    assert found["slots"] == 3 * 5 + 2
    assert 0 <= found["settled"] <= math.log(17)
    assert found["posterior_divergence"] >= 0
    Knows.sure = False
    assert AnswerBitsExam(3, rows=10).take(reader, phase.task)["bits"] == pytest.approx(0)


def test_readers_of_a_sequence_differ_in_the_read_alone() -> None:
    built = {trial.model: trial.phases[0].build() for trial in Sequence().trials("smoke")}
    assert {name: reader.read for name, reader in built.items()} == {
        RANDOM: "vimco", ALL: "exact", BLENDED: "soft", TOP: "top-k", NONE: "none"
    }  # fmt: skip
    shapes = [{name: p.shape for name, p in reader.named_parameters()} for reader in built.values()]
    assert all(shape == shapes[0] for shape in shapes)
