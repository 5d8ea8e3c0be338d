"""A text is read once, and whatever is on the disk, the state is the one that reading gives."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mnesis
from mnesis import PrefixStore
from mnesis.core import prefix_store
from mnesis.core.laws.subject import difference
from mnesis.core.state import leaves, load_state, save_state
from mnesis.nets import LanguageModel
from tests.damaged_tensors import DAMAGE, damage

EVERY = 8
TEXT = torch.arange(45) * 7 % 13


def model(**options: Any) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(13, **{"dim": 8, "memory": "gru", "depth": 1, **options}).eval()


@pytest.fixture
def store(tmp_path) -> PrefixStore:
    return PrefixStore(tmp_path / "prefixes", "10MB", every=EVERY)


@pytest.fixture(autouse=True)
def _nothing_goes_wrong() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def same(a: Any, b: Any) -> bool:
    return difference(a, b) < 1e-6


def files(store: PrefixStore) -> list[Path]:
    """The latest last."""
    return sorted(store.folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("memory", ["gru", "armt", "window"])
def test_the_longest_prefix_is_taken_up_and_the_rest_is_read(store, memory) -> None:
    reader = model(memory=memory)
    assert store.longest(reader, TEXT) == (None, 0)
    with torch.no_grad():
        state = store.read(reader, TEXT)
        assert same(state, reader(TEXT[None])[1])
        assert len(files(store)) == 5
        found, read = PrefixStore(store.folder, every=EVERY).longest(reader, TEXT)
        assert read == 40
        assert same(found, reader(TEXT[None, :40])[1])
        assert all(map(torch.equal, leaves(store.read(reader, TEXT)), leaves(state)))
        other = torch.cat([TEXT[:20], TEXT[:20]])
        assert store.longest(reader, other)[1] == 16
        assert same(store.read(reader, other[None]), reader(other[None])[1])
        assert store.longest(reader, other)[1] == 40
        assert store.longest(reader, TEXT[:16].tolist())[1] == 16
        assert (
            store.longest(reader, TEXT[:7])[1]
            == store.longest(reader, TEXT[1:])[1]
            == store.longest(reader, [])[1]
            == 0
        )
        assert PrefixStore(store.folder, every=16).longest(reader, TEXT)[1] == 32


def test_nobody_waits_for_the_disk(store, monkeypatch) -> None:
    """What is lost with the power is read anew."""
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("the disk is waited for"))
    store.read(model(), TEXT)
    with pytest.raises(pytest.fail.Exception, match="waited for"):
        save_state(torch.zeros(1), store.folder / "kept.safetensors")


def test_what_was_read_is_not_read_again(store) -> None:
    reader = model()
    store.read(reader, TEXT)
    units = []
    reader.reader.register_forward_pre_hook(lambda _, given: units.append(given[0].shape[1]))
    reader.head.register_forward_pre_hook(lambda *_: pytest.fail("the head is asked for nothing"))
    store.read(reader, TEXT)
    assert units == [5]


def merged(reader: LanguageModel) -> None:
    """An adapter, as it is added to a weight."""
    reader.head.weight.data[3] += 0.1


def trained(reader: LanguageModel) -> None:
    reader(TEXT[None])[0].sum().backward()
    torch.optim.AdamW(reader.parameters(), fused=True).step()


def adapted(reader: LanguageModel) -> None:
    nn.utils.parametrizations.weight_norm(reader.head)


CHANGES: dict[str, Callable[[LanguageModel], Any]] = {
    "an update": trained,
    "a merged adapter": merged,
    "an adapter": adapted,
    "dtype": lambda reader: reader.double(),
    "training": lambda reader: reader.train(),
    "options": lambda reader: reader.__dict__.update(_arguments={**reader.config, "depth": 2}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_memory_finds_nothing(store, change) -> None:
    reader = model()
    store.read(reader, TEXT)
    assert store.longest(reader, TEXT)[1] == 40
    change(reader)
    assert store.longest(reader, TEXT) == (None, 0)
    assert store.longest(model(), TEXT)[1] == 40


def test_arithmetic_of_another_dtype_finds_nothing(store) -> None:
    reader = model()
    store.read(reader, TEXT)
    with torch.autocast("cpu", torch.bfloat16):
        assert store.longest(reader, TEXT)[1] == 0
        store.read(reader, TEXT)
        assert store.longest(reader, TEXT)[1] == 40
    assert len(files(store)) == 10


def test_another_revision_or_format_finds_nothing(store, monkeypatch) -> None:
    reader = model()
    store.read(reader, TEXT)
    with monkeypatch.context() as patched:
        patched.setattr(prefix_store, "FORMAT", 2)
        assert store.longest(reader, TEXT)[1] == 0
    with monkeypatch.context() as patched:
        patched.setattr(prefix_store, "made_by", lambda _: {"memories": {"gru": {"revision": 99}}})
        assert store.longest(reader, TEXT)[1] == 0
    assert store.longest(reader, TEXT)[1] == 40


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_one_that_is_not_there(store, kind) -> None:
    reader, random = model(), Random(0)
    state = store.read(reader, TEXT)
    (whole, most), outcomes = store.longest(reader, TEXT), set()
    assert most == 40
    for _ in range(4):
        damage(files(store)[-1], kind, random)
        found, read = store.longest(reader, TEXT)
        outcomes.add(read)
        if read == most:  # nothing of it was touched that says or holds a number of the state
            assert all(map(torch.equal, leaves(found), leaves(whole)))
        assert same(store.read(reader, TEXT), state)
        assert store.longest(reader, TEXT)[1] == most
    assert 32 in outcomes <= {32, 40}


def numbers_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def swapped(path: Path) -> None:
    """The state of another text, whole, in a file of this name."""
    shutil.copy(next(other for other in path.parent.glob("*.safetensors") if other != path), path)


def of_another_memory(path: Path) -> None:
    about = {"prefix": path.stem, "tokens": "40"}
    state = mnesis.create_memory("window", dim=8, heads=1).initial_state(
        1, device=torch.device("cpu"), dtype=torch.float32
    )
    save_state(state, path, about={**about, "numbers": prefix_store._numbers(state)})


def of_another_dtype(path: Path) -> None:
    state = mnesis.core.state.tree_map(Tensor.double, load_state(path))
    save_state(state, path, about={"prefix": path.stem, "tokens": "40", "numbers": prefix_store._numbers(state)})


def of_two_rows(path: Path) -> None:
    state = mnesis.take(load_state(path), [0, 0])
    save_state(state, path, about={"prefix": path.stem, "tokens": "40", "numbers": prefix_store._numbers(state)})


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def linked(path: Path) -> None:
    path.unlink()
    (path.parent / "precious").write_text("of somebody")
    path.symlink_to(path.parent / "precious")


FOREIGN = [numbers_flipped, swapped, of_another_memory, of_another_dtype, of_two_rows, linked, Path.unlink]


@pytest.mark.parametrize("replace", FOREIGN, ids=lambda function: function.__name__)
def test_a_foreign_file_is_one_that_is_not_there(store, replace) -> None:
    reader = model()
    state, last = store.read(reader, TEXT), files(store)[-1]
    replace(last)
    assert store.longest(reader, TEXT)[1] == 32
    assert same(store.read(reader, TEXT), state)
    assert store.longest(reader, TEXT)[1] == 40
    assert not last.is_symlink()
    if replace is linked:
        assert (store.folder / "precious").read_text() == "of somebody"


@pytest.mark.parametrize("blocked", [piped, lambda path: (path.unlink(), path.mkdir())], ids=["a pipe", "a folder"])
def test_what_is_no_file_stays_and_is_told(store, blocked) -> None:
    reader = model()
    state, last = store.read(reader, TEXT), files(store)[-1]
    blocked(last)
    assert store.longest(reader, TEXT)[1] == 32
    with pytest.warns(UserWarning, match="states of prefixes are not stored: cannot write"):
        assert same(store.read(reader, TEXT), state)
    assert not last.is_file()


def test_nothing_of_a_pickle_is_run(store) -> None:
    reader, ran = model(), []

    class Trap:
        def __reduce__(self) -> Any:
            return ran.append, (1,)

    store.read(reader, TEXT)
    torch.save({"x": Trap()}, files(store)[-1])
    assert store.longest(reader, TEXT)[1] == 32
    assert not ran


def test_what_was_not_used_for_longest_goes_first(tmp_path) -> None:
    reader = model()
    store = PrefixStore(tmp_path, every=EVERY)
    store.read(reader, TEXT[:8])
    size = store.nbytes
    texts = [(TEXT[:8] + shift) % 13 for shift in range(5)]
    store = PrefixStore(tmp_path, 3 * size + 50, every=EVERY)
    (tmp_path / "notes.txt").write_text("of somebody")
    (tmp_path / ("a" * 64)).write_bytes(bytes(10 * size))
    for text in texts[1:3]:
        store.read(reader, text)
    assert store.longest(reader, texts[0])[1] == 8  # used now
    store.read(reader, texts[3])
    store.read(reader, texts[4])
    assert [store.longest(reader, text)[1] for text in texts] == [8, 0, 0, 8, 8]
    assert store.nbytes <= store.limit
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / ("a" * 64)).exists()
    tight = PrefixStore(tmp_path, size - 1, every=EVERY)
    with pytest.warns(UserWarning, match=r"a state of .* bytes passes the limit of .*; give a larger one"):
        tight.read(reader, texts[1])
    assert store.longest(reader, texts[4])[1] == 8


def test_what_kills_left_is_cleared(store) -> None:
    reader = model()
    store.read(reader, TEXT[:8])
    left = store.folder / f".{files(store)[0].name}.abcd1234"
    left.mkdir()
    (left / "half").write_bytes(b"half")
    (store.folder / ".other.abcd1234").mkdir()
    store.read(reader, TEXT)
    assert not left.exists()
    assert sorted(path.name for path in store.folder.iterdir() if path.suffix != ".safetensors") == [".other.abcd1234"]


def test_a_full_disk_is_told_and_the_text_is_read(store, monkeypatch) -> None:
    reader = model()

    def full(*_: Any, **__: Any) -> None:
        raise ValueError("cannot write x: the disk is full; make room, and do the same again")

    monkeypatch.setattr(prefix_store, "save_state", full)
    with pytest.warns(UserWarning, match="not stored: cannot write x: the disk is full") as told:
        state = store.read(reader, TEXT)
    assert len(told) == 1
    assert same(state, reader(TEXT[None])[1])


def test_a_locked_folder_is_told_and_the_text_is_read(store, monkeypatch) -> None:
    monkeypatch.setattr(prefix_store, "WAIT", 0)
    reader = model()
    with (
        prefix_store.alone(store.folder),
        pytest.warns(UserWarning, match="not stored: another process is writing in"),
    ):
        state = store.read(reader, TEXT)
    assert same(state, reader(TEXT[None])[1])


def read_beside(folder: Path, limit: int) -> None:
    """What each of two processes does."""
    reader, store = model(), PrefixStore(folder, limit, every=4)
    for shift in range(4):
        store.read(reader, (TEXT + shift) % 13)


def test_two_processes_do_not_spoil_each_other(tmp_path) -> None:
    """Both write the same files, and both make room."""
    one = PrefixStore(tmp_path / "one", every=EVERY)
    one.read(model(), TEXT[:8])
    limit, fork = 13 * one.nbytes, multiprocessing.get_context("fork")
    running = [fork.Process(target=read_beside, args=(tmp_path / "both", limit)) for _ in range(2)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0, 0]  # a warning would be an error
    store, last = PrefixStore(tmp_path / "both", limit, every=4), (TEXT + 3) % 13
    assert 0 < store.nbytes <= limit
    found, read = store.longest(model(), last)
    assert read == 44
    with torch.no_grad():
        assert same(found, model()(last[None, :44])[1])


REFUSED = {
    "no size": (
        lambda s: PrefixStore(s.folder, "much"),
        "limit='much' is not a number of bytes; give one, or text such",
    ),
    "nothing": (lambda s: PrefixStore(s.folder, 0), "limit=0 is not a whole number of at least 1"),
    "a file": (lambda s: PrefixStore(__file__), "is a file, and states are stored in a folder"),
    "every": (lambda s: PrefixStore(s.folder, every=0), "every=0 is not a whole number of at least 1"),
    "vectors": (
        lambda s: s.read(mnesis.create_memory("gru", dim=4), TEXT),
        "GRU reads vectors, and states are stored by",
    ),
    "no memory": (lambda s: s.longest(nn.GRU(4, 4), TEXT), "a GRU has no state to store; give a mnesis.Memory"),
    "rows": (lambda s: s.read(model(), torch.zeros(2, 3).long()), r"tokens have the shape \[2, 3\] where one text has"),
    "text": (lambda s: s.read(model(), "Mary"), "tokens are a str, no row of token ids; tokenize the text first"),
    "floats": (
        lambda s: s.longest(model(), torch.zeros(3)),
        "tokens are torch.float32 where token ids are whole numbers",
    ),
    "halves": (lambda s: s.longest(model(), [0.5]), "tokens are torch.float32 where token ids are whole numbers"),
    "none": (lambda s: s.read(model(), []), "reads at least one row and one unit"),
    "another's": (lambda s: s.read(model(), [1, 13]), r"reads token ids of 0\.\.12, and x holds 13"),
}


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(("call", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(store, call, sentence) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        call(store)
    assert "\n" not in str(refused.value)
    assert not store.folder.exists()
