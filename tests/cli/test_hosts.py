"""A pretrained model that gets a memory, from the command line: trained, examined, streamed, and refused."""

from __future__ import annotations

import json
import shutil

import pytest

transformers = pytest.importorskip("transformers", minversion="5.24")

from mnesis.cli.designs import HostedDesign  # noqa: E402
from mnesis.cli.training import train_reader  # noqa: E402
from mnesis.nets import HostedLanguageModel, load  # noqa: E402
from mnesis.tasks.stories.babilong.source import BABILongSource  # noqa: E402

from ..nets.huggingface.models import built, folder_of  # noqa: E402
from ..nets.huggingface.test_host import REFUSED  # noqa: E402
from .test_commands import run as command  # noqa: E402
from .test_commands import short_phases  # noqa: E402


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return folder_of("llama", tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def run(host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "hosted"
    design = HostedDesign(str(host), "armt", 2, {"memory_tokens": 2, "memory_dim": 4})
    _, result = train_reader(folder, BABILongSource(), design, short_phases(), progress=False)
    assert result.finished
    return folder


def test_the_run_is_a_reader_with_the_hosts_tokens(run, host) -> None:
    network = load(run)
    assert isinstance(network, HostedLanguageModel)
    assert network.path == str(host)
    assert (run / "tokenizer.json").exists()
    assert (run / "model.safetensors").stat().st_size < (host / "model.safetensors").stat().st_size


def test_a_run_that_named_its_host_otherwise_is_gone_on_with(run, host, tmp_path) -> None:
    """As earlier versions did, or under another path: what it is says the digest."""
    folder = tmp_path / "hosted"
    shutil.copytree(run, folder)
    config = json.loads((folder / "phase-1" / "config.json").read_text())
    arguments = config["config"]["model"]["arguments"]
    arguments["host"] = "somewhere/else"
    del arguments["configuration"]
    (folder / "phase-1" / "config.json").write_text(json.dumps(config))
    design = HostedDesign(str(host), "armt", 2, {"memory_tokens": 2, "memory_dim": 4})
    _, result = train_reader(folder, BABILongSource(), design, short_phases(), progress=False)
    assert result.finished


@pytest.mark.slow
def test_it_is_examined_as_any_reader(run, capsys) -> None:
    code, out, err = command(capsys, "evaluate", str(run), "--lengths", "300", "--questions", "2", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["about"]["model"] == "hosted"
    assert told["settings"]["task"]["vocabulary"] == load(run).vocabulary


def test_it_reads_a_text_as_any_reader(run, tmp_path, capsys) -> None:
    book = tmp_path / "book.txt"
    book.write_text("Mary went to the kitchen. " * 20)
    code, out, err = command(capsys, "stream", str(book), "--model", str(run), "--ask", "Where is Mary?", "--json")
    assert code == 0, err
    (answer,) = json.loads(out)["answers"]
    assert answer["question"] == "Where is Mary?"


def test_a_model_is_shown_as_the_host_that_it_is(host, run, tmp_path, capsys) -> None:
    code, out, err = command(capsys, "show", str(host), "--json")
    assert code == 0, err
    (facts,) = json.loads(out)
    assert facts["kind"] == "pretrained model"
    assert facts["architecture"] == "LlamaForCausalLM"
    assert (facts["host"], facts["dim"], facts["layers"]) == ("yes", 32, 3)
    assert facts["heads"] == "4 of 8, reading 2 of keys"
    assert float(facts["gap"].split()[0]) < 1e-5
    code, out, _ = command(capsys, "show", str(run))
    assert "HostedLanguageModel" in out
    built(*REFUSED["opt"]).save_pretrained(tmp_path)
    code, out, _ = command(capsys, "show", str(tmp_path))
    assert code == 0
    assert "host: no: OPTForCausalLM cannot be a host: it computes otherwise before the first layer" in out


def test_a_file_that_is_no_model_is_not_exported(tmp_path, capsys) -> None:
    (tmp_path / "made-up.gguf").write_bytes(b"GGUF" + bytes(200))
    code, _, told = command(capsys, "export", str(tmp_path / "made-up.gguf"), str(tmp_path / "out"))
    assert code == 2
    assert "holds no language model that can be read" in told
    assert [path.name for path in tmp_path.iterdir()] == ["made-up.gguf"]


def test_what_is_a_model_of_transformers_or_rests_on_one_is_not_exported(host, run, tmp_path, capsys) -> None:
    for what, sentence in ((host, "is a model of transformers already"), (run, "a memory on a pretrained host is no")):
        code, _, told = command(capsys, "export", str(what), str(tmp_path / "out"))
        assert code == 2
        assert sentence in told
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "nowhere"], "--host nowhere is not there"),
        (["--host", ""], "--host is empty; give it a value, or leave it out"),
        (["--lora", "4"], "--lora is for a pretrained model, and none is given; give --host FOLDER too"),
        (["--recipe", "hosted"], "--recipe hosted is for a pretrained model"),
        (["--host", "HOST", "--lora", "0"], "lora"),
        (["--host", "HOST", "--dim", "64"], "--dim is a size of the network, and --host has its own; leave it out"),
        (["--host", "HOST", "--vocabulary", "500"], "--vocabulary is of a tokenizer that is trained"),
        (["--host", "HOST", "--memory", "gru"], "gru wraps no host; give one of rmt, armt"),
        (
            ["--host", "HOST", "--memory", "rmt", "--options", "memory_tokens=0", "segment=64"],
            "rmt with these options has no weights, and the host rests, so that nothing would learn; give --lora 8",
        ),
        (
            ["--host", "HOST", "--memory", "rmt", "--options", "memory_tokens=4"],
            "was trained on at most 128; give segment=120 or less",
        ),
    ],
)
def test_what_a_host_cannot_have_is_refused(host, tmp_path, capsys, options, sentence) -> None:
    given = [str(host) if option == "HOST" else option for option in options]
    folder = tmp_path / "run"
    code, _, told = command(capsys, "train", "babilong", *given, "--folder", str(folder))
    assert code == 2
    assert sentence in told
    assert "\n" not in told.strip()
    assert not folder.exists()


def test_a_pretrained_model_in_the_place_of_a_run_is_told_what_it_lacks(host, capsys) -> None:
    code, _, told = command(capsys, "evaluate", str(host))
    assert code == 2
    assert f"{host} is a pretrained model (llama), which has no memory; give it one with mnesis train" in told
    assert "\n" not in told.strip()
