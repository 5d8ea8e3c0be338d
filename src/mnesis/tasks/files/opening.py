"""Data files are opened here: files of strangers, which may be damaged, hostile, or no files at all.

Devices, FIFOs and folders are refused before they are opened. Packed files are unpacked as they are read, as far as
their header (or a stated limit) promises and no further. Whatever is wrong with a file is one ValueError that says
which file, what, and what mends it. Nothing is ever written, and nothing that is read can run.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from tarfile import BLOCKSIZE

import numpy as np
from jaxtyping import UInt8

AT_ONCE = 2**30
"""Bytes that are read of one file, unpacked or as it stands."""
UNPACKED = 2**27
"""Bytes that a packed file unpacks to if it does not promise how many; more has to be unpacked by its owner."""
IN_ALL = 2**29
"""Bytes that are unpacked of one archive."""
PIECE = 2**12
"""Bytes unpacked in one go: of bz2 and LZMA as many packed ones, of which hostile ones make tens of megabytes."""
ENTRIES = 2**16
"""Files in a tar archive, whose headers may be packed too."""
LONGEST_NAME = 2**12
"""Bytes of an extended header of a tar archive."""
AGAIN = "get the file again"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SHOWN = 300
_NO_CONTENT = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
_WITHOUT_NAME = (tarfile.DIRTYPE, tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE)
"""Headers in a tar archive that are of no file."""


def shown(value: object) -> str:
    """A name or value as a sentence can hold it: on one line, and not endless."""
    text = str(value)
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 3 :]}"


@contextmanager
def damage(what: str, mend: str = AGAIN) -> Iterator[None]:
    """Make one sentence of whatever a library raises while it reads damaged data.

    Only calls of libraries belong inside: archives and pictures are refused with dozens of kinds of exceptions
    (BadZipFile, zlib.error, struct.error, RuntimeError for what is encrypted, SyntaxError for a broken chunk, ...).
    """
    try:
        yield
    except Exception as error:
        reason = shown(" ".join(str(error).split()) or type(error).__name__)
        raise ValueError(f"{what} ({reason}); {mend}") from None


def size_of(path: Path, mend: str) -> int:
    """Bytes of a regular file, which is not opened.

    Raises:
        ValueError: no file there, or something else than a file.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{shown(path)} is no file; {mend}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f"{shown(path)} cannot be read ({reason}); {mend}") from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, a FIFO or a socket"
        raise ValueError(f"{shown(path)} is no file, but {kind}; {mend}")
    return status.st_size


class Reading:
    """An opened file, unpacked as it is read."""

    def __init__(self, file: BufferedIOBase, name: str, packed: bool) -> None:
        self.name, self.packed, self._file = name, packed, file

    def head(self, count: int) -> bytes:
        """The next ``count`` bytes, or fewer where the file ends."""
        with damage(f"{self.name} is not whole"):
            return self._file.read(count)

    def promised(self, count: int, what: str) -> UInt8[np.ndarray, " n"]:
        """The last ``count`` bytes.

        Raises:
            ValueError: the file holds fewer or more, or the promise is larger than any file that is read.
        """
        if count > AT_ONCE:
            raise ValueError(f"{self.name} promises {count:,} bytes of {what}, and {AT_ONCE:,} are read; {AGAIN}")
        content, filled = np.empty(count, np.uint8), 0  # no page of which is there before it is written
        with damage(f"{self.name} is not whole"):
            while filled < count:
                read = self._file.readinto(content.data[filled : filled + 2**20])
                if not read:
                    break
                filled += read
            more = bool(self._file.read(1))
        if more or filled < count:
            raise ValueError(
                f"{self.name} promises {count:,} bytes of {what} and holds {'more' if more else f'{filled:,}'}; {AGAIN}"
            )
        return content

    def pieces(self, most: int = UNPACKED) -> Iterator[bytes]:
        """All that is left, ``most`` bytes of what is packed."""
        most, count = most if self.packed else AT_ONCE, 0
        while True:
            with damage(f"{self.name} is not whole"):
                piece = self._file.read(2**20)
            if not piece:
                return
            if (count := count + len(piece)) > most:
                raise ValueError(
                    f"{self.name} holds more than {most:,} bytes; unpack it yourself, or give a smaller one"
                )
            yield piece

    def rest(self, most: int = UNPACKED) -> bytes:
        """The same, in one piece."""
        return b"".join(self.pieces(most))


@contextmanager
def opened(path: Path, mend: str = "give the path of one") -> Iterator[Reading]:
    """A file to read, which is unpacked where it is gzipped.

    Raises:
        ValueError: no file that can be read.
    """
    size, name = size_of(path, mend), shown(path)
    with damage(f"{name} cannot be opened", mend):
        file = path.open("rb")
    with file:
        with damage(f"{name} cannot be read", mend):
            magic = file.read(2)
            file.seek(0)
        if magic == b"\x1f\x8b":
            yield Reading(gzip.GzipFile(fileobj=file), name, packed=True)
        elif size > AT_ONCE:
            raise ValueError(f"{name} has {size:,} bytes, and {AT_ONCE:,} are read; give a part of it")
        else:
            yield Reading(file, name, packed=False)


def read_bytes(path: Path, mend: str = "give the path of one", *, most: int = UNPACKED) -> bytes:
    """What a file holds, unpacked where it is gzipped.

    Raises:
        ValueError: no file that can be read.
    """
    with opened(path, mend) as file:
        return file.rest(most)


def read_plain(path: Path, mend: str = "give the path of one") -> bytes:
    """What a file holds, as it stands there.

    Raises:
        ValueError: no file that can be read.
    """
    if (size := size_of(path, mend)) > AT_ONCE:
        raise ValueError(f"{shown(path)} has {size:,} bytes, and {AT_ONCE:,} are read; give a part of it")
    with damage(f"{shown(path)} cannot be read", mend):
        return path.read_bytes()


def without_mark(content: bytes) -> bytes:
    """The bytes of a text, without a byte order mark."""
    return content.removeprefix(_BYTE_ORDER_MARK)


def text_of(content: bytes, name: object, *, start: int = 0, otherwise: str = "") -> str:
    """The text of UTF-8 bytes: without a byte order mark, and lines end with newlines.

    Args:
        content: the bytes.
        name: what is said of the file they come from.
        start: where in them the text begins.
        otherwise: what texts without a byte order mark are decoded as if they are not UTF-8.

    Raises:
        ValueError: they are not UTF-8.
    """
    marked = start == 0 and content.startswith(_BYTE_ORDER_MARK)
    start = len(_BYTE_ORDER_MARK) if marked else start
    try:
        text = str(memoryview(content)[start:], "utf-8")
    except UnicodeDecodeError as error:
        if otherwise and not marked:
            return _lines(content[start:].decode(otherwise))
        offset = start + error.start
        raise ValueError(
            f"{shown(name)} is not UTF-8 (byte 0x{content[offset]:02X} at offset {offset:,}); convert it to UTF-8"
        ) from None
    return _lines(text)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path, mend: str = "give the path of one") -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: no file that can be read, or another encoding.
    """
    return text_of(read_bytes(path, mend), path)


class Holder(ABC):
    """Files by name: a folder, a zip or a tar archive."""

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Of all files, with slashes between folders."""

    @abstractmethod
    def read(self, name: str, most: int) -> bytes:
        """What a file holds.

        Raises:
            ValueError: it is damaged, no regular file, or promises more than ``most`` bytes.
        """


@contextmanager
def held(path: Path, content: str, *, suffix: str = "", deep: bool = True) -> Iterator[Holder]:
    """The files in a folder or an archive.

    Args:
        path: what holds them.
        content: what they are, for the sentence that refuses others.
        suffix: of their names; others are left out.
        deep: look into the folders of a folder; of archives everything is seen.

    Raises:
        ValueError: neither, or an archive that cannot be read.
    """
    if path.is_dir():
        yield _Folder(path, suffix, deep)
        return
    if not is_archive(path):
        raise ValueError(f"{shown(path)} is neither a folder nor a zip file; give one with {content}")
    with path.open("rb") as file:
        yield _Zip(file, shown(path), suffix) if _is_zip(file) else _Tar(file, shown(path), suffix)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar archive.

    Raises:
        ValueError: a device, a FIFO, or a file that cannot be read.
    """
    if not path.exists():
        return False
    size_of(path, "give a folder or an archive")
    with damage(f"{shown(path)} cannot be opened", "give a file that you may read"):
        file = path.open("rb")
    with file:
        return _is_zip(file) or _is_tar(file)


def _is_zip(file: BufferedReader) -> bool:
    try:
        file.seek(0)
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06") or zipfile.is_zipfile(file)
    except Exception:  # nothing can be looked for in it
        return False


class _Folder(Holder):
    def __init__(self, path: Path, suffix: str, deep: bool) -> None:
        self._path = path
        with damage(f"{shown(path)} cannot be read", "give a folder that you may read"):
            found = sorted(path.rglob(f"*{suffix}") if deep else path.glob(f"*{suffix}"))
            self._names = [file.relative_to(path).as_posix() for file in found if not file.is_dir()]

    def names(self) -> Sequence[str]:
        return self._names

    def read(self, name: str, most: int) -> bytes:
        return read_plain(self._path / name, AGAIN)


class _Limit:
    """How much of an archive has been unpacked."""

    def __init__(self, name: str) -> None:
        self._name, self._left = name, IN_ALL

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError(f"{self._name} holds more than {IN_ALL:,} bytes; unpack it yourself, and give the folder")

    def check(self, inner: str, promised: int, most: int) -> None:
        if promised > most:
            raise ValueError(
                f"{self._name}: {shown(inner)} promises {promised:,} bytes, and {most:,} are unpacked; unpack it "
                "yourself, and give the folder"
            )
        self.take(promised)


class _Zip(Holder):
    def __init__(self, file: BufferedReader, name: str, suffix: str) -> None:
        self._name, self._limit = name, _Limit(name)
        with damage(f"{name} is no whole zip"):
            self._archive = zipfile.ZipFile(file)
        entries = [entry for entry in self._archive.infolist() if entry.filename.endswith(suffix)]
        self._entries = {entry.filename: entry for entry in entries if not entry.is_dir()}
        if len({entry.filename for entry in entries}) < len(entries):
            raise ValueError(f"{name} holds a file twice under one name; {AGAIN}")

    def names(self) -> Sequence[str]:
        return list(self._entries)

    def read(self, name: str, most: int) -> bytes:
        entry, parts = self._entries[name], []
        self._limit.check(name, entry.file_size, most)
        with damage(f"{self._name}: {shown(name)} is not whole"), self._archive.open(entry) as file:
            while part := file.read(PIECE):
                parts.append(part)
        content = b"".join(parts)
        if len(content) != entry.file_size:
            raise ValueError(
                f"{self._name}: {shown(name)} promises {entry.file_size:,} bytes and holds {len(content):,}; {AGAIN}"
            )
        return content


def _unpacked(file: BufferedReader) -> BufferedIOBase:
    """What is in a file from its beginning on, unpacked where it is gzipped or in bz2 or xz."""
    file.seek(0)
    magic = file.read(6)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=file)
    if magic[:3] == b"BZh":
        return bz2.BZ2File(file)
    if magic == b"\xfd7zXZ\0":
        return lzma.LZMAFile(file)
    return file


def _is_tar(file: BufferedReader) -> bool:
    try:
        _header(_unpacked(file).read(BLOCKSIZE))
    except Exception:  # packed or not, it does not begin as an archive does
        return False
    return True


def _header(block: bytes) -> tarfile.TarInfo:
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")


class _Tar(Holder):
    """An archive that is read from its beginning every time, and whose headers are believed in names and sizes alone.

    (The standard library's reader follows links, reads extended headers of any size and searches them in quadratic
    time; texts need none of it.)
    """

    def __init__(self, file: BufferedReader, name: str, suffix: str) -> None:
        self._file, self._name, self._limit = file, name, _Limit(name)
        self._names = [inner for inner, _, _ in self._entries() if inner.endswith(suffix)]
        if len(set(self._names)) < len(self._names):
            raise ValueError(f"{name} holds a file twice under one name; {AGAIN}")

    def names(self) -> Sequence[str]:
        return self._names

    def read(self, name: str, most: int) -> bytes:
        inner, entry, content = next(found for found in self._entries() if found[0] == name)
        if not entry.isreg() or entry.issparse():
            raise ValueError(f"{self._name}: {shown(inner)} is a link or a device; give an archive of plain files")
        self._limit.check(inner, entry.size, most)
        return content(entry.size)

    def _entries(self) -> Iterator[tuple[str, tarfile.TarInfo, Callable[[int], bytes]]]:
        """Name and header of every file, and what reads so many bytes of its content."""
        broken = f"{self._name} is no whole tar archive"
        with damage(broken):
            stream = _unpacked(self._file)
        position, limit, longer = 0, _Limit(self._name), ""

        def take(count: int) -> bytes:
            nonlocal position
            with damage(broken):
                content = stream.read(count)
            if len(content) < count:
                raise ValueError(f"{broken} (it ends too early); {AGAIN}")
            position += count
            return content

        for _ in range(ENTRIES):
            with damage(broken):
                block = stream.read(BLOCKSIZE)
            if not block.strip(b"\0"):
                self._finish(stream, limit)
                return
            with damage(broken):
                entry = _header(block)
            if entry.size < 0:
                raise ValueError(f"{broken} (a file has a size of {entry.size}); {AGAIN}")
            position += BLOCKSIZE
            size = entry.size if entry.isreg() or entry.type not in (*_NO_CONTENT, tarfile.DIRTYPE) else 0
            end = position + size + -size % BLOCKSIZE
            limit.check(entry.name, size, IN_ALL)
            if entry.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
                if size > LONGEST_NAME:
                    raise ValueError(f"{self._name} has a name of {size:,} bytes; give an archive with shorter ones")
                longer = _longer_name(take(size), entry.type) or longer
            elif entry.type not in _WITHOUT_NAME:
                yield longer or entry.name, entry, take
                longer = ""
            while position < end:
                take(min(end - position, 2**20))
        raise ValueError(f"{self._name} holds more than {ENTRIES:,} files; give an archive of fewer")

    def _finish(self, stream: BufferedIOBase, limit: _Limit) -> None:
        """After the last file come zeros, and the checksum of what is packed, which is looked at only at its end."""
        while True:
            with damage(f"{self._name} is no whole tar archive"):
                rest = stream.read(2**20)
            if not rest:
                return
            limit.take(len(rest))


def _longer_name(content: bytes, kind: bytes) -> str:
    """Of the file after an extended header; "" where it says none."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return content.rstrip(b"\0").decode("utf-8", "surrogateescape")
    for line in content.split(b"\n"):  # such as b"27 path=a/longer/name.txt"
        key, _, value = line.partition(b" ")[2].partition(b"=")
        if key == b"path":
            return value.decode("utf-8", "surrogateescape")
    return ""
