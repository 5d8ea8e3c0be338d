"""Files come whole and as published, or not at all; what stands there is checked; reasons are the right ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import time

import pytest

from mnesis.tasks.files import fetching
from mnesis.tasks.files.fetching import File, fetch
from tests.loopback import Loopback

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def loopback():
    with Loopback() as server:
        yield server


def published(loopback: Loopback, name: str = "a", content: bytes = CONTENT) -> File:
    loopback.content[name] = content
    return File(name, f"{loopback.address}/{name}", hashlib.sha256(content).hexdigest())


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_once(loopback, tmp_path) -> None:
    file = published(loopback)
    for _ in range(2):
        fetch([file], tmp_path / "own", progress=False)
        assert (tmp_path / "own/a").read_bytes() == CONTENT
    assert loopback.asked == ["a"]
    assert names(tmp_path / "own") == ["a"]


def test_what_stands_there_is_checked(loopback, tmp_path) -> None:
    """Neither four bytes in place of a file nor an empty file unpacked from it are taken for it."""
    packed = gzip.compress(CONTENT)
    file = published(loopback, "a.gz", packed)._replace(content=hashlib.sha256(CONTENT).hexdigest())
    for name, content in (("a.gz", packed[:4]), ("a", b""), ("a", CONTENT[:-1])):
        own = tmp_path / f"{name}{len(content)}"
        own.mkdir()
        (own / name).write_bytes(content)
        with pytest.raises(OSError, match=rf"/{name} is not the file that was published \(its sha256 .*remove it, or"):
            fetch([file], own, progress=False)
        assert (own / name).read_bytes() == content, "nobody else's file is removed"
    assert not loopback.asked
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole/a").write_bytes(CONTENT)
    fetch([file], tmp_path / "whole", progress=False)
    assert (names(tmp_path / "whole"), loopback.asked) == (["a"], [])


def test_an_unpacked_file_that_cannot_be_checked_does_not_count(loopback, tmp_path) -> None:
    file = published(loopback, "a.gz", gzip.compress(CONTENT))
    (tmp_path / "a").write_bytes(b"")
    fetch([file], tmp_path, progress=False)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == CONTENT


def test_a_gzipped_file_counts_by_its_content(loopback, tmp_path) -> None:
    file = published(loopback)
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT, 1))
    fetch([file], tmp_path, progress=False)
    assert not loopback.asked
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT)[:-9])
    with pytest.raises(ValueError, match=r"a\.gz is not whole .*; get the file again"):
        fetch([file], tmp_path, progress=False)


def test_a_fifo_that_bears_the_name_is_not_waited_for(loopback, tmp_path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(ValueError, match=r"a is no file, but a device, a FIFO or a socket; remove it"):
        fetch([published(loopback)], tmp_path, progress=False)


def short(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[:1000])


def leading(target: str):
    def answer(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.end_headers()

    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (short, r"/a broke off after 1,000 of 1,024,000 bytes; try again$"),
        (lambda handler: handler.send_error(500, "Broken"), r"/a answers 500 Broken; put the file into .*own yourself"),
        (lambda handler: handler.send_error(404), r"/a answers 404 Not Found; put the file into"),
        (
            leading("file:///etc/passwd"),
            r"/a leads to file:///etc/passwd, which is no address of the web; put",
        ),
        (leading("ftp://127.0.0.1/a"), r"/a leads to ftp://127.0.0.1/a, which is no address of the web; put"),
        (leading("/a"), r"/a answers 302 .*infinite loop"),
        (lambda handler: handler.wfile.write(b"no answer at all"), r"/a cannot be reached \(.*\); put the file into"),
    ],
    ids=["short", "500", "404", "file", "ftp", "round", "babble"],
)
def test_reasons_are_the_right_ones(loopback, tmp_path, answer, message) -> None:
    file = published(loopback)
    loopback.answers["a"] = answer
    with pytest.raises(OSError, match=message) as refused:
        fetch([file], tmp_path / "own", progress=False)
    assert refused.value.errno is None
    assert "\n" not in str(refused.value)
    assert names(tmp_path / "own") == []


def test_another_file_never_lands(loopback, tmp_path) -> None:
    file = published(loopback)
    loopback.content["a"] = CONTENT + b"!"
    with pytest.raises(OSError, match=r"/a is not the file that was published \(its sha256 .*; try again later, or"):
        fetch([file], tmp_path, progress=False)
    assert names(tmp_path) == []


def test_a_redirection_on_the_web_is_followed(loopback, tmp_path) -> None:
    file = published(loopback)
    loopback.content["b"] = CONTENT
    loopback.answers["a"] = leading("/b")
    fetch([file], tmp_path, progress=False)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_nobody_there(tmp_path) -> None:
    with Loopback() as server:
        file = published(server)
    with pytest.raises(OSError, match=r"/a cannot be reached \(.*refused.*\); put the file into"):
        fetch([file], tmp_path, progress=False)


def test_folders_that_cannot_be_written(loopback, tmp_path, monkeypatch) -> None:
    """The folder is blamed, not the address."""
    (tmp_path / "file").write_text("")
    for own in (tmp_path / "file", tmp_path / "file" / "inner"):
        with pytest.raises(ValueError, match=r"cannot write .*file.*; choose a folder that you may write to"):
            fetch([published(loopback)], own, progress=False)
    assert not loopback.asked

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching.os, "fsync", full)
    with pytest.raises(ValueError, match=r"cannot write .*/a: the disk is full; make room"):
        fetch([published(loopback)], tmp_path / "own", progress=False)
    assert names(tmp_path / "own") == []


def test_a_killed_fetch_leaves_nothing_in_place_and_the_next_one_clears(loopback, tmp_path) -> None:
    file = published(loopback)
    child = os.fork()
    if not child:
        try:
            fetch([file], tmp_path, progress=False)
        finally:
            os._exit(1)
    ended: list[int] = []

    def killing(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[: len(CONTENT) // 2])
        handler.wfile.flush()
        for _ in range(3000):
            if (tmp_path / ".a.part").exists() and (tmp_path / ".a.part").stat().st_size:
                break
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)

    loopback.answers["a"] = killing
    ended.append(os.waitpid(child, 0)[1])
    assert ended == [signal.SIGKILL]
    assert "a" not in names(tmp_path)
    assert ".a.part" in names(tmp_path)
    del loopback.answers["a"]
    fetch([file], tmp_path, progress=False)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_an_interrupted_fetch_leaves_nothing(loopback, tmp_path, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    file = published(loopback)
    with monkeypatch.context() as patch:
        patch.setattr(fetching.os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch([file], tmp_path, progress=False)
    assert names(tmp_path) == []


def test_two_fetches_of_one_folder(loopback, tmp_path) -> None:
    with (
        fetching._alone(tmp_path),
        pytest.raises(ValueError, match=r"another process is at work in .*; wait"),
    ):
        fetch([published(loopback)], tmp_path, progress=False)
