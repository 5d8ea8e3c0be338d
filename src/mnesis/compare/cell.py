"""One memory on one task: a search for the learning rate, trainings with it, and what they hold."""

from __future__ import annotations

import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from ..core.memory import Memory
from ..core.state import atomic_path
from ..core.task import Task
from ..learn import Recipe, Stage, Training, fit
from ..learn.loss import Learner
from ..measure.meter import Score, examine
from ..measure.work import work
from .design import Options, Unfit, build, count_parameters, matched
from .setting import TEST_SEED, VALIDATION_SEED, Setting

BEYOND = 10**0.5
"""How far the search goes beyond its ends."""
SEARCH_SEED = 0
TIMED = 5
"""Updates that tell how long one takes, where the budget is of seconds."""
RESULT = "cell.json"
Cell = dict[str, Any]
"""What ``run_cell`` finds, as plain values."""


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """A signal ended a training; its checkpoint is saved."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_cell(setting: Setting, memory: str, options: Options, folder: Path, *, progress: bool = False) -> Cell:
    """Fill a cell, or read it back where it stands finished.

    Its folder holds a run for every training, and in the end cell.json:

    - ``status`` "done", or "unfit" or "failed" with the ``reason``;
    - ``dim``, ``hidden``, ``options``, ``parameters``, ``multiply_adds`` of reading a unit (None where they cannot be
      counted); ``steps`` of each training;
    - ``search``: ``{rate, bits, folder}`` for every rate tried, ``bits`` None where the training broke down;
      ``rate``: the best;
    - ``trainings``: one a seed, with ``seed``, ``folder``, ``seconds``, ``units`` and ``scores``, one a tested length;
    - ``search_seconds``: what the search took.

    Args:
        setting: what is equal for all.
        memory: name in the catalog, or ``file.py:Class``.
        options: its constructor arguments.
        folder: of the cell.
        progress: a bar for every training.

    Raises:
        ValueError: the folder holds a cell of another setting, or a budget too small for one update.
        Interrupted: a signal ended a training; the same call goes on.
    """
    asked = json.loads(json.dumps({"memory": memory, "options": dict(options), "setting": setting.as_json()}))
    if (folder / RESULT).exists():
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if found["asked"] != asked:
            raise ValueError(f"{folder} holds a cell of another setting; give another --folder, or --overwrite")
        return found
    task = setting.create_task()
    try:
        measured = _measure(setting, task, memory, options, folder, progress)
    except Unfit as reason:
        measured = {"status": "unfit", "reason": str(reason)}
    text = json.dumps({"asked": asked, "task": setting.task, "memory": memory, **measured}, indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / RESULT) as path:
        path.write_text(text + "\n", encoding="utf-8")
    return json.loads(text)


def _measure(
    setting: Setting, task: Task, memory: str, options: Options, folder: Path, progress: bool
) -> dict[str, Any]:
    size = matched(setting, task, memory, options)

    def network(seed: int) -> Memory[Any]:
        torch.manual_seed(seed)
        return build(setting, task, memory, size)

    steps = _steps(setting, task, network(SEARCH_SEED), folder)
    search: list[dict[str, Any]] = []
    began = time.process_time()

    def tried(rate: float) -> dict[str, Any]:
        own = folder / f"search-{rate:.0e}"
        entry: dict[str, Any] = {"rate": rate, "folder": own.name, "bits": None}
        try:
            trained = network(SEARCH_SEED)
            _train(setting, task, trained, rate, steps, SEARCH_SEED, own, progress)
            score = examine(
                trained, task.unseen("valid"), setting.lengths[1], sequences=setting.sequences, seed=VALIDATION_SEED
            )
            entry["bits"] = score.bits if math.isfinite(score.bits) else None
        except FloatingPointError as error:
            entry["broke"] = str(error)
        search.append(entry)
        return entry

    for rate in setting.rates:
        tried(rate)
    best = _best(search)
    if best is not None and len(setting.rates) > 1:
        if best["rate"] == max(setting.rates):
            tried(best["rate"] * BEYOND)
        elif best["rate"] == min(setting.rates):
            tried(best["rate"] / BEYOND)
        best = _best(search)
    spent = time.process_time() - began
    about = {
        "dim": size.dim,
        "hidden": size.hidden,
        "options": dict(size.options),
        "parameters": count_parameters(network(SEARCH_SEED)),
        "multiply_adds": _multiply_adds(setting, task, network(SEARCH_SEED)),
        "steps": steps,
        "search": search,
        "search_seconds": round(spent, 1),
    }
    if best is None:
        return {"status": "failed", "reason": "every learning rate of the search broke down", **about}
    trainings = []
    for seed in range(1, setting.seeds + 1):
        own = folder / f"seed-{seed}"
        trained = network(seed)
        try:
            result = _train(setting, task, trained, best["rate"], steps, seed, own, progress)
        except FloatingPointError as error:
            return {"status": "failed", "reason": f"seed {seed} broke down: {error}", **about}
        scores = [_examined(setting, task, trained, length) for length in setting.tests]
        trainings.append(
            {
                "seed": seed,
                "folder": own.name,
                "units": result.units,
                "seconds": round(result.seconds, 1),
                "scores": [score.as_json() for score in scores],
            }
        )
    return {"status": "done", "rate": best["rate"], "trainings": trainings, **about}


def _best(search: list[dict[str, Any]]) -> dict[str, Any] | None:
    return max((entry for entry in search if entry["bits"] is not None), key=lambda entry: entry["bits"], default=None)


def _train(
    setting: Setting, task: Task, network: Memory[Any], rate: float, steps: int, seed: int, folder: Path, progress: bool
) -> Training:
    stage = Stage(setting.length, setting.batch, steps)
    recipe = Recipe((stage,), learning_rate=rate, warm_up=min(100, steps // 10), seed=seed, save_every=1000)
    about = {"task": setting.task, "task_options": dict(setting.task_options)}
    result = fit(network, task, recipe, folder, config=about, progress=progress)
    if not result.finished:
        raise Interrupted(result.signal or 0)
    return result


def _examined(setting: Setting, task: Task, network: Memory[Any], length: int) -> Score:
    return examine(network, task.unseen("test"), length, sequences=setting.sequences, seed=TEST_SEED)


def _multiply_adds(setting: Setting, task: Task, network: Memory[Any]) -> float | None:
    try:
        return work(network, task.episodes(1, setting.lengths[1], torch.Generator().manual_seed(0))).multiply_adds
    except NotImplementedError:  # a class of one's own may run what no rule counts
        return None


def _steps(setting: Setting, task: Task, network: Memory[Any], folder: Path) -> int:
    """Updates that the budget allows; kept where they were timed, so that a cell goes on as it began."""
    if setting.budget.kind == "tokens":
        steps = int(setting.budget.amount / setting.units(task))
    else:
        kept = folder / "steps.json"
        if kept.exists():
            return json.loads(kept.read_text(encoding="utf-8"))
        steps = int(setting.budget.amount / _seconds_of_an_update(setting, task, network))
    if steps < 1:
        raise ValueError(
            f"a budget of {setting.budget.amount:,} {setting.budget.kind} does not suffice for one update of "
            f"{setting.batch} rows ({setting.units(task):,.0f} units); raise it, or give a smaller --batch"
        )
    if setting.budget.kind == "seconds":
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / "steps.json") as path:
            path.write_text(json.dumps(steps), encoding="utf-8")
    return steps


def _seconds_of_an_update(setting: Setting, task: Task, network: Memory[Any]) -> float:
    learner, generator, taken = Learner(network), torch.Generator().manual_seed(0), []
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0)
    low, high = setting.lengths
    for index in range(TIMED + 1):
        began = time.process_time()
        episode = task.episodes(setting.batch, low + (high - low) * index // TIMED, generator)
        loss = learner(episode.inputs, None, episode.reset, episode.length, episode.targets, episode.weight).answers
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        taken.append(time.process_time() - began)
    return max(statistics.median(taken[1:]), 1e-6)
