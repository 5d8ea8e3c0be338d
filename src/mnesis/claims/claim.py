"""What a claim is: one paper's statement as an experiment that measures, and judges by a predicate."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, final

from matplotlib.figure import Figure

from ..core.files import write_json
from ..core.folders import alone, clear_leftovers, require_ours
from ..core.run_files import Amount
from ..measure.pages import figures as style

Scale = Literal["smoke", "laptop", "full"]
Verdict = Literal["holds", "does not hold", "inconclusive"]


@dataclass(frozen=True)
class Result:
    """What an experiment found."""

    claim: str
    paper: str
    scale: Scale
    verdict: Verdict | Literal["not judged"]
    predicate: str
    figures: dict[str, Any]
    """Everything measured, as plain values; at least ``points``, one a model, seed and place."""
    seeds: tuple[int, ...]
    seconds: Amount
    """Wall time of this call; what it read back from earlier ones took longer (``figures["trainings"]``)."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "seeds": list(self.seeds)}


class Stopped(Exception):  # noqa: N818 (nothing went wrong)
    """A signal ended a training, its checkpoint is saved, and the same call goes on from there."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Table(NamedTuple):
    """Figures for a terminal."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    caption: str


class Work(NamedTuple):
    """How an experiment is run."""

    folder: Path
    progress: bool = True
    """Tell on stderr."""
    overwrite: bool = False
    """Measure anew what stands in the folder."""
    workers: int = 1
    """Processes that it may be spread over, each with one thread; 1 = this process, as it is."""
    trackers: tuple[str, ...] = ()
    """Where the curves of its trainings go besides: accelerate's names."""


class Claim(ABC):
    """One paper's statement as an experiment. A subclass measures, judges, and draws.

    Scales: "smoke" runs in seconds and is not judged, "laptop" takes minutes on two cores, "full" follows the paper's
    sizes.

    Args:
        data: folder of real data sets; None = what is made on the spot.

    Raises:
        ValueError: data for a claim that reads none.
    """

    name: ClassVar[str]
    paper: ClassVar[str]
    """Key into papers.json."""
    statement: ClassVar[str]
    predicate: ClassVar[str]
    """What the verdict depends on, thresholds included; fixed before the first judged run."""
    seeds: ClassVar[Mapping[Scale, tuple[int, ...]]] = {"smoke": (0,), "laptop": (0, 1), "full": (0, 1, 2)}
    study: ClassVar[str]
    """Claims of one study are about the same trained networks and share a folder; the claim's own name if alone."""
    reads_data: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__ and "study" not in cls.__dict__:
            cls.study = cls.name

    def __init__(self, data: Path | None = None) -> None:
        if data is not None and not self.reads_data:
            raise ValueError(f"{self.name} reads no data sets; leave data={data} out")
        self.data = data

    @abstractmethod
    def measure(self, scale: Scale, work: Work) -> dict[str, Any]:
        """The figures."""

    @abstractmethod
    def judge(self, figures: Mapping[str, Any]) -> Verdict:
        """Apply the predicate."""

    @abstractmethod
    def draw(self, figures: Mapping[str, Any]) -> dict[str, Figure]:
        """Figures by name; the empty name is the claim's own."""

    @abstractmethod
    def table(self, figures: Mapping[str, Any]) -> Table:
        """What a terminal shows."""

    @final
    def run(
        self,
        scale: Scale,
        folder: Path,
        *,
        progress: bool = True,
        overwrite: bool = False,
        workers: int = 1,
        trackers: tuple[str, ...] = (),
    ) -> Result:
        """Measure and judge. What stands finished in the folder is read back, what was begun is continued.

        Args:
            scale: smoke, laptop or full.
            folder: everything is kept below ``folder/scale``; NAME.json and figures NAME.svg and .png in the end.
            progress: tell on stderr.
            overwrite: measure anew.
            workers: processes, each with one thread; 1 = this process, as it is.
            trackers: where the curves of its trainings go besides, such as "tensorboard".

        Raises:
            ValueError: the folder holds trainings of another configuration or somebody else's files, or another process
                is writing there.
            Stopped: a signal ended a training.
        """
        began, folder = time.monotonic(), Path(folder) / scale
        file, mend = folder / f"{self.name}.json", "move it away, or give another folder"
        with alone(folder, file.name):
            require_ours([file], Result, mend=mend)
            require_ours((folder / f"{self.name}{end}" for end in style.ENDS), mend=mend)
            figures = self.measure(scale, Work(folder, progress, overwrite, workers, trackers))
            verdict = "not judged" if scale == "smoke" else self.judge(figures)
            seconds = round(time.monotonic() - began, 1)
            result = Result(self.name, self.paper, scale, verdict, self.predicate, figures, self.seeds[scale], seconds)
            write_json(file, result.as_json(), finite=False)
            for suffix, figure in self.draw(figures).items():
                path = folder / (f"{self.name}-{suffix}" if suffix else self.name)
                for end in style.ENDS:
                    clear_leftovers(path.parent / f"{path.name}{end}")
                style.save(figure, path, title=self.statement)
        return result
