import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mnesis.core.state import detach
from mnesis.learn import Recipe, Stage, fit
from mnesis.learn.checkpoint import read_tensors
from mnesis.learn.start import _like
from mnesis.learn.trackers import flattened

from .tiny import Echo, Numbers, Penalised, Silent, Sparse, TokenModel, Uneven, model, recipe, same, weights


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learns(tmp_path, precision):
    memory = model(dim=24)
    result = fit(
        memory, Echo(), recipe(Stage(12, 16, 150), learning_rate=2e-2, precision=precision, save_every=1000), tmp_path
    )
    told = metrics(tmp_path)
    assert result.finished
    assert result.signal is None
    assert result.updates == 150
    assert told[0]["loss"] > 1.5
    assert result.loss < 0.3 * told[0]["loss"]
    assert result.accuracy > 0.9
    fresh = Echo().episodes(50, 12, torch.Generator().manual_seed(99))
    answers = memory.eval()(fresh.inputs)[0].argmax(-1)
    assert (answers == fresh.targets)[:, 1:].float().mean() > 0.9
    assert [line["update"] for line in told] == list(range(1, 151))
    assert told[-1]["units"] == result.units == 150 * 16 * 12
    assert all(parameter.dtype == torch.float32 for parameter in memory.parameters())
    assert same(weights(memory), read_tensors(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("name", ["rmt", "armt"])
def test_a_memory_with_a_grid(tmp_path, name):
    memory = model(name, segment=4, memory_tokens=2, heads=2, hidden=24, layers=1)
    result = fit(memory, Echo(), recipe(Stage(10, 8, 40, truncation=7), learning_rate=1e-2), tmp_path)
    told = metrics(tmp_path)
    assert result.loss < told[0]["loss"] - 0.3


def test_numbers(tmp_path):
    memory = model(outputs=2)
    result = fit(memory, Numbers(), recipe(Stage(8, 16, 100), learning_rate=2e-2, save_every=1000), tmp_path)
    told = metrics(tmp_path)
    assert result.accuracy is None
    assert told[-1]["accuracy"] is None
    assert result.loss < 0.3 * told[0]["loss"]


def test_every_episode_is_new(tmp_path):
    class Counted(Echo):
        drawn = 0

        def episodes(self, batch, length, generator):
            self.drawn += 1
            return super().episodes(batch, length, generator)

    task = Counted()
    whole, windows = Stage((4, 9), 2, 5), Stage(10, 2, 10, truncation=3, update="window")
    fit(model(), task, recipe(whole, windows), tmp_path)
    assert task.drawn == 5 + 3  # windows of 4, 4 and 2 updates
    assert len({line["length"] for line in metrics(tmp_path)[:5]}) > 1


def test_promotion(tmp_path):
    """The first stage ends early, its successor does not, and the learning rate falls to the end without a jump."""
    stages = (Stage(8, 16, 2000, promote=0.9), Stage(12, 8, 10), Stage(12, 8, 10, promote=1.0))
    result = fit(model(dim=24), Echo(), recipe(*stages, learning_rate=2e-2, save_every=1000), tmp_path)
    first, second, third = result.stages
    assert first.promoted
    assert 16 <= first.updates < 500
    assert first.accuracy >= 0.9
    assert not second.promoted
    assert second.updates == third.updates == 10
    rates = [line["learning_rate"] for line in metrics(tmp_path)]
    assert rates[first.updates] == pytest.approx(rates[first.updates - 1], rel=1e-2)
    assert rates[-1] < 0.03 * max(rates)
    assert [line["stage"] for line in metrics(tmp_path)] == [0] * first.updates + [1] * 10 + [2] * 10


def test_a_schedule_without_promotion_is_the_plain_cosine(tmp_path):
    fit(model(), Echo(), recipe(Stage(4, 2, 6), Stage(4, 2, 4), warm_up=4), tmp_path)
    rates = torch.tensor([line["learning_rate"] for line in metrics(tmp_path)], dtype=torch.float64)
    update = torch.arange(10, dtype=torch.float64)
    expected = 1e-2 * ((update + 1) / 4).clamp(max=1) * 0.5 * (1 + (torch.pi * update / 10).cos())
    torch.testing.assert_close(rates, expected)


@pytest.fixture
def gradients(monkeypatch):
    """The gradients of every update, as the optimiser sees them."""
    seen = []
    step = torch.optim.AdamW.step

    def spy(self, closure=None):
        seen.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    return seen


def by_hand(memory, episode, truncation):
    """Whole episodes by torch's own autograd, windows by a loop anyone would write."""
    total, state, time = episode.weight.sum(), None, episode.inputs.shape[1]
    losses = []
    for start in range(0, time, truncation or time):
        part = slice(start, start + (truncation or time))
        y, state = memory(episode.inputs[:, part], state)
        loss = torch.nn.functional.cross_entropy(y.transpose(1, 2), episode.targets[:, part], reduction="none")
        losses.append((loss * episode.weight[:, part]).sum() / total)
        state = detach(state)
    trained = list(memory.parameters())
    grads = torch.autograd.grad(sum(losses), trained)
    order = [p for p in trained if p.ndim >= 2] + [p for p in trained if p.ndim < 2]
    return sum(losses).item(), [grads[[p is q for q in trained].index(True)] for p in order]


@pytest.mark.parametrize("task", [Echo(), Sparse()])
@pytest.mark.parametrize("truncation", [None, 4, 5, 100])
def test_gradients(tmp_path, gradients, task, truncation):
    memory, reference = model().double(), model().double()
    memory.body.dropout.p = reference.body.dropout.p = 0
    once = recipe(Stage(14, 3, 1, truncation=truncation), clip=None)
    fit(memory, task, once, tmp_path)
    loss, expected = by_hand(reference, task.episodes(3, 14, torch.Generator().manual_seed(3)), truncation)
    assert metrics(tmp_path)[0]["loss"] == pytest.approx(loss, abs=1e-6)
    for found, wanted in zip(gradients[0], expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_updates_within_an_episode(tmp_path):
    """``update="window"`` takes as many steps as there are windows, each from the weights that the last one left."""
    memory, reference = model(), model()
    memory.body.dropout.p = reference.body.dropout.p = 0
    fit(
        memory, Echo(), recipe(Stage(12, 3, 3, truncation=4, update="window"), schedule="constant", clip=None), tmp_path
    )
    episode, state = Echo().episodes(3, 12, torch.Generator().manual_seed(3)), None
    optimiser = torch.optim.AdamW(reference.parameters(), weight_decay=0.0)
    for index, part in enumerate((slice(0, 4), slice(4, 8), slice(8, 12))):
        optimiser.zero_grad()
        y, state = reference(episode.inputs[:, part], state)
        loss = torch.nn.functional.cross_entropy(y.transpose(1, 2), episode.targets[:, part], reduction="none")
        ((loss * episode.weight[:, part]).sum() / episode.weight[:, part].sum()).backward()
        optimiser.param_groups[0]["lr"] = 1e-2 * (index + 1) / 3
        optimiser.step()
        state = detach(state)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(memory.state_dict()[name], value)


def peak_of_saved_tensors(tmp_path, length, truncation):
    live, peak = 0, 0

    class Held:
        def __init__(self, tensor):
            nonlocal live, peak
            self.tensor = tensor.detach()  # with its grad_fn it would hold the node that holds it
            live, peak = live + 1, max(peak, live + 1)

        def __del__(self):
            nonlocal live
            live -= 1

    folder = tmp_path / f"{length}-{truncation}"
    memory = model("rmt", segment=4, memory_tokens=2, heads=2, hidden=24, layers=1)
    with torch.autograd.graph.saved_tensors_hooks(Held, lambda held: held.tensor):
        fit(memory, Echo(), recipe(Stage(length, 2, 2, truncation=truncation)), folder)
    return peak


def test_truncated_training_takes_flat_memory(tmp_path):
    assert peak_of_saved_tensors(tmp_path, 128, 8) == peak_of_saved_tensors(tmp_path, 32, 8)
    assert peak_of_saved_tensors(tmp_path, 64, None) > 1.8 * peak_of_saved_tensors(tmp_path, 32, None)


def test_carry_reads_on_where_the_last_episode_ended(tmp_path):
    """Two carried episodes move the state that reads the third one; else every episode starts fresh."""
    seen = {start: begun(tmp_path / start, 3, start=start) for start in ("carried", "fresh")}
    assert not seen["carried"][0].any()
    assert min(state.abs().sum() for state in seen["carried"][1:]) > 0
    assert not torch.stack(seen["fresh"]).any()


def begun(folder, episodes, *, batch=2, **options):
    """The states that a GRU's episodes start from."""
    memory, starts = model(), []
    inner = memory.body.memory
    scan = inner.scan

    def watched(x, state, phase=0):
        starts.append(state.hidden.detach().clone())
        return scan(x, state, phase)

    inner.scan = watched
    fit(memory, Echo(), recipe(Stage(6, batch, episodes, **options)), folder)
    return starts


def test_starts_of_noise(tmp_path):
    """A share of the rows start from noise of the given deviation, anew for every episode, the others fresh."""
    starts = begun(tmp_path / "half", 3, batch=400, start="noise", start_share=0.25, start_deviation=0.3)
    for state in starts:
        noisy = state.abs().sum(-1) > 0
        assert 0.15 < noisy.float().mean() < 0.35
        assert float(state[noisy].std()) == pytest.approx(0.3, rel=0.05)
    assert not torch.equal(starts[0], starts[1])
    again = begun(tmp_path / "again", 3, batch=400, start="noise", start_share=0.25, start_deviation=0.3)
    assert all(torch.equal(a, b) for a, b in zip(starts, again, strict=True))


def test_starts_fitted_to_where_the_last_episode_ended(tmp_path):
    carried = begun(tmp_path / "carried", 2, batch=400, start="carried")
    fitted = begun(tmp_path / "fitted", 2, batch=400, start="fitted noise")
    assert not fitted[0].any()
    assert float(fitted[1].mean()) == pytest.approx(float(carried[1].mean()), abs=0.01)
    assert float(fitted[1].std()) == pytest.approx(float(carried[1].std()), rel=0.05)
    assert (fitted[1] - carried[1]).abs().mean() > 0.5 * carried[1].std()


def test_noise_is_fitted_head_by_head():
    generator = torch.Generator().manual_seed(0)
    ended, noise = (torch.randn(50, 2, 6, 7, generator=generator, dtype=torch.float64) for _ in range(2))
    ended[:, 1] = 5 + 3 * ended[:, 1]
    found = _like(ended, noise, lambda value: value)
    for head in range(2):
        own = ended[:, head]
        assert torch.allclose(found[:, head], own.mean() + own.std(correction=0) * noise[:, head])


@pytest.mark.parametrize("truncation", [None, 3])
def test_recorded_losses_are_added(tmp_path, gradients, truncation):
    torch.manual_seed(0)
    memory = Penalised()
    memory.body.dropout.p = 0
    fit(memory, Silent(), recipe(Stage(8, 3, 1, truncation=truncation), clip=None), tmp_path)
    torch.manual_seed(0)
    reference = TokenModel()
    reference.body.dropout.p = 0
    y, _ = reference.body(Silent().episodes(3, 8, torch.Generator().manual_seed(3)).inputs)
    assert metrics(tmp_path)[0]["loss"] == pytest.approx(y.square().mean().item(), abs=1e-5)
    assert gradients[0][0].abs().max() > 0


def test_an_l2_penalty_is_a_part_of_the_loss(tmp_path):
    """Of biases too, and not of what must not decay; written out, with the clip over both."""
    l2, stage = 0.05, Stage(6, 2, 3)

    def spare(memory):
        memory.body.dropout.p = 0
        dict(memory.named_parameters())[spared].no_weight_decay = True
        return memory

    spared = next(name for name, parameter in model().named_parameters() if parameter.ndim == 2)
    memory, plain = spare(model()), spare(model())
    fit(memory, Echo(), recipe(stage, l2=l2, clip=0.5), tmp_path / "l2", progress=False)
    fit(plain, Echo(), recipe(stage, clip=0.5), tmp_path / "none", progress=False)
    reference = spare(model())
    optimiser = torch.optim.AdamW(reference.parameters(), weight_decay=0.0)
    how = recipe(stage, l2=l2, clip=0.5)
    generator = torch.Generator().manual_seed(how.seed)
    for update in range(3):
        episode = Echo().episodes(2, 6, generator)
        y, _ = reference(episode.inputs)
        loss = torch.nn.functional.cross_entropy(y.transpose(1, 2), episode.targets, reduction="none")
        penalty = sum(p.pow(2).sum() for name, p in reference.named_parameters() if name != spared)
        optimiser.zero_grad()
        ((loss * episode.weight).sum() / episode.weight.sum() + l2 / 2 * penalty).backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        optimiser.param_groups[0]["lr"] = how.rate(update, update / 3)
        optimiser.step()
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(memory.state_dict()[name], value)
    assert not same(weights(memory), weights(plain))


def test_weight_decay_touches_matrices_alone(tmp_path):
    plain, decayed = model(), model()
    for memory, decay in ((plain, 0.0), (decayed, 0.5)):
        fit(memory, Echo(), recipe(Stage(6, 2, 1), weight_decay=decay, warm_up=0), tmp_path / str(decay))
    for (name, first), (_, second) in zip(plain.named_parameters(), decayed.named_parameters(), strict=True):
        assert torch.equal(first, second) == (first.ndim < 2), name


def test_ragged_rows_read_as_they_would_alone(tmp_path):
    """What stands beyond a row's length teaches nothing: filling it with other tokens changes no bit."""

    class Filled(Uneven):
        def episodes(self, batch, length, generator):
            episode = super().episodes(batch, length, generator)
            beyond = torch.arange(length)[None] >= episode.length[:, None]
            return episode._replace(
                inputs=episode.inputs.masked_fill(beyond, 5), weight=episode.weight.masked_fill(beyond, 7.0)
            )

    memories = model(), model()
    for memory, task in zip(memories, (Uneven(), Filled()), strict=True):
        fit(memory, task, recipe(Stage(15, 4, 5, truncation=4)), tmp_path / type(task).__name__)
    assert same(weights(memories[0]), weights(memories[1]))


def test_the_callers_generators_are_left_alone(tmp_path):
    torch.manual_seed(11)
    memory = TokenModel()
    memory.eval()
    before = torch.get_rng_state()
    fit(memory, Echo(), recipe(Stage(6, 2, 2)), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not memory.training


def test_whoever_asks_is_told_of_every_update(tmp_path, capsys):
    told = []
    fit(model(), Echo(), recipe(Stage(6, 2, 4)), tmp_path, progress=lambda update, total: told.append((update, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert capsys.readouterr().err == "", "in place of a bar"


def test_trackers(tmp_path):
    from accelerate.tracking import GeneralTracker, on_main_process

    class Kept(GeneralTracker):
        name, requires_logging_directory = "kept", False

        def __init__(self):
            super().__init__()
            self.values, self.config, self.finished = [], None, False

        tracker = property(lambda self: self.values)

        @on_main_process
        def store_init_configuration(self, values):
            self.config = values

        @on_main_process
        def log(self, values, step=None, **options):
            self.values.append((step, values))

        def finish(self):
            self.finished = True

    kept = Kept()
    fit(model(), Echo(), recipe(Stage(6, 2, 4), log_every=2), tmp_path, trackers=[kept], config={"name": "tiny"})
    assert [step for step, _ in kept.values] == [2, 4]
    assert kept.config["config.name"] == "tiny"
    assert kept.finished


TRACKER = """
import json, sys

class config:
    update = staticmethod(lambda values, allow_val_change: None)

class Run:
    log = staticmethod(lambda values, step=None: print(json.dumps([__name__, step, sorted(values)])))
    finish = staticmethod(lambda: None)

def init(project, **options):
    print(json.dumps([__name__, project, options]))
    return Run

finish = Run.finish
"""


def test_trackers_get_settings_one_by_one():
    """They sort and filter runs by them."""
    nested = {"recipe": {"learning_rate": 1e-3, "stages": [{"length": (1, 2)}]}, "memory": "gru", "choose": None}
    assert flattened(nested) == {
        "recipe.learning_rate": 1e-3, "recipe.stages.0.length.0": 1, "recipe.stages.0.length.1": 2, "memory": "gru",
        "choose": "None",
    }  # fmt: skip


def test_trackers_call_a_run_by_its_folder(tmp_path):
    """Stand-ins for both, in a process of its own: accelerate looks for them when it is imported."""
    for name in ("wandb", "trackio"):
        (tmp_path / f"{name}.py").write_text(TRACKER)
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
    program = f"""
from pathlib import Path
from mnesis.learn import fit
from tests.learn.tiny import Echo
from tests.learn.test_fit import Stage, model, recipe
fit(model(), Echo(), recipe(Stage(6, 2, 2), log_every=2), Path({str(tmp_path)!r}) / "copy" / "gru" / "seed-1",
    trackers=["wandb", "trackio"], progress=False)
"""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(tmp_path), str(root / "src"), str(root)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    for name in ("wandb", "trackio"):
        assert [name, "mnesis", {"name": "copy/gru/seed-1"}] in told
        assert any(who == name and step == 2 and "loss" in values for who, step, values in told)


def test_recipes_are_json():
    first = Recipe((Stage((3, 9), 4, 10, truncation=2, promote=0.9), Stage(5, 2, 1)), learning_rate=1e-3, clip=None)
    assert Recipe.from_json(json.loads(json.dumps(first.as_json()))) == first


def test_what_is_told_without_a_terminal(tmp_path, capfd):
    fit(model(), Echo(), recipe(Stage(6, 2, 4)), tmp_path / "spoken")
    assert capfd.readouterr().err.startswith("update 1 of 4, stage 1, length 6, loss ")
    fit(model(), Echo(), recipe(Stage(6, 2, 4)), tmp_path / "silent", progress=False)
    assert capfd.readouterr().err == ""
