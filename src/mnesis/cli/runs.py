"""Runs as folders: what a command needs to open one, and the models that ship with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.domain import shown_text
from ..core.files import read_json
from ..core.run_files import WEIGHTS, read_config
from ..core.shipped import find
from ..core.specification import task_in
from .options import Size

if TYPE_CHECKING:
    from ..core.memory import Memory
    from ..tasks.language.tokenizer import Tokenizer
    from ..tasks.stories.babilong.source import BABILongSource
    from ..tasks.stories.kinds import Asks


TOKENIZER = "tokenizer.json"
SOURCE = "source.json"
"""The first file of a reader's run, and the last to go: it says that the others are of a run."""


THREADS = "threads.json"
"""How many a run is trained with: another number would round otherwise."""


@dataclass(frozen=True)
class OpenRun:
    """A trained network with its tokens."""

    folder: Path
    network: Memory[Any]
    tokenizer: Tokenizer
    config: dict[str, Any]

    @property
    def source(self) -> BABILongSource:
        """Where its training data came from."""
        config = self.config.get("config", self.config)
        described = config.get("source") if isinstance(config, dict) else None
        if described is None:
            raise ValueError(f"{self.folder} was not trained on BABILong; evaluate it from Python with mnesis.measure")
        return read_source(described, f"{self.folder / 'config.json'}: source", mend="restore the file")

    @property
    def asks(self) -> Asks | None:
        """What it can be asked, by what it was trained on; None where its folder does not say."""
        config = self.config.get("config", self.config)
        return self.source.asks() if isinstance(config, dict) and config.get("source") is not None else None


@dataclass(frozen=True)
class OpenNetwork:
    """A trained network, and what its folder says of its training."""

    folder: Path
    network: Memory[Any]

    @property
    def trained_length(self) -> int:
        """The longest that it was trained on, in its task's unit.

        Raises:
            ValueError: its folder does not say.
        """
        from ..measure.pages.runs import load_run

        if (found := load_run(self.folder).trained_length) is None:
            raise ValueError(f"{self.folder} does not say how long its sequences were; give --lengths, such as 64,256")
        return found


def read_source(values: Any, place: str, *, mend: str) -> BABILongSource:
    """A source as a file describes it.

    Raises:
        ValueError: it describes none; one sentence with its place, the value, the rule and the mend.
    """
    from ..tasks.stories.babilong.source import BABILongSource

    try:
        return BABILongSource.from_json(values)
    except ValueError as error:
        raise ValueError(f"{place} cannot be read: {error}; {mend}") from None


def kept_threads(folder: Path) -> int | None:
    """With how many a run began; None of one that begins, or that an earlier version began."""
    file = folder / THREADS
    return read_json(file, Size, mend="remove it: as many as are free are taken then") if file.exists() else None


def background_of(folder: Path) -> str:
    """The background that a run was trained on; "" where it does not say."""
    config = read_config(folder, mend="train the run anew")
    inner = config.get("config", config)
    source = inner.get("source") if isinstance(inner, dict) else None
    return str(source.get("background", "")) if isinstance(source, dict) else ""


def refuse_sources(stories: str, background: str) -> None:
    """Refuse files and folders that are not there.

    Raises:
        ValueError: one of them, or no background at all.
    """
    if stories != "simulated" and not Path(stories).exists():
        raise ValueError(f'--stories {shown_text(stories)} is not there; give bAbI\'s files, or "simulated"')
    folders = folders_of(background)
    if missing := [name for name in folders if not Path(name).is_dir()]:
        raise ValueError(f'--background {shown_text(missing[0])} is no folder; give one of .txt files, or "prose"')
    if not background.strip(","):
        raise ValueError('--background is empty; give a folder of .txt files, or "prose"')


def folders_of(background: str) -> list[str]:
    """Folders of text that a background names."""
    return [name for name in background.split(",") if name and name != "prose" and not name.startswith("hub:")]


def refuse_files(option: str, files: Sequence[str], background: str) -> None:
    """Refuse names of files where no folder of files is read.

    Raises:
        ValueError: there are names, and no folder.
    """
    if files and not folders_of(background):
        raise ValueError(
            f"{option} {' '.join(files)} names files of a folder, and the background is {background}; give "
            f"--background a folder that holds them, or leave {option} out"
        )


def is_reader(folder: Path) -> bool:
    """Whether a folder holds a reader: its tokens stand beside its weights, or its data are told to be BABILong's."""
    if (folder / TOKENIZER).is_file() or (folder / SOURCE).is_file():
        return True
    return "source" in _inner(read_config(folder, mend="train the run anew"))


def is_of_pictures(config: dict[str, Any]) -> bool:
    """Whether a run's config.json is of a training of pictures."""
    return "pictures" in _inner(config)


def _inner(config: dict[str, Any]) -> dict[str, Any]:
    """What a training was told besides, in its config.json."""
    inner = config.get("config", config)
    return inner if isinstance(inner, dict) else {}


def open_network(folder: Path, *, trust: bool = False) -> OpenNetwork:
    """A run's network, ready to read.

    Raises:
        FileNotFoundError: a run that has not finished.
        ValueError: a file that is broken, or code that is not trusted.
    """
    from ..nets import load

    return OpenNetwork(folder, load(folder, trust=trust))


def open_run(model: str, *, trust: bool = False) -> OpenRun:
    """A run's network, tokenizer and configuration, ready to read.

    Args:
        model: its folder, or the name of a reader that ships with the package.
        trust: let it name classes outside the catalog, whose code then runs.

    Raises:
        FileNotFoundError: no such run, or one that has not finished.
        ValueError: a file that is broken, code that is not trusted, or a tokenizer of another network.
    """
    from ..nets import load
    from ..tasks.language.tokenizer import load_tokenizer

    folder = find(model)
    if (folder / WEIGHTS).is_file() and not (folder / TOKENIZER).is_file():
        found = task_in(read_config(folder, mend="train the run anew"))
        trained = f"was trained on {found.name} and" if found else "is a network that"
        raise ValueError(f"{folder} {trained} has no tokenizer; give a reader of text, such as --model reader")
    network = cast("Memory[Any]", load(folder, trust=trust))
    config = read_config(folder, mend="train it anew")
    tokenizer = load_tokenizer(folder)
    vocabulary = getattr(network, "vocabulary", None)
    if vocabulary is not None and tokenizer.vocabulary > vocabulary:
        raise ValueError(
            f"the tokenizer of {folder} has {tokenizer.vocabulary} tokens, its network reads {vocabulary}; they come "
            "from different runs: give the folder of one"
        )
    return OpenRun(folder, network, tokenizer, config)
