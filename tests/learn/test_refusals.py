import pytest
import torch
from filelock import FileLock

from mnesis.learn import Recipe, Stage, fit

from .tiny import Echo, Numbers, Silent, model, recipe


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "Stage: length=0 is not a whole number of at least 1; give a size such as 64"),
        ({"length": (5, 3)}, r"length=\(5, 3\) is no range"),
        ({"batch": 0}, "Stage: batch=0 is not a whole number of at least 1"),
        (
            {"truncation": 0},
            "truncation=0 is not a whole number of at least 1; give truncation=None",
        ),
        ({"start": "warm"}, "start='warm' is not one of 'fresh', 'carried', 'noise', 'fitted noise'"),
        ({"start_share": 0.0}, "start_share=0.0 is not a finite number above 0 and at most 1"),
        ({"length": (0, 3)}, r"length\[0\] 0 is not a whole number of at least 1"),
        ({"steps": 2.5}, "steps=2.5 is not a whole number of at least 1"),
        ({"batch": True}, "batch=True is not a whole number of at least 1"),
        ({"promote": 1.5}, "promote=1.5 is not a finite number above 0 and at most 1"),
    ],
)
def test_stages(options, message):
    with pytest.raises(ValueError, match=message):
        Stage(**{"length": 4, "batch": 2, "steps": 3, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": ()}, "trains nothing; give at least one Stage"),
        (
            {"learning_rate": 0.0},
            "Recipe: learning_rate=0.0 is not a finite number above 0; give learning_rate=0.001",
        ),
        ({"clip": 0.0}, "clip=0.0 is not a finite number above 0"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\] 1.0 is not a finite number of at least 0 and below 1"),
        ({"learning_rate": float("nan")}, "learning_rate=nan is not a finite number above 0"),
        ({"warm_up": -1}, "warm_up=-1 is not a whole number of at least 0"),
        ({"schedule": None}, "schedule=None is not one of 'cosine', 'constant'"),
        ({"weight_decay": "0.1"}, "weight_decay='0.1' is not a finite number of at least 0"),
        ({"save_every": 0}, "save_every=0"),
    ],
)
def test_recipes(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{"stages": (Stage(4, 2, 3),), **options})


def test_unknown_names_in_json():
    with pytest.raises(ValueError, match="a Recipe has no 'rate'; it takes stages, learning_rate"):
        Recipe.from_json({"stages": [{"length": 4, "batch": 2, "steps": 3}], "rate": 1.0})
    with pytest.raises(ValueError, match="a Stage needs 'steps'"):
        Recipe.from_json({"stages": [{"length": 4, "batch": 2}]})


class Infinite(Numbers):
    drawn = 0

    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        self.drawn += 1
        return episode._replace(targets=episode.targets + (float("inf") if self.drawn == 7 else 0.0))


def test_a_loss_that_is_no_number(tmp_path):
    message = r"update 7 \(stage 1\): the loss is inf; lower learning_rate=0.01 .*weights of update 4 stay in"
    with pytest.raises(FloatingPointError, match=message):
        fit(model(outputs=2), Infinite(), recipe(), tmp_path)
    assert (tmp_path / "checkpoint-000000004").is_dir()


class NegativeWeight(Echo):
    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        return episode._replace(weight=episode.weight - 0.5)


class WrongRows(Echo):
    def episodes(self, batch, length, generator):
        return super().episodes(batch + 1, length, generator)


class WrongWeight(Echo):
    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        return episode._replace(weight=episode.weight[:, 1:])


class NoHead(Echo):
    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        return episode._replace(targets=torch.zeros(batch, length, 3))


@pytest.mark.parametrize(
    ("task", "stage", "message"),
    [
        (WrongRows(), Stage(6, 2, 3), "WrongRows drew 3 rows where the stage asks for 2"),
        (WrongWeight(), Stage(6, 2, 3), r"drew weight of shape \[2, 5\] beside inputs of \[2, 6, ...\]"),
        (NegativeWeight(), Stage(6, 2, 3), "drew a weight that is negative or no number; give 0"),
        (NoHead(), Stage(6, 2, 3), r"answers with \[6\] numbers a unit where the task's targets have \[3\]"),
        (Silent(), Stage(6, 2, 3), "Silent asked nothing in 3 updates at length 6; give some targets a weight"),
        (Numbers(), Stage(6, 2, 3, promote=0.9), "promote=0.9 is an accuracy and the targets are numbers"),
    ],
)
def test_tasks_that_do_not_fit(tmp_path, task, stage, message):
    memory = model(outputs=2) if isinstance(task, Numbers) else model()
    with pytest.raises(ValueError, match=message):
        fit(memory, task, recipe(stage), tmp_path)


def test_what_cannot_be_kept(tmp_path):
    with pytest.raises(ValueError, match="config cannot be kept as JSON"):
        fit(model(), Echo(), recipe(), tmp_path, config={"what": object()})
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; give the path of a folder"):
        fit(model(), Echo(), recipe(), tmp_path / "file")


def test_a_frozen_memory(tmp_path):
    memory = model()
    memory.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter that takes a gradient"):
        fit(memory, Echo(), recipe(), tmp_path)
    memory.register_parameter("tokens", torch.nn.Parameter(torch.empty(0, 4)))
    with pytest.raises(ValueError, match="no parameter that takes a gradient"):
        fit(memory, Echo(), recipe(), tmp_path)


def test_an_unknown_tracker(tmp_path):
    with pytest.raises(ValueError, match="nonesuch"):
        fit(model(), Echo(), recipe(), tmp_path, trackers=["nonesuch"])


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ValueError, match="Not a directory; choose a folder that you may write to"):
        fit(model(), Echo(), recipe(), tmp_path / "file" / "run", progress=False)


def test_two_trainings_in_one_folder(tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="another process is writing in"):
        fit(model(), Echo(), recipe(), tmp_path, progress=False)
    assert fit(model(), Echo(), recipe(), tmp_path, progress=False).finished
