"""Ending a training with the weights that score best on other data."""

import json

import pytest
import torch

from mnesis.learn import Stage, Validation, fit
from mnesis.learn.checkpoint import read_tensors

from .tiny import Echo, model, recipe, same, weights

STAGES = (Stage(length=12, batch=4, steps=9), Stage(length=8, batch=4, steps=8))


class Kept:
    """Scores by a list, and keeps the weights it was shown."""

    def __init__(self, scores):
        self.scores, self.seen = list(scores), []

    def __call__(self, memory):
        assert not memory.training
        assert not torch.is_grad_enabled()
        torch.rand(3)  # a score may draw: the training must not notice
        self.seen.append(weights(memory))
        return {"loss": self.scores[len(self.seen) - 1], "looks": len(self.seen)}


def test_the_best_weights_stay(tmp_path) -> None:
    kept, memory = Kept([3.0, 1.0, 2.0, 1.0, 5.0]), model()
    found = fit(memory, Echo(), recipe(*STAGES), tmp_path / "a", validation=Validation(kept, 4, "loss"), progress=False)
    assert len(kept.seen) == 5  # after 4, 8, 12, 16 updates, and the last
    assert found.best is not None
    assert (found.best.update, found.best.score) == (8, 1.0)
    assert same(weights(memory), kept.seen[1])
    assert same(read_tensors(tmp_path / "a/model.safetensors"), kept.seen[1])
    assert not list((tmp_path / "a").glob("best*"))
    told = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    assert {line["update"]: line["validation"]["loss"] for line in told if "validation" in line} == {
        4: 3.0, 8: 1.0, 12: 2.0, 16: 1.0, 17: 5.0,
    }  # fmt: skip

    last = model()
    fit(last, Echo(), recipe(*STAGES), tmp_path / "b", progress=False)
    assert same(weights(last), kept.seen[4])  # nothing of the training itself has changed

    again = model(seed=1)
    read = fit(again, Echo(), recipe(*STAGES), tmp_path / "a", validation=Validation(kept, 4, "loss"), progress=False)
    assert read.best == found.best
    assert same(weights(again), kept.seen[1])
    with pytest.raises(ValueError, match=r"validation is .*4.* there and null here"):
        fit(model(), Echo(), recipe(*STAGES), tmp_path / "a", progress=False)


@pytest.mark.parametrize("stop", [5, 8, 9, 11])
def test_an_interrupted_training_makes_the_same_choice(tmp_path, stop) -> None:
    """What was the best when the checkpoint was written stays there until the next one."""

    class Interrupted(Echo):
        left = stop

        def episodes(self, batch, length, generator):
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("interrupted")
            return super().episodes(batch, length, generator)

    def score(memory):
        return {"loss": abs(float(next(memory.parameters()).sum()) * 1e4 % 1)}

    numbers = recipe(*STAGES, save_every=3)
    whole, other = model(), model()
    best = fit(whole, Echo(), numbers, tmp_path / "whole", validation=Validation(score, 2, "loss"), progress=False).best
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(model(), Interrupted(), numbers, tmp_path / "cut", validation=Validation(score, 2, "loss"), progress=False)
    # A machine that rounds otherwise may score the repeated updates otherwise: the best of the checkpoint still stands.
    position = json.loads(next((tmp_path / "cut").glob("checkpoint-*/position.json")).read_text())["position"]
    if position["best"]:
        assert (tmp_path / f"cut/best-{position['best']['update']:09d}.safetensors").exists()
    found = fit(other, Echo(), numbers, tmp_path / "cut", validation=Validation(score, 2, "loss"), progress=False)
    assert found.best == best
    assert same(weights(other), weights(whole))


def test_a_validation_may_only_tell(tmp_path) -> None:
    watched, alone = model(), model()
    watch = Validation(lambda memory: {"loss": 1.0}, 5)
    found = fit(watched, Echo(), recipe(*STAGES), tmp_path / "a", validation=watch, progress=False)
    fit(alone, Echo(), recipe(*STAGES), tmp_path / "b", progress=False)
    assert found.best is None
    assert same(weights(watched), weights(alone))


def test_the_same_stage_twice_is_looked_at_once(tmp_path) -> None:
    kept, stage = Kept([1.0, 1.0]), Stage(length=8, batch=4, steps=3)
    fit(model(), Echo(), recipe(stage, stage), tmp_path / "a", validation=Validation(kept, 5, "loss"), progress=False)
    assert len(kept.seen) == 2  # after 5 updates, and the last


def test_figures_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="every=0"):
        Validation(lambda memory: {}, 0)
    with pytest.raises(FloatingPointError, match="validation's loss is nan"):
        Validation(lambda memory: {"loss": float("nan")}, 1, "loss").take(model())
    with pytest.raises(ValueError, match="choose='nll' is not among the validation's figures: loss"):
        Validation(lambda memory: {"loss": 0.0}, 1, "nll").take(model())
