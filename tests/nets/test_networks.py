"""Networks are memories: the laws hold for them, they generate, and they survive a folder."""

from __future__ import annotations

import json

import pytest
import torch

from mnesis.core.catalog import create_memory
from mnesis.core.laws import check, laws_for
from mnesis.core.state import take
from mnesis.nets import Classifier, LanguageModel, Stack, build, load, save, specification

SEGMENT = {"segment": 8, "memory_tokens": 3, "heads": 2}


def networks() -> list:
    torch.manual_seed(0)
    window = create_memory("window", dim=16, window=11)
    transformer_xl = create_memory("transformer-xl", dim=16, heads=2, segment=8, memory_length=12)
    return [
        LanguageModel(17, dim=16, memory="gru", convolution=3, hidden=24),
        LanguageModel(17, dim=16, memory="rmt", hidden=24, options=SEGMENT),
        Classifier(5, 3, dim=12, memory="lstm"),
        Stack(16, memory=["gru", window]),
        LanguageModel(17, dim=16, memory="window", convolution=3, hidden=24, options={"window": 11}),
        Stack(16, memory=[create_memory("window", dim=16, window=11), transformer_xl]),
    ]


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("index", [0, 1, 2, *(pytest.param(index, marks=pytest.mark.slow) for index in (3, 4, 5))])
def test_a_network_obeys_the_laws(index: int) -> None:
    network = networks()[index]
    laws = [law for law in laws_for(network) if law not in ("compiles", "extremes")]
    assert not [gap for gap in check(network, laws=laws, dtypes=(torch.float64,)) if not gap.holds]


def test_unlike_blocks_by_name(tmp_path) -> None:
    model = LanguageModel(17, dim=16, memory=["gru", "window"], options=[{}, {"window": 11}])
    assert [type(block.memory).__name__ for block in model.reader.body.blocks] == ["GRU", "Window"]
    save(model, tmp_path / "model")
    x = torch.randint(17, (2, 20))
    assert torch.equal(load(tmp_path / "model")(x)[0], model.eval()(x)[0])
    with pytest.raises(ValueError, match=r"2 blocks \(gru, window\) need options for each"):
        LanguageModel(17, dim=16, memory=["gru", "window"], options={"window": 11})
    with pytest.raises(ValueError, match="one memory, gru, takes one mapping"):
        LanguageModel(17, dim=16, memory="gru", options=[{}])


@pytest.mark.usefixtures("without_type_checks")
def test_a_stack_takes_the_common_grid() -> None:
    options = {"memory_tokens": 2, "heads": 2, "hidden": 24, "layers": 1}
    four, six = (create_memory("rmt", dim=16, segment=segment, **options) for segment in (4, 6))
    stack = Stack(16, memory=[four, six])
    assert stack.period == 12
    assert not [gap for gap in check(stack, laws=["cuts", "resets"], dtypes=(torch.float64,)) if not gap.holds]


def test_ragged_pieces_run_at_once_where_every_block_can() -> None:
    assert [network.native_length for network in networks()] == [False, True, False, False, True, True]


def test_generation_continues_from_a_state() -> None:
    model = networks()[0].eval()
    prompt = torch.randint(17, (2, 9))
    whole, _ = model.generate(prompt, tokens=6)
    _, state = model(prompt[:, :4])
    continued, after = model.generate(prompt[:, 4:], state, tokens=6)
    assert torch.equal(whole, continued)
    more, _ = model.generate(continued[:, -1:], after, tokens=2)
    eight, _ = model.generate(prompt, tokens=8)
    assert torch.equal(eight[:, 6:], more)


def test_greedy_generation_takes_the_likeliest_token_each_time() -> None:
    model = networks()[1].eval()
    tokens = torch.randint(17, (1, 5))
    generated, _ = model.generate(tokens, tokens=4)
    for token in generated[0]:
        assert int(model(tokens)[0][0, -1].argmax()) == int(token)
        tokens = torch.cat([tokens, token[None, None]], 1)


def test_sampling_is_reproducible_and_obeys_top_k() -> None:
    model = networks()[0].eval()
    prompt = torch.randint(17, (1, 5))
    draw = lambda seed, **options: model.generate(  # noqa: E731
        prompt, tokens=20, temperature=1.0, generator=torch.Generator().manual_seed(seed), **options
    )[0]
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert torch.equal(draw(1, top_k=1), model.generate(prompt, tokens=20)[0])
    coldest = model.generate(prompt, tokens=20, temperature=1e-310)[0]
    assert torch.equal(coldest, model.generate(prompt, tokens=20)[0])


def test_generation_stops_at_the_end_token() -> None:
    model = networks()[0].eval()
    prompt = torch.randint(17, (1, 5))
    end = int(model.generate(prompt, tokens=1)[0])
    assert model.generate(prompt, tokens=9, end=end)[0].tolist() == [[end]]


def test_parts_are_the_whole() -> None:
    model = networks()[1].eval()
    tokens = torch.randint(17, (2, 19))
    body, readout = model.parts()
    assert torch.equal(model(tokens)[0], readout(body(tokens)[0]))


def test_classify_reads_the_last_real_unit() -> None:
    model = networks()[2].eval()
    x, length = torch.randn(3, 7, 5), torch.tensor([7, 3, 1])
    verdicts = model.classify(x, length)
    for row, units in enumerate(length.tolist()):
        assert torch.allclose(model.classify(x[row : row + 1, :units])[0], verdicts[row], atol=1e-6)


@pytest.mark.parametrize("index", range(3))
def test_a_network_survives_its_folder(tmp_path, index: int) -> None:
    network = networks()[index].eval()
    save(network, tmp_path)
    restored = load(tmp_path)
    assert restored.config == network.config
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), restored.parameters(), strict=True))
    with pytest.raises(ValueError, match=r"already holds model\.safetensors"):
        save(network, tmp_path)
    save(network, tmp_path, overwrite=True, dtype=torch.float16)
    assert next(load(tmp_path).parameters()).dtype == torch.float32


def test_a_broken_folder_is_refused(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        load(tmp_path)
    save(networks()[0], tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load(tmp_path)
    weights.write_bytes(whole)
    config = json.loads((tmp_path / "config.json").read_text())
    config["arguments"]["dim"] = 32
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="does not fit the network"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is not whole JSON"):
        load(tmp_path)


def test_a_specification_builds_the_same_network() -> None:
    network = networks()[0]
    assert build(specification(network)).config == network.config
    with pytest.raises(ValueError, match="no network is called 'Perceptron'"):
        build({"network": "Perceptron", "arguments": {}})


def test_a_forked_state_does_not_change_the_reader() -> None:
    model = networks()[1].eval()
    tokens = torch.randint(17, (2, 11))
    with torch.no_grad():
        _, state = model(tokens)
        before = model(tokens, state)[0]
        model(torch.randint(17, (4, 5)), take(state, [0, 0, 1, 1]))
        assert torch.equal(before, model(tokens, state)[0])


def generating(memory: str, **options) -> LanguageModel:
    torch.manual_seed(3)
    return LanguageModel(17, dim=8, memory=memory, depth=1, options=options).eval()


@pytest.mark.parametrize(
    ("memory", "options"),
    [("gru", {}), ("window", {"heads": 2, "window": 4}), ("rmt", {"segment": 4, "heads": 2, "memory_tokens": 2}),
     ("gla", {"heads": 2, "chunk": 3})],
)  # fmt: skip
def test_ragged_prompts_go_on_as_their_rows_alone(memory: str, options: dict) -> None:
    model, length = generating(memory, **options), torch.tensor([6, 2, 4, 1])
    prompt = torch.randint(17, (4, 6))
    together, state = model.generate(prompt, tokens=7, length=length)
    more, _ = model.generate(together[:, -1:], state, tokens=3)
    for row, units in enumerate(length.tolist()):
        alone, own = model.generate(prompt[row : row + 1, :units], tokens=7)
        assert together[row].tolist() == alone[0].tolist()
        assert more[row].tolist() == model.generate(alone[:, -1:], own, tokens=3)[0][0].tolist()


def test_tokens_have_the_name_of_transformers_too() -> None:
    model, prompt = generating("gru"), torch.randint(17, (2, 3))
    assert torch.equal(model.generate(prompt, max_new_tokens=5)[0], model.generate(prompt, tokens=5)[0])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "tokens and max_new_tokens are one thing, and neither is given"),
        ({"tokens": 2, "max_new_tokens": 2}, "and tokens=2 and max_new_tokens=2 is given; give one of them"),
        ({"tokens": 0}, "tokens=0 is not a whole number of at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens=0 is not a whole number of at least 1"),
        ({"tokens": 2.5}, "tokens=2.5 is not a whole number"),
        ({"tokens": 2, "top_k": 0}, "top_k=0 is not a whole number of at least 1; give 1 or more, or None for all"),
        ({"tokens": 2, "top_k": -1}, "top_k=-1 is not a whole number of at least 1"),
        ({"tokens": 2, "temperature": -0.5}, "temperature=-0.5 is not a finite number of at least 0"),
        ({"tokens": 2, "temperature": float("nan")}, "temperature=nan is not a finite number of at least 0"),
        ({"tokens": 2, "temperature": float("inf")}, "temperature=inf is not a finite number of at least 0"),
        ({"tokens": 2, "temperature": "warm"}, "temperature='warm' is not a finite number"),
        ({"tokens": 2, "length": torch.tensor([3, 0])}, "a row without a prompt; give every row at least one token"),
        ({"tokens": 2, "length": torch.tensor([4, 1])}, r"length holds values 1..4; they must lie in 0..3"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_what_cannot_be_generated_is_refused(given: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        generating("gru").generate(torch.randint(17, (2, 3)), **given)
