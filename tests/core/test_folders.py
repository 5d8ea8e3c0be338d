"""Folders with one writer at a time, marks, and what kills leave."""

import errno
import multiprocessing
import os
import threading

import pytest

from mnesis.core.files import atomic_path, differences, shown_differences, told, write_json
from mnesis.core.folders import MARK, alone, clear_leftovers, is_ours, leftovers, require_ours, write_page


def test_the_second_writer_is_refused_and_nothing_stays(tmp_path):
    folder = tmp_path / "a" / "b"
    with alone(folder):
        assert (folder / ".lock").is_file()
        with (
            pytest.raises(ValueError, match=r"another process is writing in .*b; wait until it is done"),
            alone(folder),
        ):
            pass
        with alone(folder, name="pages"):  # another lock
            pass
        assert (folder / ".lock").is_file()
    assert list(tmp_path.iterdir()) == []
    with alone(folder):
        (folder / "kept").touch()
    assert [path.name for path in folder.iterdir()] == ["kept"]


def _add(folder, times):
    for _ in range(times):
        with alone(folder, wait=60):
            file = folder / "count"
            file.write_text(str(int(file.read_text()) + 1))


def test_a_lock_that_is_removed_still_keeps_out(tmp_path):
    """Each holder removes the lock's file while others wait for it; none may enter beside another."""
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add, args=(tmp_path, 25)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "count").read_text() == "100"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_who_waits_comes_next(tmp_path):
    order, entered = [], threading.Event()

    def second():
        entered.wait()
        with alone(tmp_path, wait=60):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with alone(tmp_path):
        entered.set()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_what_kills_left_is_cleared_and_nothing_else(tmp_path):
    left = [".a.json.k3_9xq2z", ".a.json.abcdefgh"]
    others = [".a.json.short", ".b.json.abcdefgh", ".a.json.ABCDEFGH", "a.json.abcdefgh", ".a.json"]
    (tmp_path / left[0]).write_text("half")
    (tmp_path / left[1]).mkdir()
    (tmp_path / left[1] / ".tmpXYZ").write_text("half")
    for name in others:
        (tmp_path / name).write_text("mine")
    assert {path.name for path in leftovers(tmp_path / "a.json")} == set(left)
    with alone(tmp_path, "a.json"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == set(others)
    clear_leftovers(tmp_path / "absent" / "a.json")


def test_a_killed_write_leaves_what_the_next_clears(tmp_path):
    child = os.fork()
    if not child:
        with atomic_path(tmp_path / "a.json") as path:
            path.write_text("half")
            os._exit(0)
    os.waitpid(child, 0)
    assert len(leftovers(tmp_path / "a.json")) == 1
    clear_leftovers(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.html", "a.svg", "a.md"])
def test_pages_carry_a_mark(tmp_path, name):
    path = tmp_path / name
    path.write_text("somebody's")
    with pytest.raises(ValueError, match=f"{name} is there and was not written by this command; move it away"):
        write_page(path, "ours", mend="move it away")
    assert path.read_text() == "somebody's"
    write_page(path, "ours", mend="", overwrite=True)
    assert path.read_text() == f"ours\n{MARK}\n"
    write_page(path, "ours again", mend="")
    assert is_ours(path)
    assert not is_ours(tmp_path / "absent")


def test_old_pages_are_known_without_a_mark(tmp_path):
    (tmp_path / "a.html").write_text("<style>:root { --ink: #1b1b1e; --series-0: #0072b2; }</style>")
    (tmp_path / "a.md").write_text("## copy\n\n| memory | % | bits | held | state B | bits/B | weights |\n")
    (tmp_path / "a.svg").write_text("<svg><style>:root { --series-0: #0072b2; }</style></svg>")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    require_ours([tmp_path / name for name in ("a.html", "a.md", "a.svg", "a.png", "absent")], mend="")
    assert not is_ours(tmp_path / "b.png"), "there is no drawing of ours beside it"


def test_json_is_known_by_its_shape(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    assert is_ours(tmp_path / "a.json", dict[str, int])
    assert not is_ours(tmp_path / "a.json", dict[str, str])
    (tmp_path / "a.json").write_text("{")
    assert not is_ours(tmp_path / "a.json", dict[str, int])


def _write_half(path, error):
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_sentence(tmp_path, number):
    for error in (OSError(number, "x"), RuntimeError(f"I/O error: x (os error {number})")):
        with pytest.raises(ValueError, match=r"^cannot write a: .*; make room, and do the same again$"), told("a"):
            raise error
        with pytest.raises(ValueError, match=r"a: .*make room"):
            _write_half(tmp_path / "a", error)
    assert list(tmp_path.iterdir()) == []


def test_differences_are_told():
    assert list(differences({"a": {"b": 1, "c": [1, 2]}}, {"a": {"b": 2, "c": [1, 3]}})) == [
        "a.b is 1 there and 2 here",
        "a.c[1] is 2 there and 3 here",
    ]
    many = shown_differences(dict.fromkeys("abcde", 1), dict.fromkeys("abcde", 2))
    assert many == "a is 1 there and 2 here; b is 1 there and 2 here; c is 1 there and 2 here; and 2 more"
    assert shown_differences({"a": None}, {}) == ""
