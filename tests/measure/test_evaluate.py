import json
import math

import pytest
import torch

from mnesis.core.state import leaves, take
from mnesis.measure import evaluate
from mnesis.measure.streaming.asking import ask
from mnesis.measure.streaming.records import Judged, QuestionRecord
from mnesis.measure.streaming.stream import stream_seed
from mnesis.measure.streaming.summary import best_constant

from .conftest import END, VALUES, First, Gridded, Model, Perfect

CPU = torch.device("cpu")


def quiet(memory, task, **options):
    return evaluate(memory, task, **({"lengths": [20], "streams": 6, "progress": False} | options))


def whole(stream) -> torch.Tensor:
    return torch.cat(list(stream.chunks(7)))


def test_bits_by_hand():
    evaluation = quiet(Perfect(0.9), First())
    for question in evaluation.questions:
        assert question["reply"].bits == pytest.approx(math.log2(0.9 * 0.9) - math.log2(1 / VALUES), abs=1e-5)
        # a fresh state says 0, so another value has a seventh of the rest
        first = 0.9 if question["answer"] == "0" else 0.1 / 7
        assert question["control"].bits == pytest.approx(math.log2(first * 0.9) + 2, abs=1e-5)
    row = evaluation.lengths[0]
    assert row["bits"]["mean"] == pytest.approx(math.log2(0.81) + 2, abs=1e-5)
    low, high = row["control_bits"]["interval"]
    assert low < row["control_bits"]["mean"] < high


def test_probabilities_are_floored_and_means_are_not():
    row = quiet(Perfect(1e-9), First()).lengths[0]
    assert row["bits"]["mean"] == pytest.approx(-20 + 2)


def test_a_broken_network_knows_nothing():
    memory = Perfect()
    memory.scale.data.fill_(math.nan)
    row = quiet(memory, First()).lengths[0]
    assert row["bits"]["mean"] == pytest.approx(-18)


def test_accuracy_chance_and_control():
    evaluation = quiet(Perfect(0.9), First(), streams=20)
    answers = [question["answer"] for question in evaluation.questions]
    row = evaluation.lengths[0]
    assert row["accuracy"]["mean"] == 1
    assert row["control_accuracy"]["mean"] == answers.count("0") / 20
    assert row["chance"] == max(map(answers.count, answers)) / 20
    assert row["above_chance"] == 1
    assert row["depth"] == [
        {"low": 0.0, "high": 0.2, "questions": 20, "mean": 1.0, "interval": row["accuracy"]["interval"]}
    ]


def test_best_constant_counts_answers():
    judged = Judged("", True, 0.0)
    asked = [QuestionRecord("?", answer, None, judged, judged) for answer in "aabac"]
    assert best_constant(asked) == 3 / 5


def test_against_an_unbatched_oracle(model):
    """Ragged prompts, forks, chunks and teacher forcing against one plain pass over stream, prompt and answer."""
    task = First(questions=2, extra=5)
    records = quiet(model, task, streams=5, chunk=6, batch=3).streams
    for record in records:
        stream = task.stream(20, record.seed)
        assert record.units == stream.length
        for question, asked in zip(stream.questions, record.questions, strict=True):
            before = torch.cat([whole(stream), question.prompt])
            logits, _ = model(torch.cat([before, question.answer])[None])
            log2 = logits[0].log_softmax(-1) / math.log(2)
            expected = sum(log2[len(before) - 1 + i, token].item() for i, token in enumerate(question.answer))
            assert asked.reply.bits == pytest.approx(max(expected, -20) + 2, abs=1e-4)
            assert asked.reply.output == greedy(model, before)
            assert asked.control.output == greedy(model, question.prompt)


def greedy(model, tokens) -> str:
    said = []
    while len(said) < 2 + 4 and END not in said:
        said.append(int(model(tokens[None])[0][0, -1].argmax()))
        tokens = torch.cat([tokens, torch.tensor(said[-1:])])
    return " ".join(str(token) for token in said if token != END)


def test_chunks_and_batches_change_nothing(model):
    first, second = (quiet(model, First(2), chunk=chunk, batch=batch).questions for chunk, batch in ((512, 6), (3, 1)))
    for a, b in zip(first, second, strict=True):
        assert a["reply"].output == b["reply"].output
        assert a["reply"].bits == pytest.approx(b["reply"].bits, abs=1e-4)


def test_asking_changes_no_state(model):
    stream = First(2).stream(20, 3)
    _, state = model(whole(stream)[None])
    before = [leaf.clone() for leaf in leaves(state)]
    with torch.no_grad():
        together = ask(model, take(state, [0, 0]), stream.questions, CPU)
        alone = [ask(model, state, [question], CPU)[0] for question in stream.questions]
    assert [reply.output for reply in together] == [reply.output for reply in alone]
    assert all(torch.equal(a, b) for a, b in zip(before, leaves(state), strict=True))


def test_a_stream_is_never_held():
    task = First()
    growth = quiet(Perfect(), task, lengths=[100, 3000], streams=2, batch=2, chunk=50).lengths
    assert task.largest == 50
    assert task.most_alive <= 6
    assert growth[0]["state_bytes"] == growth[1]["state_bytes"] == 16
    assert all(row["peak_bytes"] > 0 and row["units_per_second"] > 0 for row in growth)


def test_chunks_are_whole_periods():
    memory = Gridded()
    quiet(memory, First(), streams=2, chunk=8, lengths=[12])
    assert {shape for shape in memory.scans if shape[0] == 2 and shape[1] > 3} == {(2, 6)}


def test_streams_of_different_lengths_share_a_batch():
    evaluation = quiet(Perfect(), First(extra=9), streams=8, chunk=4)
    assert {record.units for record in evaluation.streams} != {20}
    assert evaluation.lengths[0]["accuracy"]["mean"] == 1


def test_streams_are_paired_across_lengths():
    records = quiet(Perfect(), First(), lengths=[30, 10], streams={10: 4, 30: 2}).streams
    assert [(r.length, r.stream, r.seed) for r in records] == [
        *((10, i, stream_seed(0, i)) for i in range(4)),
        *((30, i, stream_seed(0, i)) for i in range(2)),
    ]


def test_scorers_and_decode():
    evaluation = quiet(
        Perfect(),
        First(),
        decode=lambda tokens: "".join("abcd"[token] for token in tokens),
        scorers={"letter": lambda output, question, answer, choices: output == "abcd"[int(answer)]},
    )
    assert evaluation.lengths[0]["scorers"]["letter"]["accuracy"]["mean"] == 1
    assert all(question["reply"].output in "abcd" for question in evaluation.questions)


def test_only_some_questions():
    assert len(quiet(Perfect(), First(2), questions=1).questions) == 6


def test_mode_gradients_and_silence(model, capsys):
    model.train()
    quiet(model, First())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert capsys.readouterr() == ("", "")


def test_autocast():
    row = quiet(Model(), First(), autocast=torch.bfloat16).lengths[0]
    assert math.isfinite(row["bits"]["mean"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lengths": []}, "at least one length"),
        ({"streams": 0}, "streams=0"),
        ({"chunk": 0}, "chunk=0"),
        ({"scorers": {"x": lambda *_: True}}, "give decode"),
    ],
)
def test_errors_teach(options, message):
    with pytest.raises(ValueError, match=message):
        quiet(Perfect(), First(), **options)


def test_too_few_logits():
    memory = Model()
    memory.head = torch.nn.Linear(8, 3)
    with pytest.raises(ValueError, match="token 7 but the network has 3 logits"):
        quiet(memory, First())


def test_results_are_strict_json(tmp_path):
    evaluation = quiet(Perfect(), First(2), store=tmp_path, about={"command": "x"})
    written = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert written["about"] == {"command": "x"}
    assert written["lengths"] == evaluation.lengths
    assert written["settings"]["task"] == {"class": "First", "questions": 2, "extra": 0}
