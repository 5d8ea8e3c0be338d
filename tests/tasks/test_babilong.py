import re
import tracemalloc
from itertools import islice

import numpy as np
import pytest
import torch

from mnesis.core.task import Episode
from mnesis.tasks.language.background import Background, CorpusBackground, ProseBackground
from mnesis.tasks.language.prose import Prose
from mnesis.tasks.language.tokenizer import BPETokenizer, ByteTokenizer, Pieces, Tokenizer
from mnesis.tasks.stories.babi.files import read_stories
from mnesis.tasks.stories.babi.moving import simulate
from mnesis.tasks.stories.babilong.babilong import BABILong
from mnesis.tasks.stories.story import Story, StoryQuestion
from mnesis.tasks.stories.wording import story_words
from tests.real_data import DATA

BABI = DATA / "babi" / "tasks_1-20_v1-2.zip"
BYTES = ByteTokenizer()
FACT = re.compile(r"(Mary|John|Daniel|Sandra) (?:went to|went back to|journeyed to|moved to|travelled to) the (\w+)\.")


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    generator = torch.Generator().manual_seed(0)
    words = story_words(simulate(task, generator) for task in (1, 2, 3) for _ in range(60))
    return BPETokenizer.train(islice(Prose().sentences(0), 3000), 1024, words=words)


@pytest.fixture(scope="module")
def prose(tokenizer: BPETokenizer) -> ProseBackground:
    return ProseBackground(tokenizer)


def seeds_of(batch: int, seed: int) -> list[int]:
    return torch.randint(2**62, (batch,), generator=torch.Generator().manual_seed(seed)).tolist()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def marked(episode: Episode, row: int) -> list[int]:
    return episode.weight[row].nonzero()[:, 0].tolist()


def plain(sentences: int = 9, size: int = 10) -> Background:
    """A corpus whose sentence i is the id 65 + i, ``size`` times."""
    ids = np.repeat(np.arange(65, 65 + sentences, dtype=np.int32), size)
    return CorpusBackground(BYTES, Pieces(ids, np.arange(0, len(ids) + 1, size)))


def test_words_are_collected():
    story = Story(("Mary got the milk.",), (StoryQuestion(1, "What is carried?", "milk,apple"),))
    assert story_words([story]) == ["Mary", "What", "apple", "carried", "got", "is", "milk", "the"]


@pytest.mark.parametrize("task", [1, 2, 3])
@pytest.mark.parametrize("length", [1500, 4097])
def test_a_sample_is_the_placement_rule_to_the_token(
    task: int, length: int, tokenizer: BPETokenizer, prose: Background
):
    babilong = BABILong(task, tokenizer=tokenizer, background=prose, maximum_facts=40)
    for seed in range(5):
        sample = babilong.sample(length, seed)
        facts = [piece.tokens.tolist() for piece in sample.pieces]
        budget = length - sum(map(len, facts))
        background: list[list[int]] = []
        for sentence in prose.sentences(sample.seed):
            background.append(sentence.tolist()[: budget - sum(map(len, background))])
            if sum(map(len, background)) == budget:
                break
        before = [sum(map(len, background[:gap])) for gap in range(len(background) + 1)]
        gaps = [before.index(place) for place in sample.places]
        assert gaps == sorted(gaps)
        slots: list[list[int]] = [[] for _ in range(len(background) + 1)]
        for gap, fact in zip(gaps, facts, strict=True):
            slots[gap] += fact
        expected = [token for slot, text in zip(slots, [*background, []], strict=True) for token in slot + text]
        tokens = torch.cat(list(sample.chunks(100))).tolist()
        assert len(tokens) == length
        assert tokens == expected
        assert [tokens[start : start + 4] for start in sample.starts] == [fact[:4] for fact in facts]


def test_gaps_are_uniform_with_replacement_and_reach_both_ends():
    story = Story(("aaaa.", "bbbb.", "cccc."), (StoryQuestion(3, "Who?", "me"),))
    babilong = BABILong(1, tokenizer=BYTES, background=plain(), stories=[story])
    # 90 tokens of background, nine sentences of ten tokens: ten gaps
    places = np.array([babilong.sample(90 + 18, seed).places for seed in range(3000)])
    assert set(np.unique(places)) == set(range(0, 91, 10))
    counts = np.bincount(places.ravel() // 10, minlength=10)
    assert ((counts - 900) ** 2 / 900).sum() < 30, "chi-square with 9 degrees of freedom; 30 is p = 0.0004"
    together = (np.diff(places) == 0).any(axis=1).mean()
    assert abs(together - (1 - 0.9 * 0.8)) < 0.04, "three draws with replacement from ten"


def test_the_last_sentence_is_cut():
    story = Story(("aaaa.",), (StoryQuestion(1, "Who?", "me"),))
    babilong = BABILong(1, tokenizer=BYTES, background=plain(), stories=[story])
    places = {int(babilong.sample(6 + 25, seed).places[0]) for seed in range(200)}
    assert places == {0, 10, 20, 25}, "two sentences, half of one, and the four gaps around them"


def test_place_restricts_the_facts():
    story = Story(("aaaa.", "bbbb."), (StoryQuestion(2, "Who?", "me"),))
    babilong = BABILong(1, tokenizer=BYTES, background=plain(), stories=[story], place=(0.25, 0.75))
    places = {int(place) for seed in range(300) for place in babilong.sample(200, seed).places}
    assert places == {50, 60, 70, 80, 90, 100, 110, 120, 130}, "starts from 50 on and before 150 - 12"
    with pytest.raises(ValueError, match=r"place=\(0\.25, 0\.75\) of 30 tokens.*story of 12 tokens"):
        babilong.sample(30, 0)


def test_facts_stand_within_the_first_tokens_whatever_the_length():
    story = Story(("aaaa.", "bbbb."), (StoryQuestion(2, "Who?", "me"),))
    babilong = BABILong(1, tokenizer=BYTES, background=plain(), stories=[story], within=50)
    for length in (40, 50, 200, 5000):
        starts = [int(start) for seed in range(50) for start in babilong.sample(length, seed).starts]
        assert max(starts) + 6 <= min(50, length)
        assert len(set(starts)) > 4
    with pytest.raises(ValueError, match="both say where facts stand"):
        BABILong(1, tokenizer=BYTES, background=plain(), stories=[story], within=50, place=(0.0, 0.5))


@pytest.mark.parametrize("chunk", [1, 77, 512, 100_000])
def test_stream_and_episode_of_a_seed_are_the_same_tokens(chunk: int, tokenizer: BPETokenizer, prose: Background):
    babilong = BABILong(2, tokenizer=tokenizer, background=prose, maximum_facts=20, questions_between=0.3)
    episode = babilong.episodes(3, 2000, generator(5))
    for row, seed in enumerate(seeds_of(3, 5)):
        stream = babilong.stream(2000, seed)
        for _ in range(2):  # chunks() starts anew
            chunks = list(stream.chunks(chunk))
            assert {len(piece) for piece in chunks[:-1]} <= {chunk}
            assert len(chunks[-1]) <= chunk
            assert torch.equal(torch.cat(chunks), episode.inputs[row, :2000])
        question = stream.questions[0]
        behind = torch.cat([question.prompt, question.answer[:-1]])
        assert torch.equal(episode.inputs[row, 2000 : 2000 + len(behind)], behind)


def test_targets_are_the_answer_and_its_end(tokenizer: BPETokenizer, prose: Background):
    babilong = BABILong(1, tokenizer=tokenizer, background=prose)
    episode = babilong.episodes(8, 700, generator(1))
    assert episode.length is not None
    for row, seed in enumerate(seeds_of(8, 1)):
        question = babilong.stream(700, seed).questions[0]
        places = marked(episode, row)
        assert places == list(range(700 + len(question.prompt) - 1, int(episode.length[row])))
        assert episode.targets[row, places].tolist() == question.answer.tolist()
        assert question.answer.tolist() == [*tokenizer.encode(" " + question.answer_text), tokenizer.end]
        assert len(question.answer) == 2, "rooms are single tokens"
        real = slice(0, int(episode.length[row]) - 1)
        assert torch.equal(episode.targets[row, real], episode.inputs[row, 1 : int(episode.length[row])])


def answer_by_reading(told: str, question: str) -> str:
    """qa1 by regular expression: where the last statement about the person took them."""
    person = re.fullmatch(r"Where is (\w+)\?", question)
    assert person, question
    return [room for name, room in FACT.findall(told) if name == person[1]][-1]


def test_questions_at_the_end_are_right_and_know_their_depth(tokenizer: BPETokenizer, prose: Background):
    babilong = BABILong(1, tokenizer=tokenizer, background=prose, questions=4)
    asked, depths = [], []
    for seed in range(30):
        stream = babilong.stream(3000, seed)
        tokens = torch.cat(list(stream.chunks(512)))
        assert len({question.text for question in stream.questions}) == len(stream.questions)
        asked.append(len(stream.questions))
        for question in stream.questions:
            assert question.answer_text == answer_by_reading(tokenizer.decode(tokens), question.text)
            start = round(question.depth * 3000)
            sentence = tokenizer.decode(tokens[start : start + 20]).split(".")[0]
            assert sentence.split()[0] == question.text[:-1].split()[-1]
            assert sentence.split()[-1] == question.answer_text
            depths.append(question.depth)
            assert question.choices == ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
    assert max(asked) == 4
    assert min(depths) < 0.3
    assert max(depths) > 0.9


def test_questions_between_are_asked_of_what_stands_before(tokenizer: BPETokenizer, prose: Background):
    babilong = BABILong(1, tokenizer=tokenizer, background=prose, questions_between=0.6, show_answers=0.0)
    asked = 0
    for seed in range(20):
        sample = babilong.sample(1200, seed)
        assert sum(len(piece.tokens) for piece in sample.read()) == 1200
        told = ""
        for piece in sample.pieces:
            text = tokenizer.decode(piece.tokens)
            if piece.weight is None:
                told += text
                continue
            assert piece.said is not None
            expected = answer_by_reading(told, text.strip())
            assert tokenizer.decode(piece.said[-1:]) == f" {expected}"
            assert piece.weight.tolist() == [0.0] * (len(piece.tokens) - 1) + [1.0]
            asked += 1
    assert asked > 20


def test_without_background_the_sample_is_its_facts(tokenizer: BPETokenizer, prose: Background):
    babilong = BABILong(1, tokenizer=tokenizer, background=prose)
    stream = babilong.stream(0, 3)
    text = tokenizer.decode(torch.cat(list(stream.chunks(8))))
    assert re.fullmatch(rf"(?: {FACT.pattern})+", text)
    episode = babilong.episodes(4, 0, generator(0))
    assert episode.length is not None
    assert len(set(episode.length.tolist())) > 1


@pytest.mark.usefixtures("without_type_checks")  # ten thousand stories
def test_maximum_facts(tokenizer: BPETokenizer, prose: Background):
    babilong = BABILong(3, tokenizer=tokenizer, background=prose, maximum_facts=8)
    counts = {len(babilong.sample(0, seed).pieces) for seed in range(40)}
    assert max(counts) <= 8
    with pytest.raises(ValueError, match="maximum_facts=1: of 10,000 stories of task 2 none"):
        BABILong(2, tokenizer=tokenizer, background=prose, maximum_facts=1)


def test_scorers(tokenizer: BPETokenizer, prose: Background):
    stream = BABILong(1, tokenizer=tokenizer, background=prose).stream(500, 0)
    question = stream.questions[0]
    for scorer in ("whole_word", "official"):
        babilong = BABILong(1, tokenizer=tokenizer, background=prose, scorer=scorer)
        assert babilong.correct(question, question.answer.tolist())
        others = tokenizer.encode(" bathroom bedroom garden hallway kitchen office")
        assert babilong.correct(question, [*question.answer.tolist(), *others]), "what follows the end does not count"
        assert not babilong.correct(question, others)
        assert not babilong.correct(question, [])
        noise = tokenizer.encode(f" {question.answer_text} and an officer")
        assert babilong.correct(question, noise) is (scorer == "whole_word" or question.answer_text == "office")


def test_errors_name_value_rule_and_mend(tokenizer: BPETokenizer, prose: Background):
    def make(**options) -> BABILong:
        return BABILong(**{"task": 1, "tokenizer": tokenizer, "background": prose, **options})

    with pytest.raises(
        ValueError, match=r"story of \d+ facts takes \d+ tokens with its questions, but the sample has 5;"
    ):
        make().sample(5, 0)
    with pytest.raises(ValueError, match="another tokenizer"):
        make(tokenizer=BYTES)
    with pytest.raises(ValueError, match=r"questions_between=1\.5"):
        make(questions_between=1.5)
    with pytest.raises(ValueError, match=r"show_answers=-1"):
        make(show_answers=-1.0)
    with pytest.raises(ValueError, match=r"place=\(0\.5, 0\.5\)"):
        make(place=(0.5, 0.5))
    with pytest.raises(ValueError, match="questions=0"):
        make(questions=0)
    with pytest.raises(ValueError, match="'fuzzy' is not one of whole_word, official"):
        make(scorer="fuzzy")
    with pytest.raises(ValueError, match="task 7 cannot be simulated"):
        make(task=7)
    with pytest.raises(ValueError, match="task 21"):
        make(task=21)
    with pytest.raises(ValueError, match="stories='real'"):
        make(stories="real")
    story = Story(("Mary went to the office.",), (StoryQuestion(1, "Where is Mary?", "office", (0,)),))
    with pytest.raises(ValueError, match="one question at its end"):
        make(stories=[story], questions=2)
    with pytest.raises(ValueError, match="the 1 stories hold no question after at most 0 facts"):
        make(stories=[story], maximum_facts=0)


@pytest.mark.skipif(not BABI.exists(), reason="the bAbI files are not here")
@pytest.mark.parametrize("task", [1, 5, 7, 8, 19])
def test_real_stories(task: int, tokenizer: BPETokenizer, prose: Background):
    stories = read_stories(BABI, task, "test")
    babilong = BABILong(task, tokenizer=tokenizer, background=prose, stories=stories, maximum_facts=30)
    slices = {
        (story.sentences, story.questions[0].text, story.questions[0].answer)
        for whole in stories
        for story in whole.slices()
    }
    for seed in range(20):
        stream = babilong.stream(2000, seed)
        sample = babilong.sample(2000, seed)
        question = stream.questions[0]
        told = tuple(tokenizer.decode(piece.tokens).strip() for piece in sample.pieces)
        assert (told, question.text, question.answer_text) in slices
        assert len(told) <= 30
        assert babilong.correct(question, question.answer.tolist())
        assert 0 <= question.depth < 1
    assert 1 / len(babilong.choices) <= babilong.chance < 0.7 if task != 8 else 0 < babilong.chance < 0.5


@pytest.mark.skipif(not BABI.exists(), reason="the bAbI files are not here")
def test_earlier_questions_of_real_stories_can_be_asked_between(tokenizer: BPETokenizer, prose: Background):
    stories = read_stories(BABI, 1, "test")
    babilong = BABILong(1, tokenizer=tokenizer, background=prose, stories=stories, questions_between=1.0)
    asked = 0
    for seed in range(20):
        sample = babilong.sample(2000, seed)
        told = ""
        for piece in sample.pieces:
            text = tokenizer.decode(piece.tokens)
            if piece.weight is not None:
                assert piece.said is not None
                where = re.match(r" Where is \w+\?", text)
                assert where
                room = answer_by_reading(told, where.group().strip())
                if text == where.group():
                    assert tokenizer.decode(piece.said[-1:]) == f" {room}"
                else:
                    assert text == f"{where.group()} {room}"
                asked += 1
            else:
                told += text
    assert asked > 20


def test_ten_million_tokens_are_streamed_and_never_held(tokenizer: Tokenizer, prose: Background):
    babilong = BABILong(1, tokenizer=tokenizer, background=prose, questions=3)
    tracemalloc.start()
    stream = babilong.stream(10_000_000, 1)
    count = sum(len(chunk) for chunk in stream.chunks(4096))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6, "bytes; the sample itself would be 80 MB"
    assert count == 10_000_000
    assert all(0 <= question.depth < 1 for question in stream.questions)
