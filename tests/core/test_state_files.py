"""What a state file may hold: a closed list of classes, all leaves in their order, and nothing else."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import struct
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import mnesis
from mnesis.core import state_classes
from mnesis.core.catalog import list_memories
from mnesis.core.laws import check
from mnesis.core.memory import Memory
from mnesis.core.state import leaves, load_state, register, save_state, structure
from mnesis.core.state_classes import declared_by, name_of


class Own(NamedTuple):
    sum: Tensor


class Inner(NamedTuple):
    hidden: Tensor


class Outer(NamedTuple):
    inner: Inner


class Undeclared(NamedTuple):
    sum: Tensor


class Registered(NamedTuple):
    sum: Tensor


class Total(Memory[Own]):
    """Sums what it reads."""

    state: type = Own

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.dim = dim

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return self.state(torch.zeros(batch, 4, device=device, dtype=dtype))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        y = state[0][:, None] + x.cumsum(1)
        return y, self.state(y[:, -1].clone())


class Nested(Total):
    """Its state holds another, which nothing declares."""

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return Outer(Inner(torch.zeros(batch, 4, device=device, dtype=dtype)))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        y = state.inner.hidden[:, None] + x.cumsum(1)
        return y, Outer(Inner(y[:, -1].clone()))


def written(path, tree: Any, tensors: dict[str, Tensor] | None = None, **metadata: str):
    """A file with any structure."""
    structured = {} if tree is None else {"structure": tree if isinstance(tree, str) else json.dumps(tree)}
    save_file(
        {"0000": torch.ones(2, 4)} if tensors is None else tensors,
        path,
        {"mnesis_state": "1", **structured, **metadata},
    )
    return path


def all_memories() -> list[Memory]:
    """An instance of every memory of the package, networks and generative ones among them."""
    from mnesis.generative.sequence import BankReader
    from mnesis.measure.bench.baselines import CausalAttention, TorchLSTM
    from mnesis.memories.linear.gateloop import SimpleGateLoop
    from mnesis.nets import Block, Classifier, LanguageModel, Stack
    from mnesis.nets.state_collapse import Remedied, Scaled

    sized = {"dim": 8, "depth": 1}
    memories = [mnesis.create_memory(card.name, **card.example) for card in list_memories()]
    return [
        *memories, BankReader(8, dim=8), TorchLSTM(8), CausalAttention(64), SimpleGateLoop(8),
        Block(mnesis.create_memory("gru", dim=8)), Stack(**sized), LanguageModel(8, **sized), Classifier(3, 2, **sized),
        Remedied(mnesis.create_memory("gla", dim=8, heads=2), Scaled(0.9, 0.9)),
    ]  # fmt: skip


def listed() -> set[str]:
    return {f"{module}:{name}" for module, names in state_classes.STATES.items() for name in names}


def named(tree: Any) -> set[str]:
    """Classes of a structure."""
    if tree is None:
        return set()
    return {tree[0]} - {""} | {name for child in tree[1:] for name in named(child)}


def test_the_table_has_every_state_class_that_memories_of_the_package_return() -> None:
    found = set()
    for memory in all_memories():
        found |= named(structure(memory.initial_state(1, device=torch.device("cpu"), dtype=torch.float32)))
    assert found - listed() == set()
    assert {name for name in listed() if name_of(state_classes.find(name)) != name} == set()


def test_the_table_has_every_class_that_a_memory_of_the_package_declares() -> None:
    folder, declared = Path(mnesis.__file__).parent, set()
    for path in sorted(folder.rglob("*.py")):
        if not re.search(r"^class .*Memory.*\[", path.read_text(encoding="utf-8"), re.MULTILINE):
            continue
        module = import_module("mnesis." + ".".join(path.relative_to(folder).with_suffix("").parts))
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, Memory) and cls.__module__ == module.__name__:
                declared |= {name_of(found) for found in declared_by(cls)}
    assert len(declared) > 40
    assert declared - listed() == set()


def test_a_file_cannot_have_a_module_imported(tmp_path) -> None:
    for name in (
        "mnesis.cli.__main__:X",
        "mnesis.cli.bench:Bench",
        "antigravity:X",
        "torch:_inductor.X",
        "os:stat_result",
    ):
        with pytest.raises(ValueError, match="needs the state class"):
            load_state(written(tmp_path / "s", [name, None]))
    assert {"mnesis.cli.__main__", "antigravity", "torch._inductor.X"} & set(sys.modules) == set()


def test_a_file_cannot_end_the_process(tmp_path) -> None:
    written(tmp_path / "s", ["mnesis.cli.__main__:X", None])
    program = f"""
import mnesis, sys
sys.argv = ["service", "fetch", "--help"]
try:
    mnesis.load_state({str(tmp_path / "s")!r})
except ValueError:
    print("still here")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert said.stdout == "still here\n"


def test_a_named_tuple_of_the_program_that_no_memory_returned_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="needs the state class inspect:FullArgSpec"):
        load_state(written(tmp_path / "s", ["inspect:FullArgSpec", *[None] * 7]))
    with pytest.raises(ValueError, match=r"Undeclared, which no memory of this program returns; .*state.register"):
        load_state(written(tmp_path / "s", [name_of(Undeclared), None]))


def test_a_class_that_a_memory_declares_needs_no_registration(tmp_path) -> None:
    assert load_state(written(tmp_path / "s", [name_of(Own), None]))[0].tolist() == [[1] * 4] * 2


def test_classes_inside_a_state_are_known_once_a_memory_has_returned_them(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(state_classes, "_NOTED", {})  # whatever other tests have made known
    monkeypatch.setattr(state_classes, "_LIVING", WeakSet())
    tree = [name_of(Outer), [name_of(Inner), None]]
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(written(tmp_path / "s", tree))
    _, state = Nested()(torch.randn(2, 3, 4))
    save_state(state, tmp_path / "kept")
    assert type(load_state(tmp_path / "kept").inner) is Inner
    assert type(load_state(written(tmp_path / "s", tree)).inner) is Inner


class Silent(NamedTuple):
    sum: Tensor


class Plain(Memory):
    """Says nowhere what its state is."""

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.dim = dim

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        return Silent(torch.zeros(batch, 4, device=device, dtype=dtype))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        y = state.sum[:, None] + x.cumsum(1)
        return y, Silent(y[:, -1].clone())


def test_a_memory_that_lives_is_asked_for_its_classes(tmp_path) -> None:
    path = written(tmp_path / "s", [name_of(Silent), None])
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(path)
    memory = Plain()  # which has read nothing yet, as where a program resumes
    state = load_state(path)
    assert type(state) is Silent
    assert memory(torch.ones(2, 3, 4), state)[0][:, -1].tolist() == [[4] * 4] * 2


def test_a_registered_class_is_known(tmp_path) -> None:
    path = written(tmp_path / "s", [name_of(Registered), None])
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(path)
    assert register(Registered) is Registered
    assert type(load_state(path)) is Registered
    with pytest.raises(ValueError, match="is no NamedTuple class"):
        register(dict)


def test_a_class_that_has_moved_opens_under_its_old_name(tmp_path, monkeypatch) -> None:
    path = written(tmp_path / "s", ["mnesis.memories.old:Hidden", None])
    with pytest.raises(ValueError, match="needs the state class"):
        load_state(path)
    monkeypatch.setitem(state_classes.MOVED, "mnesis.memories.old:Hidden", "mnesis.memories.recurrent.gru:GRUState")
    assert type(load_state(path)).__name__ == "GRUState"


GRU = "mnesis.memories.recurrent.gru:GRUState"
SHAPELESS = {
    "no structure": (None, "holds no mnesis state"),
    "half a list": ("[", "is not whole JSON"),
    "a number": ("5", "5 in its structure"),
    "an empty list": ("[]", r"\[\] in its structure"),
    "an empty mapping": ("{}", "{} in its structure"),
    "a class that is a number": ("[5, null, null]", r"\[5, None, None\] in its structure"),
    "a text": ('"x"', "'x' in its structure"),
    "true": ("[true]", r"\[True\] in its structure"),
    "nesting of 100,000": ("[" * 100_000, "nested deeper than the 64 levels"),
    "nesting of 900": ('["",' * 900 + "null" + "]" * 900, "nested 900 levels|nested deeper"),
    "nesting of 65 whole": ('["",' * 65 + "null" + "]" * 65, "nested 65 levels|nested deeper"),
    "no parts": (f'["{GRU}"]', "0 parts of a GRUState, which is made of 1"),
    "a part too many": (f'["{GRU}", null, null]', "2 parts of a GRUState, which is made of 1"),
    "fewer tensors": ('["", null, null]', r"fewer tensors than its structure names \(1 and 2\)"),
    "more tensors": ('[""]', r"more tensors than its structure names \(1 and 0\)"),
    "NaN": ("NaN", "is no JSON number"),
    "a number without end": ("1" * 6000, "is not whole JSON"),
}


@pytest.mark.parametrize("case", SHAPELESS)
def test_a_structure_that_is_none_gets_one_sentence_with_the_file(tmp_path, case) -> None:
    tree, sentence = SHAPELESS[case]
    with pytest.raises(ValueError, match=sentence) as refusal:
        load_state(written(tmp_path / "state.st", tree))
    assert "\n" not in str(refusal.value)
    assert "state.st" in str(refusal.value)


@pytest.mark.parametrize("version", ["abc", "-5", "0", "", "1.0", "²", "1" * 5000])
def test_a_format_that_is_no_number_is_refused(tmp_path, version) -> None:
    with pytest.raises(ValueError, match=r"state.st has state format .*, which is no number from 1 on"):
        load_state(written(tmp_path / "state.st", [GRU, None], mnesis_state=version))


@pytest.mark.parametrize(
    "tensors",
    [{"0000": torch.ones(1), "1": torch.ones(1), "x": torch.ones(1)}, {"1": torch.ones(1)}, {"-1": torch.ones(1)}],
)
def test_tensors_without_numbers_are_refused(tmp_path, tensors) -> None:
    tree = ["", *[None] * len(tensors)]
    with pytest.raises(ValueError, match="not numbered from 0 on"):
        load_state(written(tmp_path / "s", tree, tensors))


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool, torch.complex64])
def test_whole_numbers_in_a_state_of_floating_point_are_refused(tmp_path, dtype) -> None:
    with pytest.raises(ValueError, match=f"holds {str(dtype)[6:]} as hidden of a GRUState, which never does"):
        load_state(written(tmp_path / "s", [GRU, None], {"0": torch.ones(2, 4).to(dtype)}))


def test_narrow_floats_that_no_state_has_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="F8_E5M2"):
        load_state(written(tmp_path / "s", [GRU, None], {"0": torch.ones(2, 4).to(torch.float8_e5m2)}))


def with_header(path, header: bytes, data: bytes = b""):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def entry(shape: list[int], end: int, dtype: str = "F32") -> bytes:
    return json.dumps({"0": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}).encode()


@pytest.mark.parametrize(
    ("header", "data", "sentence"),
    [
        (b"{", b"", "a header of 1 bytes"),
        (b"{}", b"rest", "0 bytes of tensors are promised and 4 are there"),
        (b"[" * 5000, b"", "nested deeper|whole JSON"),
        (b"\xff\xfe{}", b"", "not UTF-8"),
        (b"[1, 2]", b"", r"\[1, 2\] is not a mapping"),
        (b'{"__metadata__": {"a": 1}}', b"", "__metadata__.a 1 is not text"),
        (b'{"__metadata__": 5}', b"", "5 is not a mapping"),
        (b'{"0": 5}', b"", "0 5 is not a mapping"),
        (entry([1], 4, "F99"), b"0000", "F99"),
        (entry([-1], 4), b"0000", "-1 is not a whole number of at least 0"),
        (entry([2], 4), b"0000", "of 8 bytes stands at 0 to 4"),
        (entry([1], 8), b"00000000", "of 4 bytes stands at 0 to 8"),
        (entry([10**30], 4), b"0000", "has the shape"),
        (entry([0, 2**62], 0), b"", "has the shape"),
        (entry([1] * 200, 4), b"0000", "has the shape"),
        (entry([2], 2, "BOOL"), b"\x01\x07", "neither true nor false"),
    ],
)
def test_a_damaged_header_gets_one_sentence_with_the_file(tmp_path, header, data, sentence) -> None:
    path = with_header(tmp_path / "state.st", header, data)
    if header[:1] == b"{" and header.endswith(b"}") and b"__metadata__" not in header:
        described = json.dumps({"mnesis_state": "1", "structure": "null"}).encode()
        path = with_header(
            path, b'{"__metadata__": ' + described + (b", " if header != b"{}" else b"") + header[1:], data
        )
    with pytest.raises(ValueError, match=sentence) as refusal:
        load_state(path)
    assert "\n" not in str(refusal.value)
    assert "state.st" in str(refusal.value)


@pytest.mark.parametrize("length", [0, 2**62, 2**64 - 1, 10**9, 100])
def test_a_header_longer_than_the_file_is_not_read(tmp_path, length) -> None:
    (tmp_path / "s").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(ValueError, match=r"a header of .* bytes in a file of 10"):
        load_state(tmp_path / "s")


def test_a_header_of_many_megabytes_is_not_read(tmp_path) -> None:
    with open(tmp_path / "s", "wb") as file:
        file.write(struct.pack("<Q", 2**30))
        file.truncate(2**31)  # takes no room
    with pytest.raises(ValueError, match="where ours have at most"):
        load_state(tmp_path / "s")


def test_places_that_are_no_files_get_one_sentence(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, sentence in [(tmp_path, "is a folder and no file"), (tmp_path / "pipe", "is a device or pipe"),
                            ("/dev/zero", "is a device or pipe")]:  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            load_state(place)
    with pytest.raises(FileNotFoundError, match="no state file at"):
        load_state(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="no state file at"):
        load_state(tmp_path / "file" / "below")
    with pytest.raises(ValueError, match=r"cannot write .*: Is a directory; give another path"):
        save_state((torch.ones(1),), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]


def test_a_path_that_is_not_utf_8_keeps_a_state(tmp_path) -> None:
    path = os.fsencode(tmp_path) + b"/mary\xff.st"
    save_state((torch.arange(3),), os.fsdecode(path))
    assert load_state(os.fsdecode(path))[0].tolist() == [0, 1, 2]
    with open(path, "r+b") as file:
        file.truncate(40)
    with pytest.raises(ValueError, match=r"mary\\xff.st is not a whole"):
        load_state(os.fsdecode(path))


@pytest.mark.usefixtures("without_type_checks")
def test_leaves_come_back_in_their_order_however_many(tmp_path) -> None:
    state = tuple(torch.full((1, 1), float(index)) for index in range(10_050))
    save_state(state, tmp_path / "s")
    assert [float(leaf) for leaf in load_state(tmp_path / "s")] == list(range(10_050))


ODD = {
    "expanded": torch.arange(3.0)[None].expand(4, 3),
    "transposed": torch.arange(6.0).view(2, 3).T,
    "strided": torch.arange(8.0).view(2, 4)[:, ::2],
    "a stride on the last axis": torch.stack([torch.arange(6.0).view(2, 3)] * 2, -1)[..., 0],
    "part of a larger one": torch.arange(60.0).view(10, 6)[3:5, 2:],
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "with a gradient": torch.ones(2, 3, requires_grad=True) * 2,
    "empty": torch.zeros(2, 0, 3),
    "of whole numbers": torch.tensor([2**40, -1]),
    "of flags": torch.tensor([[True, False]]),
    "bfloat16": torch.randn(2, 3).bfloat16(),
    "complex": torch.randn(2, 3, dtype=torch.complex64),
    "double complex": torch.randn(2, 3, dtype=torch.complex128),
    "conjugate": torch.randn(2, 3, dtype=torch.complex64).conj(),
    "double conjugate": torch.randn(2, 3, dtype=torch.complex128).conj(),
    "negative view": torch.randn(2, 3, dtype=torch.complex64).conj().imag,
    "not finite": torch.tensor([[-torch.inf, torch.nan, torch.inf]]),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_leaf_of_any_layout_comes_back_equal(tmp_path, kind) -> None:
    state = (torch.ones(1), (ODD[kind],), Own(ODD[kind]))
    save_state(state, tmp_path / "s")
    again = load_state(tmp_path / "s")
    assert structure(again) == structure(state)
    for ours, theirs in zip(leaves(state), leaves(again), strict=True):
        assert theirs.dtype == ours.dtype
        assert theirs.is_contiguous()
        assert torch.equal(theirs.nan_to_num(1e9), ours.detach().nan_to_num(1e9))


def test_leaves_that_share_memory_are_kept_once_each(tmp_path) -> None:
    whole = torch.randn(2, 6)
    save_state((whole, whole, whole[:, :3]), tmp_path / "s")
    first, second, third = load_state(tmp_path / "s")
    assert torch.equal(first, whole)
    assert torch.equal(second, whole)
    assert torch.equal(third, whole[:, :3])
    assert first.data_ptr() != second.data_ptr()


@pytest.mark.parametrize(
    ("state", "about", "sentence"),
    [
        ((torch.ones(1),), {"structure": "null"}, "about has the key 'structure', which the format has for itself"),
        ((torch.ones(1),), {"mnesis_state": "2"}, "about has the key 'mnesis_state'"),
        ((torch.ones(1),), {"units": 5}, "about.units 5 is not text; keep text"),
        ((torch.ones(1, device="meta"),), {}, "on the meta device"),
        ((torch.ones(1).to(torch.float8_e5m2),), {}, "float8_e5m2"),
        ([torch.ones(1)], {}, "a state holds tensors, NamedTuples and tuples, not list"),
        ("state", {}, "a state holds tensors, NamedTuples and tuples, not str"),
        (({"a": torch.ones(1)},), {}, "a state holds tensors, NamedTuples and tuples, not dict"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_what_a_file_cannot_keep_is_refused_before_one_is_there(tmp_path, state, about, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        save_state(state, tmp_path / "folder" / "s", about=about)
    assert list(tmp_path.iterdir()) == []


def test_a_state_nested_too_deeply_is_refused_on_saving_too(tmp_path) -> None:
    state: Any = torch.ones(1)
    for _ in range(70):
        state = (state,)
    with pytest.raises(ValueError, match="nested deeper than the 64 levels"):
        save_state(state, tmp_path / "s")


def test_a_file_of_other_tools_reads_what_is_written(tmp_path) -> None:
    save_state(Own(torch.arange(4.0)[None]), tmp_path / "s")
    assert load_file(tmp_path / "s")["0000"].tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_the_process_gives(tmp_path, mask, mode) -> None:
    before = os.umask(mask)
    try:
        save_state((torch.ones(1),), tmp_path / "s")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_replaced_file_keeps_its_mode(tmp_path, mode) -> None:
    path = tmp_path / "s"
    save_state((torch.ones(1),), path)
    path.chmod(mode)
    save_state((torch.zeros(1),), path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert load_state(path)[0].tolist() == [0]


def test_a_link_goes_on_to_point_where_it_did(tmp_path) -> None:
    (tmp_path / "kept").mkdir()
    link = tmp_path / "latest"
    link.symlink_to(Path("kept") / "mary")
    save_state((torch.ones(1),), link)
    save_state((torch.zeros(1),), link)
    assert link.is_symlink()
    assert load_state(tmp_path / "kept" / "mary")[0].tolist() == [0]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "latest", "mary"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "the disk is full",
        ),
        (SafetensorError("I/O error: File too large (os error 27)"), "larger than a file may be"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "your quota is used up"),
    ],
)
def test_a_disk_that_fills_is_one_sentence_and_the_old_file_stays(tmp_path, monkeypatch, fault, sentence) -> None:
    path = tmp_path / "s"
    save_state((torch.ones(2),), path)

    def full(*arguments: Any, **options: Any) -> None:
        raise fault

    monkeypatch.setattr("mnesis.core.tensors.save_file", full)
    with pytest.raises(ValueError, match=f"cannot write .*: .*{sentence}.*; make room") as refused:
        save_state((torch.zeros(2),), path)
    assert "\n" not in str(refused.value)
    assert load_state(path)[0].tolist() == [1, 1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["s"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match=r"cannot write .*; choose a folder that you may write to"):
        save_state((torch.ones(1),), tmp_path / "file" / "s")


def test_a_class_out_of_a_file_has_one_name_in_every_process(tmp_path) -> None:
    (tmp_path / "own.py").write_text("""
from typing import NamedTuple
import torch, mnesis
class MyState(NamedTuple):
    sum: torch.Tensor
class Mine(mnesis.Memory[MyState]):
    def __init__(self, dim: int = 3) -> None:
        super().__init__()
        self.dim = dim
    def initial_state(self, batch, *, device, dtype): return MyState(torch.ones(batch, 3, device=device, dtype=dtype))
    def scan(self, x, state, phase=0): return x, MyState(state.sum + x.sum(1))
""")
    name, path = f"{tmp_path / 'own.py'}:Mine", tmp_path / "s"
    program = f"""
import mnesis, torch
_, state = mnesis.create_memory({name!r})(torch.ones(1, 2, 3))
mnesis.save_state(state, {str(path)!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    mnesis.create_memory(name)
    assert load_state(path).sum.tolist() == [[3, 3, 3]]


class Turning(NamedTuple):
    phase: Tensor


class Turner(Memory):
    """A complex state, of a class that is told nowhere."""

    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.dim = dim

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Any:
        wide = torch.complex128 if dtype == torch.float64 else torch.complex64
        return Turning(torch.ones(batch, 4, device=device, dtype=wide))

    def scan(self, x: Tensor, state: Any, phase: int = 0) -> tuple[Tensor, Any]:
        turned = state.phase[:, None] * torch.polar(torch.ones_like(x), x).cumprod(1)
        return turned.real, Turning(turned[:, -1].clone())


@pytest.mark.parametrize("memory", [Turner, Nested])
def test_a_strangers_memory_passes_the_law_of_saving_without_registration(memory) -> None:
    gaps = list(check(memory(), laws=["saved"], dtypes=[torch.float64]))
    assert len(gaps) == 1
    assert [gap for gap in gaps if not gap.holds] == []


def test_a_pipe_is_not_replaced_by_a_file(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"cannot write .*pipe: something stands there that is no file of data; give"):
        mnesis.save_state(mnesis.create_memory("gru", dim=8)(torch.randn(1, 3, 8))[1], tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
