from __future__ import annotations

import math
import shutil
import zipfile
from collections import Counter

import pytest
import torch

from mnesis.tasks.language.words import Words
from tests.real_data import real

TRAIN = "the cat saw the dog\n the dog ran \n\nthe cat <unk> the end\n"
VALID, TEST = "the horse saw\nno cat", "dog ran the\n"


def draw(task, length: int, batch: int = 50, seed: int = 0):
    return task.episodes(batch, length, torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for part, text in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        (folder / f"ptb.{part}.txt").write_text(text, encoding="utf-8")
    return folder


def test_streams_of_words(folder) -> None:
    train = Words(folder)
    stream = "the cat saw the dog <eos> the dog ran <eos> <eos> the cat <unk> the end <eos>"
    assert train.decode(train.tokens) == stream
    counts = Counter(stream.split())
    assert list(train.alphabet[:2]) == ["the", "<eos>"]
    assert [counts[word] for word in train.alphabet] == sorted(counts.values(), reverse=True), "the commonest first"
    assert train.vocabulary == len(counts) == 8
    valid, test = train.unseen("valid"), train.unseen("test")
    assert valid.decode(valid.tokens) == "the <unk> saw <eos> <unk> cat <eos>"
    assert test.decode(test.tokens) == "dog ran the <eos>"
    assert [part.chance for part in (train, valid, test)] == [5 / 17, 2 / 7, 1 / 4]
    assert train.alphabet.tolist() == valid.alphabet.tolist() == test.alphabet.tolist()


def test_the_next_word_is_asked_everywhere(folder) -> None:
    task = Words(folder)
    episode = draw(task, 5)
    whole = task.tokens.tolist()
    pieces = {tuple(whole[start : start + 6]) for start in range(len(whole) - 5)}
    found = {(*x, y[-1]) for x, y in zip(episode.inputs.tolist(), episode.targets.tolist(), strict=True)}
    assert found <= pieces
    assert len(found) > len(pieces) / 2
    assert torch.equal(episode.inputs[:, 1:], episode.targets[:, :-1])
    assert bool((episode.weight == 1).all())


def test_blind_knows_how_often_words_come(folder) -> None:
    test = Words(folder, part="valid")
    episode = draw(test, 6)
    counts = Counter(test.tokens.tolist())
    expected = [[math.log2(counts[word] / 7) for word in row] for row in episode.targets.tolist()]
    torch.testing.assert_close(test.blind(episode), torch.tensor(expected))


@pytest.mark.parametrize("names", [("train.txt", "valid.txt"), ("wiki.train.tokens", "wiki.valid.tokens")])
def test_names_as_they_come(tmp_path, names) -> None:
    for name, text in zip(names, (TRAIN, VALID), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "training.txt").write_text("other", encoding="utf-8")
    assert len(Words(tmp_path).tokens) == 17
    assert len(Words(tmp_path, part="valid").tokens) == 7


def test_a_zip_file_holds_the_same(folder, tmp_path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for file in folder.iterdir():
            written.write(file, f"data/{file.name}")
            written.writestr(f"__MACOSX/data/._{file.name}", b"nothing")
    for part in ("train", "valid", "test"):
        assert torch.equal(Words(archive, part=part).tokens, Words(folder, part=part).tokens)


def test_another_text_to_train_on(folder, tmp_path) -> None:
    (folder / "ptb.train.txt").unlink()
    with pytest.raises(ValueError, match=r"lacks the text to train on, such as train.txt; put it there, or give t"):
        Words(folder)
    other = tmp_path / "mine"
    other.write_text("the horse ran", encoding="utf-8")
    task = Words(folder, train=other)
    assert task.decode(task.tokens) == "the horse ran <eos>"
    assert task.alphabet.tolist() == ["the", "horse", "ran", "<eos>", "<unk>"], "there is always one for unknown words"
    test = task.unseen("test")
    assert test.decode(test.tokens) == "<unk> ran the <eos>"


def test_a_text_that_is_trained_on_and_validated_on(folder) -> None:
    """Its last tenth trains nobody, and has no word in the vocabulary of its own."""
    (folder / "ptb.train.txt").unlink()
    file = folder / "ptb.valid.txt"
    file.write_text(" ".join(f"w{number % 9}" for number in range(36)) + "\nw0 z\n", encoding="utf-8")
    train = Words(folder, train=file)
    valid, test = train.unseen("valid"), train.unseen("test")
    assert train.decode(train.tokens) == " ".join(f"w{number % 9}" for number in range(36))
    assert valid.decode(valid.tokens) == "<unk> w0 <unk> <unk>", "neither z nor an end of line was trained on"
    assert test.decode(test.tokens) == "<unk> <unk> <unk> <unk>", "the test's text is another file"


def test_it_is_reproducible(folder) -> None:
    task = Words(folder)
    assert torch.equal(draw(task, 5, seed=3).inputs, draw(task, 5, seed=3).inputs)
    assert not torch.equal(draw(task, 5, seed=3).inputs, draw(task, 5, seed=4).inputs)


def test_bad_input(folder, tmp_path) -> None:
    with pytest.raises(ValueError, match="part = 'dev' is unknown; choose one of train, valid, test"):
        Words(folder, part="dev")
    with pytest.raises(ValueError, match="missing is neither a folder nor a zip file; give one with the texts"):
        Words(tmp_path / "missing")
    with pytest.raises(ValueError, match="missing is no file; give the path of a text"):
        Words(folder, train=tmp_path / "missing")
    with pytest.raises(ValueError, match="length = 17: the train part of the text has 17 words; give less"):
        draw(Words(folder), 17)
    with pytest.raises(ValueError, match="both count something"):
        draw(Words(folder), 0)
    (folder / "ptb.test.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"ptb.test.txt holds no word; give a text"):
        Words(folder, part="test")
    (folder / "ptb.test.txt").unlink()
    with pytest.raises(ValueError, match=r"lacks the text to test on, such as test.txt; put it there$"):
        Words(folder, part="test")
    shutil.copy(folder / "ptb.valid.txt", folder / "valid.txt")
    with pytest.raises(ValueError, match=r"holds ptb.valid.txt and valid.txt; give a folder with one text of a part"):
        Words(folder, part="valid")


def test_penn_treebank() -> None:
    """Words and vocabulary as everybody counts them."""
    train = Words(real("ptb", "ptb.zip"))
    assert train.vocabulary == 10_000
    assert [len(part.tokens) for part in (train, train.unseen("valid"), train.unseen("test"))] == [
        929_589,
        73_760,
        82_430,
    ]
    assert set(train.alphabet[:4]) == {"the", "<unk>", "<eos>", "N"}


def test_wikitext() -> None:
    folder = real("wikitext-2")
    task = Words(folder, train=folder / "valid.txt")
    assert len(task.tokens) + len(task.unseen("valid").tokens) == 217_646
    assert len(task.unseen("test").tokens) == 245_569
