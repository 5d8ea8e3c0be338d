import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from mnesis.core.machine import products_kept
from mnesis.learn import Stage, checkpoint, fit
from mnesis.learn.checkpoint import read_tensors

from . import worker
from .tiny import Echo, TokenModel, Uneven, lines, model, recipe, same, weights

TIMES = ("seconds", "units_per_second")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Final weights and metrics of trainings that nobody disturbed."""
    found = {}
    os.environ["ACCELERATE_USE_CPU"] = "true"
    for kind in ("episodes", "endless"):
        folder = tmp_path_factory.mktemp(kind)
        worker.train(kind, folder)
        found[kind] = (read_tensors(folder / "model.safetensors"), told(folder))
    return found


def told(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMES} for line in found]


def check(folder, expected):
    tensors, metrics = expected
    assert same(read_tensors(folder / "model.safetensors"), tensors)
    assert told(folder) == metrics
    left = {path.name for path in folder.iterdir()}
    assert left == {"config.json", "metrics.jsonl", "model.safetensors", "training.json"}


@pytest.fixture(scope="module")
def start():
    """Starts a training in a fresh process; torch is imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mnesis.learn", "torch._dynamo", "mnesis.memories.recurrent.gru"])
    sys.path.insert(0, str(Path(__file__).parents[1]))
    started = []

    def begin(kind, folder):
        process = context.Process(target=worker.train_and_exit, args=(kind, folder))
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.join()


def wait_for(process, folder, count):
    while lines(folder) < count and process.is_alive():
        time.sleep(0.0005)


@pytest.mark.parametrize("kind", ["episodes", "endless"])
def test_killed_at_random_moments(tmp_path, uninterrupted, start, kind):
    """SIGKILL while metrics.jsonl holds some random number of lines; what is lost is trained again, alike."""
    chance, killed = random.Random(kind), 0
    for target in sorted(chance.sample(range(1, 44), 4)):
        process = start(kind, tmp_path)
        wait_for(process, tmp_path, target)
        time.sleep(chance.random() * 0.01)  # not always right behind a line: often within the checkpoint after it
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    assert killed >= 3
    process = start(kind, tmp_path)
    process.join()
    assert process.exitcode == 0
    check(tmp_path, uninterrupted[kind])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_politely(tmp_path, uninterrupted, start, number):
    process = start("endless", tmp_path)
    wait_for(process, tmp_path, 7)
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 128 + number
    saved = checkpoint.latest(tmp_path)
    done = json.loads((saved / "position.json").read_text())["position"]["update"]
    assert 7 <= done < 45
    assert lines(tmp_path) == done
    process = start("endless", tmp_path)
    process.join()
    assert process.exitcode == 0
    check(tmp_path, uninterrupted["endless"])


class Crash(BaseException):
    pass


@pytest.mark.parametrize("kind", ["episodes", "endless"])
def test_every_step_of_saving_may_be_the_last(tmp_path, uninterrupted, monkeypatch, kind):
    """Crash at the n-th thing written or renamed, for every n: the next call goes on, and nothing shows."""
    real = {name: getattr(checkpoint, name) for name in ("_sync", "save_file", "remove")}
    crash_at, count = 0, 0

    def crashing(name):
        def run(*arguments):
            nonlocal count
            count += 1
            if count == crash_at:
                if name == "save_file":
                    Path(arguments[1]).write_bytes(b"torn")
                raise Crash
            return real[name](*arguments)

        return run

    for name in real:
        monkeypatch.setattr(checkpoint, name, crashing(name))
    chance = random.Random(kind)
    for _ in range(25):
        count, crash_at = 0, chance.randint(1, 60)
        try:
            worker.train(kind, tmp_path)
            break
        except Crash:
            assert checkpoint.latest(tmp_path) or crash_at < 15
    crash_at = 0
    worker.train(kind, tmp_path)
    check(tmp_path, uninterrupted[kind])


def test_a_finished_run_is_read_back(tmp_path):
    memory = model()
    first = fit(memory, Echo(), recipe(), tmp_path, config={"name": "a"})
    other = model(seed=5)
    second = fit(other, Echo(), recipe(), tmp_path, config={"name": "a"})
    assert second == first
    assert second.finished
    assert same(weights(memory), weights(other))


def test_overwrite_starts_anew(tmp_path):
    first = model()
    fit(first, Echo(), recipe(), tmp_path)
    second = model(seed=5)
    result = fit(second, Echo(), recipe(Stage(8, 2, 5)), tmp_path, overwrite=True)
    assert result.updates == lines(tmp_path) == 5
    assert same(weights(second), read_tensors(tmp_path / "model.safetensors"))
    assert json.loads((tmp_path / "config.json").read_text())["recipe"]["stages"][0]["steps"] == 5


def stopped(folder, updates=10, **numbers):
    """A training that ran into a crash."""

    class Failing(Uneven):
        left = updates

        def episodes(self, batch, length, generator):
            self.left -= 1
            if self.left < 0:
                raise Crash
            return super().episodes(batch, length, generator)

    with pytest.raises(Crash):
        fit(model(), Failing(), recipe(**numbers), folder)


def test_metrics_after_the_checkpoint_are_dropped(tmp_path):
    stopped(tmp_path, save_every=4)
    assert lines(tmp_path) == 10
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"update": 11, "lo')
    fit(model(), Uneven(), recipe(save_every=4), tmp_path)
    assert [line["update"] for line in told(tmp_path)] == list(range(1, 21))


@pytest.mark.parametrize(
    "options",
    [
        {"truncation": 3},
        {"truncation": 3, "update": "window", "start": "carried"},
        {"truncation": 3, "update": "window", "start": "fitted noise", "start_share": 0.7},
    ],
)
def test_the_state_of_a_grid_is_resumed(tmp_path, options):
    """A partial segment, its caches and a learned start live through a checkpoint in the middle of an episode."""
    chosen = recipe(Stage(10, 3, 9, **options), save_every=1)
    build = {"name": "rmt", "segment": 4, "memory_tokens": 2, "heads": 2, "hidden": 24, "layers": 1}
    whole, broken = model(**build), model(**build)
    fit(whole, Uneven(), chosen, tmp_path / "whole")
    calls = 0

    def crash_sometimes(*arguments):
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            raise Crash
        return save(*arguments)

    save = checkpoint.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", crash_sometimes)
        for _ in range(20):
            try:
                fit(broken, Uneven(), chosen, tmp_path / "broken")
                break
            except Crash:
                broken = model(seed=7, **build)
    assert calls > 7
    assert same(weights(whole), weights(broken))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json that says what was trained"),
        (lambda folder: torn(folder, "model.safetensors"), "model.safetensors is missing or truncated"),
        (lambda folder: torn(folder, "optimiser.safetensors"), "optimiser.safetensors is missing or truncated"),
        (lambda folder: torn(folder, "position.json"), r"position.json is not whole JSON \(.*line 1\)"),
        (lambda folder: (checkpoint.latest(folder) / "draws.safetensors").unlink(), "draws.safetensors is missing"),
        (lambda folder: checkpoint.remove(checkpoint.latest(folder)), "a run whose checkpoint is gone"),
    ],
)
def test_half_a_run_is_refused(tmp_path, harm, message):
    stopped(tmp_path)
    harm(tmp_path)
    with pytest.raises(ValueError, match=message) as refused:
        fit(model(), Uneven(), recipe(), tmp_path)
    assert "overwrite=True" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert fit(model(), Uneven(), recipe(), tmp_path, overwrite=True).finished


def torn(folder, name):
    path = checkpoint.latest(folder) / name
    path.write_bytes(path.read_bytes()[:-20])


def test_a_finished_run_without_its_weights_is_refused(tmp_path):
    fit(model(), Echo(), recipe(), tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"model.safetensors is missing or truncated .*overwrite=True"):
        fit(model(), Echo(), recipe(), tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=r"a run whose model.safetensors is gone.*overwrite=True"):
        fit(model(), Echo(), recipe(), tmp_path)


def test_another_run_in_the_folder_is_refused(tmp_path):
    stopped(tmp_path)
    with pytest.raises(ValueError, match=r"recipe\.learning_rate is 0\.01 there and 0\.02 here.*overwrite=True"):
        fit(model(), Uneven(), recipe(learning_rate=0.02), tmp_path)
    with pytest.raises(ValueError, match=r'config\.name is null there and "b" here'):
        fit(model(), Uneven(), recipe(), tmp_path, config={"name": "b"})
    with pytest.raises(ValueError, match=r"memory\.arguments\.dim is 16 there and 8 here.*another folder"):
        fit(model(dim=8), Uneven(), recipe(), tmp_path)
    with pytest.raises(ValueError, match="resume=True"):
        fit(model(), Uneven(), recipe(), tmp_path, resume=False)


def test_a_run_of_a_memory_that_computes_otherwise_now_is_not_continued(tmp_path):
    """Nor one of another start taken for another: that is a matter of figures, not of weights."""
    short, otherwise = recipe(Stage(4, 2, 2)), r"revision 1 of gla, which is at 2 .*as before with epsilon=1e-05"
    for name, stands in (("gla", False), ("gated-delta-rule", True)):
        folder = tmp_path / name
        fit(TokenModel(name, heads=2), Echo(), short, folder, progress=False)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        assert config.pop("revisions") == {name: 2}
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        if stands:
            assert fit(TokenModel(name, heads=2), Echo(), short, folder, progress=False).finished
            continue
        with pytest.raises(ValueError, match=otherwise):
            fit(TokenModel(name, heads=2), Echo(), short, folder, progress=False)


class Watching(Uneven):
    """Notes how products are made while it draws, and breaks off once."""

    break_at = None

    def __init__(self):
        super().__init__()
        self.products = []

    def episodes(self, *arguments):
        if len(self.products) == self.break_at:
            raise Crash
        self.products.append(torch.get_float32_matmul_precision())
        return super().episodes(*arguments)


@pytest.mark.parametrize(("kept", "then"), [(True, "medium"), (False, "highest")])
def test_products_are_those_that_a_training_began_with(tmp_path, monkeypatch, kept, then):
    """Also where the process that goes on would choose others; what an earlier version began has none to keep."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    chosen = recipe(save_every=4)
    broken = Watching()
    broken.break_at = 6
    with products_kept():
        torch.set_float32_matmul_precision("medium")
        with pytest.raises(Crash):
            fit(model(), broken, chosen, tmp_path)
    if not kept:
        file = checkpoint.latest(tmp_path) / "position.json"
        about = json.loads(file.read_text())
        del about["position"]["products"]
        file.write_text(json.dumps(about))
    task = Watching()
    assert fit(model(), task, chosen, tmp_path).finished
    assert set(task.products) == {then}
    assert torch.get_float32_matmul_precision() == "highest"
