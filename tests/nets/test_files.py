"""Folders of networks and memories: what they name, what they ask for, and what of them comes back."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import mnesis
from mnesis.core.catalog import list_memories
from mnesis.learn import Recipe, Stage, fit
from mnesis.nets import LanguageModel, Stack, build, load, save, specification

OWN = """
from pathlib import Path
import torch, mnesis
Path({trace!r}).touch()

class Mine(mnesis.Memory):
    def __init__(self, dim: int, size: int = 3) -> None:
        super().__init__()
        self.dim, self.read = dim, torch.nn.Linear(dim, dim)

    def initial_state(self, batch, *, device, dtype):
        return (torch.zeros(batch, self.dim, device=device, dtype=dtype),)

    def scan(self, x, state, phase=0):
        y = state[0][:, None] + self.read(x).cumsum(1)
        return y, (y[:, -1].clone(),)
"""


@pytest.fixture
def reader(tmp_path) -> Path:
    torch.manual_seed(0)
    save(LanguageModel(11, dim=8, memory="gru", depth=1), tmp_path / "reader")
    return tmp_path / "reader"


@pytest.fixture
def own(tmp_path) -> tuple[str, Path]:
    """A memory of one's own as file.py:Class, and what stands there once its file has run."""
    (tmp_path / "own.py").write_text(OWN.format(trace=str(tmp_path / "ran")))
    return f"{tmp_path / 'own.py'}:Mine", tmp_path / "ran"


def change(folder: Path, **arguments: Any) -> None:
    described = json.loads((folder / "config.json").read_text())
    described["arguments"].update(arguments)
    (folder / "config.json").write_text(json.dumps(described))


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(ValueError) as refused:
        load(folder, **options)
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "wrap", [lambda name: name, lambda name: ["gru", name], lambda name: [name]], ids=["name", "second block", "list"]
)
@pytest.mark.parametrize("kind", ["file", "module"])
def test_a_folder_that_names_code_does_not_run_it(reader, own, monkeypatch, wrap, kind) -> None:
    name, ran = own
    if kind == "module":
        monkeypatch.syspath_prepend(reader.parent)
        name = "own:Mine"
    change(reader, memory=wrap(name))
    said = refusal(reader)
    assert "names" in said
    assert "trust=True, on the command line --trust" in said
    assert not ran.exists()


def test_a_run_that_names_code_does_not_run_it(reader, own) -> None:
    name, ran = own
    change(reader, memory=name)
    described = json.loads((reader / "config.json").read_text())
    (reader / "config.json").write_text(json.dumps({"config": {"model": described, "phases": []}}))
    assert "--trust" in refusal(reader)
    assert not ran.exists()


@pytest.mark.parametrize("name", [":x", "x:", "gru:", "os:system", "./a.py:B"])
def test_names_with_a_colon_are_never_looked_for(reader, name) -> None:
    change(reader, memory=name)
    assert "which is not of the catalog" in refusal(reader)


def test_a_specification_is_held_to_the_catalog_too(own) -> None:
    name, ran = own
    with pytest.raises(ValueError, match=r"the specification names .*own\.py:Mine"):
        build({"network": "Stack", "arguments": {"dim": 4, "memory": name}})
    assert not ran.exists()
    assert type(build({"memory": name, "arguments": {"dim": 4}}, trust=True)).__name__ == "Mine"


def test_what_is_trusted_is_read_with_its_own_code(tmp_path, own) -> None:
    name, _ = own
    network = Stack(4, memory=name, depth=1).eval()
    save(network, tmp_path / "stack")
    assert "--trust" in refusal(tmp_path / "stack")
    x = torch.randn(1, 3, 4)
    assert torch.equal(load(tmp_path / "stack", trust=True)(x)[0], network(x)[0])


def test_the_catalog_is_open_again_after_a_refusal(reader, own) -> None:
    change(reader, memory=own[0])
    refusal(reader)
    assert type(mnesis.create_memory(own[0], dim=4)).__name__ == "Mine"


def test_every_memory_of_the_catalog_survives_its_folder(tmp_path) -> None:
    for card in list_memories():
        torch.manual_seed(0)
        memory = mnesis.create_memory(card.name, **card.example).eval()
        save(memory, tmp_path / card.name)
        described = json.loads((tmp_path / card.name / "config.json").read_text())
        assert described["memory"] == card.name
        again = load(tmp_path / card.name)
        assert json.dumps(again.config) == json.dumps(memory.config), card.name
        held = again.state_dict()
        assert list(held) == list(memory.state_dict())
        assert all(torch.equal(held[name], tensor) for name, tensor in memory.state_dict().items()), card.name


def test_a_memory_of_ones_own_is_saved_by_its_class(tmp_path, own) -> None:
    name, _ = own
    memory = mnesis.create_memory(name, dim=4, size=5).eval()
    save(memory, tmp_path / "mine")
    assert specification(memory) == {"memory": name, "arguments": {"dim": 4, "size": 5}}
    assert "--trust" in refusal(tmp_path / "mine")
    x = torch.randn(2, 3, 4)
    assert torch.equal(load(tmp_path / "mine", trust=True)(x)[0], memory(x)[0])


def test_what_no_program_could_build_again_is_refused_and_leaves_nothing(tmp_path, monkeypatch) -> None:
    class Local(type(mnesis.create_memory("gru", dim=4))):
        pass

    body = Stack(4, memory=[mnesis.create_memory("gru", dim=4)])
    for network, sentence in [(body, "was built from objects"), (Local(4), "is defined in the running script")]:
        with pytest.raises(ValueError, match=sentence):
            save(network, tmp_path / "folder")
    with pytest.raises(ValueError, match=r"dtype=torch\.float8_e5m2 is none that files hold"):
        save(mnesis.create_memory("gru", dim=4), tmp_path / "folder", dtype=torch.float8_e5m2)
    with torch.device("meta"):
        bare = mnesis.create_memory("gru", dim=4)
    with pytest.raises(ValueError, match="on the meta device"):
        save(bare, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_disk_that_fills_is_one_sentence_and_leaves_no_folder(tmp_path, monkeypatch) -> None:
    import mnesis.core.tensors

    def full(*arguments: Any, **options: Any) -> None:
        from safetensors import SafetensorError

        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(mnesis.core.tensors, "save_file", full)
    with pytest.raises(ValueError, match=r"cannot write .*: the disk is full; make room"):
        save(mnesis.create_memory("gru", dim=4), tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


HUGE = {
    "width": {"dim": 10**9},
    "width of 100,000": {"dim": 10**5},
    "depth": {"depth": 10**9},
    "vocabulary": {"vocabulary": 10**9},
    "hidden": {"hidden": 10**9},
    "a memory's hidden": {"options": {"hidden": 10**9}},
    "convolution": {"convolution": 10**9},
    "order of HiPPO": {"memory": "hippo", "options": {"order": 10**5}},
    "window of the LMU": {"memory": "lmu", "options": {"order": 10**6}},
    "order of LSSL": {"memory": "lssl", "options": {"order": 10**5}},
    "reservoir": {"memory": "echo-state", "dim": 10**6},
    "Taylor order": {"memory": "taylor-attention", "options": {"order": 10**9}},
    "layers of a whole stack": {"memory": "armt", "depth": 10**9},
    "layers in options": {"memory": "rmt", "options": {"layers": 10**9}},
    "levels of a TCN": {"memory": "tcn", "options": {"levels": 10**9}},
}


@pytest.mark.parametrize("case", HUGE)
def test_sizes_that_the_weights_do_not_have_ask_for_nothing(reader, case) -> None:
    change(reader, **HUGE[case])
    said = refusal(reader)
    assert "asked for" in said or "describes a network that cannot be built" in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"dim": 9}, r"head\.weight has the shape \[11, 8\], and there \[11, 9\]|has the shape"),
        ({"depth": 2}, "it lacks reader.body.blocks.1.*and 7 more"),
        ({"mlp": None}, "it has beside it reader.body.blocks.0.mlp.fall.weight and 2 more"),
        ({"dim": 0}, "dim=0 is not a whole number of at least 1"),
        ({"dim": 8.5}, "dim=8.5 is not a whole number"),
        ({"dim": "8"}, "dim='8' is not a whole number"),
        ({"dims": 8}, "has no argument 'dims'; did you mean 'dim'"),
        ({"memory": "grru"}, "no memory is called 'grru'; did you mean 'gru'"),
        ({"memory": 5}, "memory=5 is not"),
        ({"memory": ["gru", 5]}, "is not"),
        ({"options": {"hiden": 4}}, "gru has no option 'hiden'; did you mean 'hidden'"),
        ({"options": 5}, "options=5 is not"),
    ],
)
def test_arguments_that_do_not_fit_get_one_sentence(reader, arguments, sentence) -> None:
    change(reader, **arguments)
    assert re.search(sentence, refusal(reader)), refusal(reader)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "is not whole JSON"),
        (b"[]", "is not a mapping"),
        (b"5", "is not a mapping"),
        (b"null", "is not a mapping"),
        (b"\xff\xfe{\x00}\x00", "is not UTF-8 text"),
        (b"[" * 100_000, "is nested deeper"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "is nested"),
        (b'{"network": "LanguageModel", "arguments": NaN}', "NaN is no JSON number"),
        (b'{"network": "LanguageModel"}', "has no entry 'arguments'"),
        (b'{"network": 5, "arguments": {}}', "network=5 is not text"),
        (b'{"network": "LanguageModel", "arguments": []}', r"arguments=\[\] is not a mapping"),
        (b'{"network": "Languagemodel", "arguments": {}}', "did you mean 'LanguageModel'"),
        (b'{"network": "LanguageModel", "arguments": {}, "more": 1}', "'more' that does not belong"),
        (b'{"network": "LanguageModel", "arguments": {}}', "missing .* 'vocabulary'"),
        (b'{"memory": "gru", "arguments": {}}', "gru needs dim"),
        (b'{"memory": "gru", "arguments": {"dim": 4, "hidden": true}}', "hidden=True is not"),
        (b'{"config": 5}', "names no network"),
        (b'{"config": {"model": 5}}', "names no network"),
        (b'{"config": {}}', "names no network"),
        (b"{}", "names no network"),
    ],
)
def test_a_configuration_that_is_none_gets_one_sentence(reader, content, sentence) -> None:
    (reader / "config.json").write_bytes(content)
    assert re.search(sentence, refusal(reader)), refusal(reader)


def spoilt(folder: Path, **changes: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.update(changes)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(("value", "what"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_weights_that_diverged_are_refused_and_can_be_looked_at(reader, value, what) -> None:
    weight = load_file(reader / "model.safetensors")["reader.embedding.weight"]
    weight[3, 2] = value
    spoilt(reader, **{"reader.embedding.weight": weight})
    assert f"holds {what} in reader.embedding.weight: the training diverged" in refusal(reader)
    assert not load(reader, allow_nan=True).state_dict()["reader.embedding.weight"].isfinite().all()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"more": torch.ones(1)}, "it has beside it more"),
        ({"head.weight": torch.ones(11, 7)}, r"head.weight has the shape [11, 7], and there [11, 8]"),
        (
            {"head.weight": torch.ones(11, 8).long()},
            "holds head.weight as torch.int64, and its network as torch.float32",
        ),
    ],
)
def test_weights_of_another_network_are_named(reader, changes, sentence) -> None:
    spoilt(reader, **changes)
    assert sentence in refusal(reader)


def test_a_tied_head_is_kept_once_and_tied_again(tmp_path) -> None:
    torch.manual_seed(0)
    tied = LanguageModel(32, dim=16, memory="gla", depth=1, options={"heads": 2}, tie=True).eval()
    assert tied.head.weight is tied.reader.embedding.weight
    save(tied, tmp_path / "tied")
    assert "head.weight" not in load_file(tmp_path / "tied" / "model.safetensors")
    again = load(tmp_path / "tied")
    assert again.config["tie"] is True
    assert again.head.weight is again.reader.embedding.weight
    tokens = torch.randint(32, (2, 5))
    assert torch.equal(again(tokens)[0], tied(tokens)[0])
    again(tokens)[0].sum().backward()
    assert again.head.weight.grad is again.reader.embedding.weight.grad


def test_parameters_that_somebody_shares_are_shared_again(tmp_path) -> None:
    model = LanguageModel(32, dim=16, memory="gla", depth=2, options={"heads": 2}).eval()
    model.head.weight = model.reader.embedding.weight
    model.reader.body.blocks[1].mlp.fall.weight = model.reader.body.blocks[0].mlp.fall.weight
    save(model, tmp_path / "tied")
    again = load(tmp_path / "tied")
    assert again.head.weight is again.reader.embedding.weight
    assert again.reader.body.blocks[1].mlp.fall.weight is again.reader.body.blocks[0].mlp.fall.weight
    assert sum(p.numel() for p in again.parameters()) == sum(p.numel() for p in model.parameters())
    tokens = torch.randint(32, (2, 5))
    assert torch.equal(again(tokens)[0], model(tokens)[0])


@pytest.mark.parametrize(
    "tied",
    [
        "{", "5", '{"a": 1}', '{"head.weight": "nothing"}', '{"x": "head.weight"}', "[" * 9999,
        '{"head.weight": "reader.body.final_norm.weight"}',
        '{"reader.body.blocks.0.mlp_norm.weight": "reader.body.blocks.0.memory_norm.weight"}',
    ],
)  # fmt: skip
def test_ties_that_cannot_be_are_refused(reader, tied) -> None:
    weights = load_file(reader / "model.safetensors")
    save_file(weights, reader / "model.safetensors", {"tied": tied})
    assert "shares the tensor" in refusal(reader) or "list of shared tensors" in refusal(reader)


def test_whole_numbers_stay_whole_in_a_narrower_file(tmp_path) -> None:
    memory = mnesis.create_memory("gru", dim=4).eval()
    memory.register_buffer("count", torch.tensor([2**20 + 1]))
    save(memory, tmp_path / "m", dtype=torch.float16)
    held = load_file(tmp_path / "m" / "model.safetensors")
    assert held["count"].tolist() == [2**20 + 1]
    assert {tensor.dtype for name, tensor in held.items() if name != "count"} == {torch.float16}


def test_a_replaced_folder_keeps_modes_and_links(tmp_path, reader) -> None:
    real = tmp_path / "elsewhere.safetensors"
    (reader / "model.safetensors").rename(real)
    (reader / "model.safetensors").symlink_to(real)
    os.chmod(real, 0o600)
    before = real.read_bytes()
    save(LanguageModel(11, dim=8, memory="gru", depth=1), reader, overwrite=True)
    assert (reader / "model.safetensors").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert real.read_bytes() != before


def test_the_network_of_an_odd_path_opens(tmp_path, reader) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.rename(reader, odd)
    assert isinstance(load(odd), LanguageModel)


def test_a_place_that_is_no_folder_is_told(tmp_path, reader) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no config\.json; it is no saved network"):
        load(tmp_path / "nothing")
    (reader / "config.json").unlink()
    (reader / "config.json").mkdir()
    assert "is a folder and no file" in refusal(reader)


def test_a_class_of_the_running_script_cannot_be_named(monkeypatch, tmp_path) -> None:
    cls = type(mnesis.create_memory("gru", dim=4))
    other = type("Other", (cls,), {"__module__": "__main__", "__qualname__": "Other"})
    monkeypatch.setitem(sys.modules, "__main__", sys.modules[__name__])
    with pytest.raises(ValueError, match="Other is defined in the running script, where no other program finds it"):
        save(other(4), tmp_path / "m")


@pytest.mark.parametrize(
    ("network", "name", "before"),
    [
        (
            lambda **options: LanguageModel(11, dim=16, memory="xlstm", depth=2, options=options),
            "xlstm",
            {"norm": "rms"},
        ),
        (lambda **options: mnesis.create_memory("xlstm", dim=16, layers=2, **options), "xlstm", {"norm": "rms"}),
        (lambda **options: Stack(16, memory="gla", depth=2, options=options), "gla", {"epsilon": 1e-5}),
    ],
    ids=["model", "bare", "stack"],
)
def test_weights_of_an_earlier_revision_compute_as_they_did(network, name, before, tmp_path) -> None:
    """Files say which revision of a memory their weights are of; those of earlier versions are of the first."""
    torch.manual_seed(0)
    now, then = network(), network(**before)
    now.load_state_dict(then.state_dict())
    x = torch.randint(11, (2, 9)) if now.dim is None else torch.randn(2, 9, 16)
    save(now, tmp_path / "now")
    assert torch.equal(load(tmp_path / "now")(x)[0], now(x)[0])
    config = json.loads((tmp_path / "now" / "config.json").read_text(encoding="utf-8"))
    assert config.pop("revisions")[name] == 2
    (tmp_path / "now" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = load(tmp_path / "now")
    if "network" not in config:  # a bare memory names all its options
        assert torch.equal(found(x)[0], now(x)[0])
        return
    assert torch.equal(found(x)[0], then(x)[0])
    assert not torch.equal(found(x)[0], now(x)[0])
    save(found, tmp_path / "again")
    assert torch.equal(load(tmp_path / "again")(x)[0], then(x)[0])


def test_a_later_revision_than_this_version_has_is_refused(tmp_path) -> None:
    save(mnesis.create_memory("gla", dim=16), tmp_path / "gla")
    config = json.loads((tmp_path / "gla" / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "gla" / "config.json").write_text(json.dumps(config | {"revisions": {"gla": 9}}), encoding="utf-8")
    with pytest.raises(ValueError, match="is of revision 9 of gla, and this version of mnesis has 2; update"):
        load(tmp_path / "gla")


@pytest.mark.parametrize("kind", ["named", "earlier", "bare", "described"])
def test_what_a_training_wrote_is_loaded(kind, tmp_path) -> None:
    """Also where nobody told the training how its network is built."""
    task = mnesis.create_task("copy", symbols=4)
    network = LanguageModel(task.vocabulary, dim=16, memory="gla", depth=1, options={"heads": 2})
    config = {"model": specification(network)} if kind == "described" else {"note": 1}
    fit(network, task, Recipe((Stage(2, 4, 3),), save_every=2), tmp_path / "run", config=config, progress=False)
    x = torch.randint(task.vocabulary, (2, 9))
    if kind == "bare":  # as of a memory that was trained by itself
        description = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
        memory = mnesis.create_memory("gru", dim=8)
        description["memory"] = memory.describe()
        del description["model"]
        save(memory, tmp_path / "run", overwrite=True)
        (tmp_path / "run" / "config.json").write_text(json.dumps(description), encoding="utf-8")
        network, x = memory, torch.randn(2, 9, 8)
    if kind == "earlier":  # as versions wrote it that kept the memory's own description alone
        description = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
        del description["model"]
        (tmp_path / "run" / "config.json").write_text(json.dumps(description), encoding="utf-8")
    found = load(tmp_path / "run")
    assert type(found) is type(network)
    assert torch.equal(found(x)[0], network.eval()(x)[0])
    broken = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    if kind in ("earlier", "bare"):
        broken["memory"]["arguments"] = "{"
        (tmp_path / "run" / "config.json").write_text(json.dumps(broken), encoding="utf-8")
        with pytest.raises(ValueError, match=r"the arguments of mnesis\..* is not whole JSON"):
            load(tmp_path / "run")


def test_lists_of_memories_of_an_earlier_revision(tmp_path) -> None:
    """Each computes as it did; where that cannot be said, it is refused."""

    def saved(network: mnesis.Memory[Any], name: str) -> Path:
        save(network, tmp_path / name)
        config = json.loads((tmp_path / name / "config.json").read_text(encoding="utf-8"))
        config.pop("revisions", None)
        (tmp_path / name / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return tmp_path / name

    torch.manual_seed(0)
    names, then = ["xlstm", "gru"], [{"norm": "rms"}, {}]
    model = LanguageModel(11, dim=16, memory=names, options=then)
    today = LanguageModel(11, dim=16, memory=names)
    today.load_state_dict(model.state_dict())
    x = torch.randint(11, (2, 9))
    assert torch.equal(load(saved(today, "model"))(x)[0], model(x)[0])
    alike = load(saved(Stack(16, memory=["galite", "galite"]), "alike"))
    assert {block.memory.epsilon for block in alike.blocks} == {1e-5}
    with pytest.raises(ValueError, match=r"galite, gru share their options, and galite computes otherwise since these"):
        load(saved(Stack(16, memory=["galite", "gru"]), "unlike"))


@pytest.mark.parametrize(
    "config",
    [
        {"memory": ["x"], "arguments": {}},
        {"memory": {}, "arguments": {"dim": 8}},
        {"network": "LanguageModel", "arguments": {"vocabulary": 16, "memory": [["x"], "gru"], "options": [{}, {}]}},
        {"network": "LanguageModel", "arguments": {"vocabulary": 16, "memory": ["gla"], "options": [5]}},
        {"network": "Stack", "arguments": {"dim": 8, "memory": "gla", "options": 5}},
        {"config": {"model": {"memory": ["a"], "arguments": {}}}},
        {"memory": {"memory": "x", "arguments": "[]"}},
    ],
)
def test_configurations_of_no_network_are_one_sentence(config, tmp_path) -> None:
    save(mnesis.create_memory("gru", dim=8), tmp_path / "own")
    (tmp_path / "own" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json|the arguments of x"):
        load(tmp_path / "own")


def test_somebody_elses_config_is_not_replaced(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"my": "settings"}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"holds a config.json of something else; choose another folder or pass"):
        save(mnesis.create_memory("gru", dim=8), tmp_path)
    assert (tmp_path / "config.json").read_text(encoding="utf-8") == '{"my": "settings"}'
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
