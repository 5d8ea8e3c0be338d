from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mnesis.tasks.language.text import GENERATED, PARTS, Text

NOVEL = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare"


@pytest.fixture(scope="module")
def prose() -> Text:
    return Text()


def test_the_next_byte_is_asked_everywhere(prose) -> None:
    episode = prose.episodes(5, 40, torch.Generator().manual_seed(0))
    assert episode.inputs.shape == episode.targets.shape == episode.weight.shape == (5, 40)
    assert torch.equal(episode.inputs[:, 1:], episode.targets[:, :-1])
    assert bool((episode.weight == 1).all())
    whole = prose.decode(prose.tokens)
    for row in episode.inputs:
        assert prose.decode(row) in whole
    again = prose.episodes(5, 40, torch.Generator().manual_seed(0))
    assert torch.equal(again.inputs, episode.inputs)


def test_the_parts_are_the_text(tmp_path) -> None:
    content = bytes(range(97, 117)) * 50 + "é".encode()
    file = tmp_path / "text"
    file.write_bytes(content)
    parts = [Text(file, part=part) for part in PARTS]
    assert "".join(part.decode(part.tokens) for part in parts) == content.decode()
    assert {part.vocabulary for part in parts} == {22}
    assert parts[0].chance == pytest.approx(50 / 1002)


def test_generated_prose_is_long_and_readable(prose) -> None:
    assert len(prose.tokens) == round(0.9 * GENERATED)
    text = prose.decode(prose.tokens[:2000])
    assert text.isascii()
    assert text.count(".") + text.count("?") > 10


@pytest.mark.skipif(not NOVEL.is_dir(), reason="no real text here")
def test_a_real_text() -> None:
    (file,) = [path for path in NOVEL.iterdir() if path.suffix == ".txt"]
    assert Text(file).vocabulary == 65


def test_bad_input(tmp_path, prose) -> None:
    with pytest.raises(ValueError, match="part = 'dev' is unknown; choose one of train, valid, test"):
        Text(part="dev")
    with pytest.raises(ValueError, match="missing is no file; give the path of a text"):
        Text(tmp_path / "missing")
    (tmp_path / "dull").write_bytes(b"aaaa")
    with pytest.raises(ValueError, match="holds 1 different bytes; a text to learn has two or more"):
        Text(tmp_path / "dull")
    generator = torch.Generator()
    with pytest.raises(ValueError, match="both count something"):
        prose.episodes(0, 4, generator)
    with pytest.raises(ValueError, match="has 1,800,000 bytes; give less"):
        prose.episodes(1, GENERATED, generator)
