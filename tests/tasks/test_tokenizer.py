import json

import numpy as np
import pytest

from mnesis.tasks.language.prose import Prose
from mnesis.tasks.language.tokenizer import BPETokenizer, ByteTokenizer, Pieces, Tokenizer, load_tokenizer

WORDS = ["Mary", "Sandra", "bathroom", "hallway", "kitchen", "journeyed", "travelled", "discarded", "football"]
TEXT = "Zoë said, \"It's 3 o'clock...\" and   left;\nthe kitchen was <|end|> silent — 漢字 🙂."


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    source = Prose().sentences(3)
    return [next(source) for _ in range(2000)]


@pytest.fixture(scope="module", params=["byte", "bpe"])
def tokenizer(request: pytest.FixtureRequest, sentences: list[str]) -> Tokenizer:
    return ByteTokenizer() if request.param == "byte" else BPETokenizer.train(sentences, 700, words=WORDS)


def test_decoding_gives_the_text_back(tokenizer: Tokenizer):
    tokens = tokenizer.encode(TEXT)
    assert tokenizer.decode(tokens) == TEXT
    assert max(tokens) < tokenizer.vocabulary
    assert tokenizer.end not in tokens
    assert 0 <= tokenizer.end < tokenizer.vocabulary
    assert tokenizer.decode([*tokens, tokenizer.end]) == TEXT


def test_sentences_concatenate_exactly(tokenizer: Tokenizer, sentences: list[str]):
    pieces = [" " + sentence for sentence in [*sentences[:300], "Where is Mary?", "kitchen", '"Go!" he said.']]
    whole = tokenizer.encode("".join(pieces))
    packed = tokenizer.pack(pieces)
    assert packed.tokens.tolist() == whole
    assert len(packed) == len(pieces)
    assert all(packed[index].tolist() == tokenizer.encode(piece) for index, piece in enumerate(pieces))


def test_saved_and_loaded_it_encodes_the_same(tokenizer: Tokenizer, tmp_path):
    path = tokenizer.save(tmp_path / "run")
    assert path.name == "tokenizer.json"
    assert [file.name for file in path.parent.iterdir()] == ["tokenizer.json"]
    loaded = load_tokenizer(path.parent)
    assert type(loaded) is type(tokenizer)
    assert loaded.encode(TEXT) == tokenizer.encode(TEXT)
    assert (loaded.end, loaded.vocabulary) == (tokenizer.end, tokenizer.vocabulary)
    assert loaded.fingerprint() == tokenizer.fingerprint()


def test_ids_outside_the_vocabulary_are_refused(tokenizer: Tokenizer):
    for wrong in (-1, tokenizer.vocabulary):
        with pytest.raises(ValueError, match=f"{wrong}.*vocabulary of {tokenizer.vocabulary}"):
            tokenizer.decode([5, wrong])


def test_guaranteed_words_are_one_token_even_if_the_text_never_has_them():
    for vocabulary in (345, 400, 1000):
        words = [*WORDS, "xylophonist", "qwertyuiop"]
        tokenizer = BPETokenizer.train(["the cat sat on the mat and looked at the hat. " * 20], vocabulary, words=words)
        assert tokenizer.vocabulary <= vocabulary
        assert [len(tokenizer.encode(" " + word)) for word in words] == [1] * len(words)
        assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_guaranteed_words_are_one_token_whatever_their_parts_are(sentences: list[str]):
    words = ["stationkitchen", "unrememberable", "therewith", "captainthe", "overanother", "windowing", "insidethe"]
    tokenizer = BPETokenizer.train(sentences, 900, words=words)
    assert [len(tokenizer.encode(" " + word)) for word in words] == [1] * len(words)
    assert max(len(BPETokenizer.train(sentences, 900).encode(" " + word)) for word in words) > 3


def test_guaranteed_words_do_not_change_how_other_text_of_trained_merges_is_split(sentences: list[str]):
    plain = BPETokenizer.train(sentences, 600)
    merges = len(json.loads(plain.serialize())["model"]["merges"])
    with_word = BPETokenizer.train(sentences, 600, words=["zyzzyva"])
    kept = json.loads(with_word.serialize())["model"]["merges"]
    shared = [
        ours == theirs for ours, theirs in zip(kept, json.loads(plain.serialize())["model"]["merges"], strict=False)
    ]
    dropped = merges - shared.index(False)
    assert dropped == len("zyzzyva"), "the rarest merges make way, one for each letter to be joined to the space"
    assert plain.vocabulary == with_word.vocabulary == 600


def test_training_is_deterministic(sentences: list[str]):
    first, second = (BPETokenizer.train(sentences, 500, words=WORDS).fingerprint() for _ in range(2))
    assert first == second
    assert first != BPETokenizer.train(sentences, 501, words=WORDS).fingerprint()


def test_errors_say_the_mend(tmp_path):
    with pytest.raises(ValueError, match=r"vocabulary=200.*at least 257"):
        BPETokenizer.train(["text"], 200)
    with pytest.raises(ValueError, match=r"vocabulary=270 has no room.*fewer words"):
        BPETokenizer.train(["text"], 270, words=WORDS)
    with pytest.raises(ValueError, match="'New York' falls into 2 words"):
        BPETokenizer.train(["text"], 400, words=["New York"])
    with pytest.raises(ValueError, match="does not exist"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "Unigram"}}')
    with pytest.raises(ValueError, match="'Unigram'"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("[]")
    with pytest.raises(ValueError, match="not a tokenizer file"):
        load_tokenizer(tmp_path)
    foreign = json.loads(BPETokenizer.train(["text"], 300).serialize()) | {"added_tokens": []}
    foreign["model"]["vocab"] = {
        token: i for i, token in enumerate(t for t in foreign["model"]["vocab"] if t[:2] != "<|")
    }
    with pytest.raises(ValueError, match=r"no token '<\|end\|>'"):
        BPETokenizer(json.dumps(foreign))


def test_taking_pieces():
    pieces = Pieces.join([[1, 2], [], [3], [4, 5, 6]])
    assert pieces.lengths.tolist() == [2, 0, 1, 3]
    taken = pieces.take(np.array([3, 0, 1, 3]))
    assert taken.tokens.tolist() == [4, 5, 6, 1, 2, 4, 5, 6]
    assert taken.offsets.tolist() == [0, 3, 5, 5, 8]
    assert len(pieces.take(np.zeros(0, np.int64))) == 0
