import sys
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mnesis.tasks.language.background import CorpusBackground, FolderBackground, HubBackground, ProseBackground
from mnesis.tasks.language.prose import Prose
from mnesis.tasks.language.sentences import read_book, split_sentences
from mnesis.tasks.language.tokenizer import BPETokenizer, ByteTokenizer, Pieces
from tests.real_data import DATA

BYTES = ByteTokenizer()


def write_books(folder: Path, *, books: int = 3, sentences: int = 40) -> Path:
    folder.mkdir(exist_ok=True)
    for book in range(books):
        text = "\n".join(f"Sentence number {index} of book {book} stands here." for index in range(sentences))
        (folder / f"{book}.txt").write_text(text)
    return folder


def text_of(
    background: FolderBackground | ProseBackground | HubBackground, count: int, seed: int | None = None
) -> list:
    return [background.tokenizer.decode(sentence) for sentence in islice(background.sentences(seed), count)]


def test_sentences_are_split():
    text = (
        'He went\nto Mr. Smith, of St. Mary\'s. "Why?" she asked. "Go!" he said; J. B. Doe laughed... Then 3 men came.'
        "\n\n\nCHAPTER I\n\n“Oh no!” cried Ann. It was I. (So it was.) No. 5, e.g. Dover, was closed"
    )
    assert split_sentences(text) == [
        "He went to Mr. Smith, of St. Mary's.",
        '"Why?" she asked.',
        '"Go!" he said; J. B. Doe laughed...',
        "Then 3 men came.",
        "CHAPTER I",
        "“Oh no!” cried Ann.",
        "It was I.",
        "(So it was.)",
        "No.",
        "5, e.g. Dover, was closed",
    ]


@pytest.mark.parametrize(
    "stars", ["*** START OF THIS PROJECT GUTENBERG EBOOK X ***", "***START OF THE PROJECT GUTENBERG"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1"])
def test_books_of_every_encoding_are_read_without_the_licence(tmp_path: Path, stars: str, encoding: str):
    footer = stars.replace("START", "END")
    book = f"Licence é\r\n{stars}\r\n\r\nThe café was\r\nclosed.\r\nEnd of Project Gutenberg's X\r\n{footer}\r\nLicence"
    path = tmp_path / "book.txt"
    path.write_bytes(book.encode(encoding))
    assert split_sentences(read_book(path)) == ["The café was closed."]


def test_a_file_without_those_lines_is_taken_whole(tmp_path: Path):
    (tmp_path / "a.txt").write_text("One.\n*** a break ***\nTwo.")
    assert read_book(tmp_path / "a.txt") == "One.\n*** a break ***\nTwo."
    (tmp_path / "b.txt").write_bytes("Zwölf.".encode("utf-8-sig"))
    assert read_book(tmp_path / "b.txt") == "Zwölf."


def test_books_follow_each_other_in_a_circle(tmp_path: Path):
    background = FolderBackground(write_books(tmp_path / "books"), BYTES)
    whole = [f" Sentence number {index} of book {book} stands here." for book in range(3) for index in range(40)]
    assert text_of(background, 250) == (whole * 3)[:250]
    for seed in range(5):
        started = text_of(background, 240, seed)
        first = whole.index(started[0])
        assert started == (whole * 4)[first : first + 240]
    starts = {text_of(background, 1, seed)[0] for seed in range(400)}
    assert len(starts) > 100, "a seed may start anywhere"
    assert text_of(background, 5, 3) == text_of(background, 5, 3)


def test_a_corpus_larger_than_a_block_is_read_without_gaps():
    ids = np.arange(9001, dtype=np.int32)
    background = CorpusBackground(BYTES, Pieces(ids, np.arange(0, 9002)))
    read = np.concatenate(list(islice(background.sentences(), 20_000)))
    assert np.array_equal(read, np.arange(20_000) % 9001)


def test_held_out_books(tmp_path: Path):
    folder = write_books(tmp_path / "books")
    train = FolderBackground(folder, BYTES, exclude=["1.txt"])
    test = FolderBackground(folder, BYTES, files=["1.txt"])
    assert (train.files, test.files) == (("0.txt", "2.txt"), ("1.txt",))
    assert not set(text_of(train, 200)) & set(text_of(test, 200))


def test_short_sentences_are_dropped(tmp_path: Path):
    (tmp_path / "a.txt").write_text("Too short. This one is long enough. No!")
    assert text_of(FolderBackground(tmp_path, BYTES, minimum_tokens=12), 2) == [" This one is long enough."] * 2
    lengths = [len(sentence) for sentence in islice(ProseBackground(BYTES, minimum_tokens=90).sentences(1), 500)]
    assert min(lengths) >= 90


def test_tokenised_books_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, cache = write_books(tmp_path / "books"), tmp_path / "cache"
    first = FolderBackground(folder, BYTES, cache=cache)
    assert len(list(cache.iterdir())) == 3
    (folder / "1.txt").write_text("A changed book is tokenised again.")
    packed = []
    pack = ByteTokenizer.pack
    monkeypatch.setattr(ByteTokenizer, "pack", lambda self, texts: packed.append(len(texts)) or pack(self, texts))
    second = FolderBackground(folder, BYTES, cache=cache)
    assert packed == [1]
    assert text_of(second, 40) == text_of(first, 40)
    assert text_of(second, 41)[40] == " A changed book is tokenised again."
    FolderBackground(folder, BYTES, cache=cache, minimum_tokens=11)
    assert packed == [1, 40, 1, 40], "another rule, other sentences"
    FolderBackground(folder, BPETokenizer.train(["some text"], 300), cache=cache)
    assert len(list(cache.iterdir())) == 10, "another tokenizer, other ids"


def test_errors_name_value_rule_and_mend(tmp_path: Path):
    with pytest.raises(ValueError, match=r"nowhere is not a folder; name one"):
        FolderBackground(tmp_path / "nowhere", BYTES)
    with pytest.raises(ValueError, match=r"holds no \.txt file; put books there"):
        FolderBackground(tmp_path, BYTES)
    folder = write_books(tmp_path / "books")
    with pytest.raises(ValueError, match=r"'9\.txt' is not in .*; its files are 0\.txt, 1\.txt, 2\.txt"):
        FolderBackground(folder, BYTES, files=["9.txt"])
    with pytest.raises(ValueError, match="none of the 3 files"):
        FolderBackground(folder, BYTES, exclude=["0.txt", "1.txt", "2.txt"])
    with pytest.raises(ValueError, match="hold no sentence of at least 1000 tokens"):
        FolderBackground(folder, BYTES, minimum_tokens=1000)
    (folder / "3.txt").write_bytes(b"PK\0\0")
    with pytest.raises(ValueError, match=r"3\.txt holds NUL bytes.*convert"):
        FolderBackground(folder, BYTES)
    (folder / "3.txt").unlink()
    (folder / "3.txt").mkdir()
    with pytest.raises(ValueError, match=r"3\.txt is no file, but a folder; name a readable"):
        FolderBackground(folder, BYTES)


def test_prose_ids_are_those_of_the_prose_text():
    source = Prose().sentences(5)
    tokenizer = BPETokenizer.train([next(source) for _ in range(2000)], 900)
    block = next(ProseBackground(tokenizer).blocks(4))
    sentences = [tokenizer.decode(block[index]) for index in range(len(block))]
    assert all(sentence[0] == " " for sentence in sentences)
    assert tokenizer.encode("".join(sentences)) == block.tokens.tolist()
    assert block.lengths.min() >= 10
    again, other = (next(ProseBackground(tokenizer).blocks(seed)) for seed in (4, 5))
    assert np.array_equal(again.tokens, block.tokens)
    assert not np.array_equal(other.tokens[:100], block.tokens[:100])


def test_hub_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"mnesis\[datasets\]"):
        HubBackground("deepmind/pg19", BYTES)


def test_hub_documents_are_read_in_order(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def load_dataset(name: str, *, split: str, streaming: bool):
        asked.append((name, split, streaming))
        return ({"text": f"This is document number {index}. It has two sentences."} for index in range(10**9))

    hub = ModuleType("datasets")
    monkeypatch.setattr(hub, "load_dataset", load_dataset, raising=False)
    monkeypatch.setitem(sys.modules, "datasets", hub)
    background = HubBackground("some/books", BYTES, split="test", documents=2)
    assert asked == [("some/books", "test", True)]
    documents = [
        f" {text}" for index in (0, 1) for text in (f"This is document number {index}.", "It has two sentences.")
    ]
    assert text_of(background, 5) == [*documents, documents[0]]
    with pytest.raises(ValueError, match="column='body' is not in some/books; its columns are text"):
        HubBackground("some/books", BYTES, column="body")


@pytest.mark.skipif(not (DATA / "books").is_dir(), reason="the books are not here")
def test_real_books():
    background = FolderBackground(DATA / "books", BYTES, files=["345.txt", "1400-8.txt", "158-0.txt"])
    sentences = text_of(background, len(background.pieces))
    assert 25_000 < len(sentences) < 32_000
    text = " ".join(sentences)
    assert "Gutenberg-tm" not in text
    assert "\r" not in text
    assert "\ufeff" not in text
    assert 60 < np.median(background.pieces.lengths) < 110
    assert " Emma Woodhouse, handsome, clever, and rich, with a comfortable home and happy disposition" in text


def test_a_damaged_cache_is_made_anew(tmp_path: Path):
    folder, cache = write_books(tmp_path / "books"), tmp_path / "cache"
    first = FolderBackground(folder, BYTES, cache=cache)
    for damage in (b"", b"PK\x03\x04", None):
        for file in cache.iterdir():
            file.write_bytes(file.read_bytes()[:-200] if damage is None else damage)
        second = FolderBackground(folder, BYTES, cache=cache)
        assert np.array_equal(second.pieces.tokens, first.pieces.tokens)
        assert np.array_equal(second.pieces.offsets, first.pieces.offsets)
    assert {path.suffix for path in cache.iterdir()} == {".npz"}
