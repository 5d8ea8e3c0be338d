"""BABILong: a bAbI story scattered through background text, exact to the token at any length.

Source: Kuratov et al. 2024, arXiv 2406.10149, and the first version 2402.10790; github.com/booydar/babilong,
babilong/babilong_utils.py, whose placement rule is kept:

1. A sample of T tokens holds F tokens of facts (each with the space before it) and T - F tokens of background:
   consecutive sentences from a random place, the last one cut so that the total is exactly T. Question and answer are
   not counted.
2. Between S background sentences there are S + 1 gaps; as many gaps as facts are drawn uniformly with replacement and
   sorted, so the story's order holds and facts may stand together.
3. ``place=(a, b)`` keeps only the gaps before a sentence that starts at token aT or later and before token bT - F.

Example (task 1, T = 40 words)::

    ...the tide turned. Mary moved to the office. The captain, who had never heard our map, met the clerk. John went to
    the garden. Few people at the bridge ever knew why ... | Where is Mary? office <end>
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64

from ....core.domain import Count, Share, Size
from ....core.task import Episode, Question, Stream, Task
from ...language.background import Background
from ...language.tokenizer import Tokenizer
from .. import scoring
from ..babi.files import answer_choices
from ..babi.moving import endless, simulate
from ..story import Story, StoryQuestion
from ..wording import Piece, Wording
from .sample import Sample, lay_out

SCORERS: dict[str, scoring.Scorer] = {"whole_word": scoring.whole_word, "official": scoring.official}


class BABILong(Task):
    """One bAbI task hidden in background text. Lengths are tokens of facts and background; 0 = the facts alone.

    Args:
        task: bAbI's number, 1..20; the simulator knows 1, 2 and 3.
        tokenizer: must be the background's.
        background: where the facts are hidden.
        stories: "simulated" = without end, drawn like bAbI's; or stories read from its files, of which every question
            makes one sample (the story so far, and that question).
        maximum_facts: longer stories are not drawn; None = all. (The official ``max_n_facts`` counts the question as
            one more: its n is n - 1 here.)
        place: where the facts may stand, as two parts of the length; None = anywhere.
        within: the facts stand among the first so many tokens, whatever the length; None = anywhere.
        questions: how many different questions are asked at the end of a stream, fewer where the story has no more to
            ask; with more than one, about anything told, however long ago (simulated stories only). Episodes ask one.
        questions_between: probability that each fact is followed by a question inside the sample, before the next fact
            (of a story read from files: probability of each of its own earlier questions). They are placed like facts
            and counted in the length.
        show_answers: probability that such a question is followed by its answer; otherwise the question's last token
            has the answer's first token as target, and the answer is never read.
        scorer: "whole_word" or "official"; see :mod:`mnesis.tasks.stories.scoring`.

    ValueError: a background of another tokenizer, an option out of its range, or stories without a usable question.
    """

    def __init__(
        self,
        task: int = 1,
        *,
        tokenizer: Tokenizer,
        background: Background,
        stories: str | Sequence[Story] = "simulated",
        maximum_facts: Count | None = None,
        place: tuple[float, float] | None = None,
        within: Size | None = None,
        questions: int = 1,
        questions_between: Share = 0.0,
        show_answers: Share = 0.1,
        scorer: str = "whole_word",
    ):
        self.task = task
        self.choices = answer_choices(task)
        self.tokenizer = tokenizer
        self.background = background
        self.maximum_facts = maximum_facts
        self.place, self.within = place, within
        self.questions = questions
        self.questions_between = questions_between
        self.show_answers = show_answers
        self.scorer = SCORERS[_known(scorer)]
        self.vocabulary = tokenizer.vocabulary
        self.wording = Wording(tokenizer)
        self._check(stories)
        self._asked: list[tuple[Story, int]] | None = None
        self.stories = None if isinstance(stories, str) else list(stories)
        if isinstance(stories, str):
            self._simulated(torch.Generator().manual_seed(0))
            self.chance = 1 / len(self.choices)  # the simulated rooms are exchangeable
        else:
            self._asked = [
                (story, index)
                for story in stories
                for index, question in enumerate(story.questions)
                if maximum_facts is None or question.after <= maximum_facts
            ]
            if not self._asked:
                raise ValueError(
                    f"the {len(stories)} stories hold no question after at most {maximum_facts} facts; "
                    "raise maximum_facts or give other stories"
                )
            answers = Counter(story.questions[index].answer for story, index in self._asked)
            self.chance = max(answers.values()) / len(self._asked)

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Samples with their last question and its answer behind the ``length`` tokens.

        Inputs are the sample, the question and the answer without its end; weights are 1 where the target is a token of
        the answer or its end (and at in-stream questions), else 0. Rows are as long as the longest; ``length`` says how
        long each is. ValueError: a story longer than ``length``.
        """
        seeds = torch.randint(2**62, (batch,), generator=generator, device=generator.device).tolist()
        rows = [self._row(self.sample(length, seed)) for seed in seeds]
        lengths = torch.tensor([len(tokens) - 1 for tokens, _, _ in rows])
        inputs = torch.full((batch, int(lengths.max())), self.tokenizer.end)
        targets, weight = inputs.clone(), torch.zeros(inputs.shape)
        for row, (tokens, asked, said) in enumerate(rows):
            count = len(tokens) - 1
            inputs[row, :count] = torch.from_numpy(tokens[:-1])
            targets[row, :count] = torch.from_numpy(np.where(said[:-1] >= 0, said[:-1], tokens[1:]))
            weight[row, :count] = torch.from_numpy(asked[:-1])
        return Episode(inputs, targets, weight, length=lengths)

    def stream(self, length: int, seed: int) -> Stream:
        """The sample of a seed, never held; question depth = position of the last supporting fact / length."""
        sample = self.sample(length, seed)
        questions = tuple(
            Question(
                prompt=torch.from_numpy(self.wording.text(question.text).astype(np.int64)),
                answer=torch.from_numpy(self.wording.answer(question.answer).astype(np.int64)),
                text=question.text,
                answer_text=question.answer,
                choices=self.choices,
                depth=float(sample.starts[max(question.supporting)]) / sample.length
                if question.supporting
                else float("nan"),
            )
            for question in sample.questions
        )
        return Stream(sample.length, sample.chunks, questions)

    def correct(self, question: Question, output: Sequence[int]) -> bool:
        """The scorer's judgement of the text before the end id."""
        tokens = list(output)
        if self.tokenizer.end in tokens:
            tokens = tokens[: tokens.index(self.tokenizer.end)]
        return self.scorer(self.tokenizer.decode(tokens), question.text, question.answer_text, question.choices)

    def sample(self, length: int, seed: int) -> Sample:
        """What the seed draws at a length: story, places and background. Episodes and streams are made of these."""
        generator = torch.Generator().manual_seed(seed)
        numbers = np.random.default_rng(seed)
        sentences, between, final = self._story(generator, numbers)
        facts = [(index, Piece(self.wording.text(text))) for index, text in enumerate(sentences)]
        asked = [
            (question.after - 1, self.wording.asked(question, bool(numbers.random() < self.show_answers)))
            for question in between
        ]
        # the sort is stable: a question stands behind its fact
        pieces = [piece for _, piece in sorted([*facts, *asked], key=lambda item: item[0])]
        place = self.place
        if self.within is not None and self.within < length:
            place = (0.0, self.within / length)
        return lay_out(pieces, final, length, self.background, place, numbers)

    def _row(
        self, sample: Sample
    ) -> tuple[Int64[np.ndarray, " n"], Float32[np.ndarray, " n"], Int32[np.ndarray, " n"]]:
        """Sample, question, answer and end as one run: tokens, weights, and targets that are not the next token."""
        pieces = [*sample.read(), self.wording.asked(sample.questions[-1], shown=True)]
        tokens = np.concatenate([piece.tokens for piece in pieces]).astype(np.int64)
        weight = np.zeros(len(tokens), np.float32)
        said = np.full(len(tokens), -1, np.int32)
        begin = 0
        for piece in pieces:
            end = begin + len(piece.tokens)
            if piece.weight is not None and piece.said is not None:
                weight[begin:end], said[begin:end] = piece.weight, piece.said
            begin = end
        return tokens, weight, said

    def _story(
        self, generator: torch.Generator, numbers: np.random.Generator
    ) -> tuple[tuple[str, ...], list[StoryQuestion], tuple[StoryQuestion, ...]]:
        """Facts, questions between them, questions at the end."""
        if self._asked is not None:
            story, index = self._asked[int(numbers.integers(len(self._asked)))]
            between = [question for question in story.questions[:index] if numbers.random() < self.questions_between]
            final = story.questions[index]
            return story.sentences[: final.after], between, (final,)
        while True:
            story = self._simulated(generator)
            if self.questions == 1 and self.questions_between == 0:
                return story.sentences, [], story.questions
            # A world with questions wherever they are wanted, as long as this story.
            recent = {} if self.questions == 1 else {"recent": None}
            sentences, between, ask = [], [], None
            for sentence, ask in islice(endless(self.task, generator, **recent), len(story.sentences)):
                sentences.append(sentence)
                if numbers.random() < self.questions_between and (question := ask()):
                    between.append(question)
            assert ask is not None, "every story has a sentence"
            drawn = (ask() for _ in range(1 if self.questions == 1 else 16 * self.questions))
            different = {question.text: question for question in drawn if question}
            if different:
                return tuple(sentences), between, tuple(different.values())[: self.questions]

    def _simulated(self, generator: torch.Generator) -> Story:
        """A story up to one of its questions, of at most maximum_facts."""
        for _ in range(10_000):
            slices = list(simulate(self.task, generator).slices())
            story = slices[int(torch.randint(len(slices), (), generator=generator))]
            if self.maximum_facts is None or len(story.sentences) <= self.maximum_facts:
                return story
        raise ValueError(
            f"maximum_facts={self.maximum_facts}: of 10,000 stories of task {self.task} none has so few; allow more"
        )

    def _check(self, stories: str | Sequence[Story]) -> None:
        if isinstance(stories, str) and stories != "simulated":
            raise ValueError(
                f"stories={stories!r} is neither 'simulated' nor a list of stories; read one with read_stories"
            )
        if self.background.tokenizer.fingerprint() != self.tokenizer.fingerprint():
            raise ValueError("the background was tokenised by another tokenizer; make both with the same one")
        if self.place is not None and not 0 <= self.place[0] < self.place[1] <= 1:
            raise ValueError(f"place={self.place} must be two parts of the length, 0 <= first < second <= 1")
        if self.place is not None and self.within is not None:
            raise ValueError(
                f"place={self.place} and within={self.within} both say where facts stand; give one of them"
            )
        if not isinstance(stories, str) and self.questions > 1:
            raise ValueError(
                f"questions={self.questions}: a story from files has one question at its end; give 1, or simulate"
            )


def _known(scorer: str) -> str:
    if scorer not in SCORERS:
        raise ValueError(f"scorer={scorer!r} is not one of {', '.join(SCORERS)}; choose one of them")
    return scorer
