"""What a memory holds once more training no longer raises it: the same training with twice the budget, and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired, TypedDict

from ..core.domain import Count, Size, fault
from ..core.files import read_json, shown_differences, write_json
from ..core.run_files import Amount, read_metrics
from ..learn import Training
from ..measure.metering.meter import Score, examine
from .design import Size as Built
from .place import Told
from .setting import TEST_SEED, VALIDATION_SEED, Setting
from .ways import SEARCH_SEED, way_for

GROWTH = "growth.json"
CONFIRMING = (1, 2)
"""Seeds that are trained with the budget which is enough, beside the one that found it."""
SLOW = 5_000
"""Units a second below which a budget is doubled once at most."""
LAST = 0.1
"""Share of a training over whose last updates its accuracy is what it has come to."""
_MEND = "remove it to begin anew, or give another --folder"


class Member(TypedDict):
    """A training."""

    seed: int
    updates: Size
    units: Count
    seconds: Amount
    folder: str
    half: Count | None
    """Units read until its accuracy was half of what it came to, above chance; None where it learned nothing."""
    scores: list[Score]
    """One a tested length."""


class Doubled(Member):
    """One of those whose budgets double."""

    validation: Score


class _Growth(TypedDict):
    asked: dict[str, Any]
    doubled: list[Doubled]
    confirming: list[Member]
    broke: NotRequired[str]
    """What ended the doubling, in a sentence."""
    unconfirmed: NotRequired[dict[str, str]]
    """What ended a training that was to confirm, in a sentence, by its seed."""


class Enough(NamedTuple):
    """Which of the doubled budgets is enough."""

    power: int
    """Two to the power of it times the budget."""
    converged: bool
    """Whether twice as much has been seen not to raise what is held."""


Growth = dict[str, Any]
"""What ``grow`` finds, as plain values."""


def read_growth(folder: Path, asked: dict[str, Any]) -> Growth | None:
    """Of a cell's folder, which was asked for that; None where there is none.

    Raises:
        ValueError: its file cannot be read, or is another cell's.
    """
    path = folder / GROWTH
    if not path.exists():
        return None
    growth: Growth = read_json(path, dict[str, Any], mend=_MEND)
    if wrong := fault(growth, _Growth):
        raise ValueError(f"{path} cannot be read: {wrong}; {_MEND}")
    if shown := shown_differences(growth["asked"], asked):
        raise ValueError(f"{path} is of another cell than the one beside it ({shown}); {_MEND}")
    for each in (*growth["doubled"], *growth["confirming"]):
        if [score["length"] for score in each["scores"]] != asked["setting"]["tests"]:
            raise ValueError(f"{path} cannot be read: {each['folder']} has no score for each tested length; {_MEND}")
    return growth


def enough(growth: Growth) -> Enough | None:
    """The least budget of which twice as much no longer raised what is held, else the largest; None before any."""
    scores = [Score.from_json(each["validation"]) for each in growth["doubled"]]
    if not scores:
        return None
    converged = len(scores) > 1 and not _rises(scores[-2], scores[-1])
    return Enough(len(scores) - 1 - converged, converged)


def members(growth: Growth) -> list[dict[str, Any]]:
    """All trainings with the budget that is enough, as plain :class:`Member` values."""
    at = enough(growth)
    return [] if at is None else [growth["doubled"][at.power], *growth["confirming"]]


def further(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Trainings of budgets that were doubled, without those of the cell itself that confirmed the least of them."""
    growth = cell.get("growth") or {"doubled": [], "confirming": []}
    own = [training["folder"] for training in cell.get("trainings", [])]
    return [each for each in (*growth["doubled"], *growth["confirming"]) if each["folder"] not in own]


def holds(growth: Growth) -> bool:
    """Whether anything is held with it, beyond doubt."""
    at = enough(growth)
    return at is not None and _low(Score.from_json(growth["doubled"][at.power]["validation"])) > 0


def doublings_of(speed: float | None, doublings: int) -> int:
    """How often a budget is doubled at most, for a memory that trains so many units a second."""
    return min(doublings, 1) if speed is not None and speed < SLOW else doublings


def remaining(cell: dict[str, Any] | None, growth: Growth | None, doublings: int, seeds: int) -> tuple[int, int]:
    """Budgets that are still to be trained, at least and at most.

    Args:
        cell: None where it is still to be filled.
        growth: of the cell.
        doublings: as :func:`doublings_of` limits them.
        seeds: of the cell itself; its trainings confirm the budget that was not doubled.
    """

    def confirming(power: int, missing: Sequence[int] = CONFIRMING) -> int:
        return sum(2**power for seed in missing if power or seed > seeds)

    if not doublings or (cell is not None and has_grown(cell, growth, doublings)):
        return 0, 0
    if growth is not None and cell is not None and not _may_double(cell, growth, doublings):
        at = enough(growth)
        left = 0 if at is None else confirming(at.power, _unconfirmed(growth))
        return left, left
    first = max(len(growth["doubled"]) if growth else 0, 1)  # the search has made the one that is not doubled
    powers = [2**power for power in range(first, doublings + 1)]
    raising_nothing = powers[0] + confirming(first - 1, _unconfirmed(growth) if growth else CONFIRMING)
    return min(raising_nothing, sum(powers)), sum(powers) + confirming(doublings)


def has_grown(cell: dict[str, Any], growth: Growth | None, doublings: int) -> bool:
    """Whether there is nothing left to be trained."""
    if not doublings or cell["status"] != "done":
        return True
    return growth is not None and not (_may_double(cell, growth, doublings) or _unconfirmed(growth))


def grow(
    cell: dict[str, Any],
    setting: Setting,
    folder: Path,
    doublings: int,
    *,
    progress: bool | Callable[[Told], object] = False,
    trackers: Sequence[str] = (),
) -> None:
    """Double the budget of a filled cell as long as that raises what is held, and confirm where it stopped.

    A training with a doubled budget is one of its own, with the cell's rate: its rate too falls to zero with its last
    update. One seed, that of the search, is doubled, until bits on validation no longer lie above the interval of 95 %
    of those with half the budget; one that holds nothing yet goes on in any case. Two other seeds then train with the
    budget that is enough, unless nothing is held with it. What is found stands in growth.json, after every training.

    Args:
        cell: that is filled; who calls this keeps others out of its folder.
        setting: of the cell.
        folder: of the cell.
        doublings: at most; one where it trains fewer than 5,000 units a second.
        progress: a bar for every training; or what is called after every update with how far it is.
        trackers: of accelerate.

    Raises:
        ValueError: its file cannot be read, or is another cell's.
        Interrupted: a signal ended a training; the same call goes on.
    """
    found = read_growth(folder, cell["asked"])
    if has_grown(cell, found, doublings):
        return
    growth = found or {"asked": cell["asked"], "doubled": [], "confirming": []}
    trainings = doublings_of(cell["units_per_second"], doublings) + 1 + len(CONFIRMING)
    grower = _Grower(cell, setting, folder, growth, trainings, progress, trackers)
    while _may_double(cell, growth, doublings):
        grower.double()
        growth["confirming"] = []
        growth.pop("unconfirmed", None)
        write_json(folder / GROWTH, growth)
    for seed in _unconfirmed(growth):
        grower.confirm(seed)
        write_json(folder / GROWTH, growth)


class _Grower:
    """Trains one cell further."""

    def __init__(
        self,
        cell: dict[str, Any],
        setting: Setting,
        folder: Path,
        growth: Growth,
        trainings: int,
        progress: bool | Callable[[Told], object],
        trackers: Sequence[str],
    ) -> None:
        self.cell, self.setting, self.folder = cell, setting, folder
        self.growth, self.trainings, self.progress = growth, trainings, progress
        self.task = setting.create_task()
        self.way = way_for(setting, self.task, cell["memory"], Built(cell["dim"], cell["hidden"], cell["options"]))
        self.way.trackers = trackers

    def double(self) -> None:
        """Train with the next budget."""
        power = len(self.growth["doubled"])
        name = f"search-{self.way.name(self._choice)}" if power == 0 else f"{2**power}x-seed-{SEARCH_SEED}"
        try:
            network, result = self._trained(SEARCH_SEED, power, name)
            validation = self._score(network, self.task.unseen("valid"), self.setting.lengths[1], VALIDATION_SEED)
            found = {**self._told(network, result, SEARCH_SEED, name), "validation": validation}
        except FloatingPointError as error:
            self.growth["broke"] = f"{2**power} times the budget broke down: {error}"
        else:
            self.growth["doubled"].append(found)

    def confirm(self, seed: int) -> None:
        """Train another seed with the budget that is enough."""
        at = enough(self.growth)
        assert at is not None
        name = f"seed-{seed}" if at.power == 0 else f"{2**at.power}x-seed-{seed}"
        try:
            found = self._told(*self._trained(seed, at.power, name), seed, name)
        except FloatingPointError as error:
            told = f"seed {seed} broke down with {2**at.power} times the budget: {error}"
            self.growth.setdefault("unconfirmed", {})[str(seed)] = told
        else:
            self.growth["confirming"].append(found)

    @property
    def _choice(self) -> dict[str, Any]:
        """What the cell's search found."""
        rate = self.cell["rate"]
        if rate is not None:
            return {"rate": rate}
        best = max((each for each in self.cell["search"] if each["bits"] is not None), key=lambda each: each["bits"])
        return {"options": best["options"]}

    def _trained(self, seed: int, power: int, name: str) -> tuple[Any, Training]:
        network, updates = self.way.network(seed, self._choice), self.cell["steps"] * 2**power
        told, number = self.progress, len(self.growth["doubled"]) + len(self.growth["confirming"]) + 1
        trainings = max(self.trainings, number)
        tell: Any = told
        if callable(told):
            tell = lambda update, updates: told(Told(number, trainings, update, updates))  # noqa: E731
            tell(0, updates)
        return network, self.way.train(network, self._choice, updates, seed, self.folder / name, tell)

    def _told(self, network: Any, result: Training, seed: int, name: str) -> dict[str, Any]:
        unseen = self.task.unseen("test")
        return {
            "seed": seed,
            "updates": result.updates,
            "units": result.units,
            "seconds": round(result.seconds, 1),
            "folder": name,
            "half": _half(self.folder / name, self.task.chance),
            "scores": [self._score(network, unseen, length, TEST_SEED) for length in self.setting.tests],
        }

    def _score(self, network: Any, task: Any, length: int, seed: int) -> dict[str, Any]:
        """
        Raises:
            FloatingPointError: it answers in no finite numbers.
        """
        score = examine(network, task, length, sequences=self.setting.sequences, seed=seed).as_json()
        if wrong := fault(score, Score, "score"):
            raise FloatingPointError(f"it answers in no finite numbers: {wrong}")
        return score


def _may_double(cell: dict[str, Any], growth: Growth, doublings: int) -> bool:
    """Whether another training may raise what is held."""
    done = len(growth["doubled"])
    if "broke" in growth or done > doublings_of(cell["units_per_second"], doublings):
        return False
    at = enough(growth)
    return at is None or not at.converged


def _unconfirmed(growth: Growth) -> list[int]:
    """Seeds that are still to be trained with the budget that is enough."""
    known = [*(str(each["seed"]) for each in growth["confirming"]), *growth.get("unconfirmed", {})]
    return [seed for seed in CONFIRMING if str(seed) not in known] if holds(growth) else []


def _rises(before: Score, after: Score) -> bool:
    high = before.bits if before.bits_interval is None else before.bits_interval[1]
    return _low(before) <= 0 or after.bits > high


def _low(score: Score) -> float:
    return score.bits if score.bits_interval is None else score.bits_interval[0]


def _half(folder: Path, chance: float) -> int | None:
    """Units until a training's accuracy was half of what it came to, above chance, in two lines of metrics in a row."""
    lines = read_metrics(folder, mend=_MEND)
    curve = [(line["units"], line["accuracy"]) for line in lines if line["accuracy"] is not None]
    if not curve:
        return None  # solved for at once, or targets are numbers
    last = [right for units, right in curve if units > (1 - LAST) * curve[-1][0]]
    above = sum(last) / len(last) - chance
    if above <= 0:
        return None
    reached = [right >= chance + above / 2 for _, right in curve]
    stays = (units for (units, _), now, then in zip(curve, reached, [*reached[1:], True], strict=True) if now and then)
    return next(stays, curve[-1][0])
