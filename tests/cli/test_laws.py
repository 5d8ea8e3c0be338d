"""``mnesis laws`` on classes of strangers: widths, options, reasons, exit codes."""

from __future__ import annotations

import json

import pytest
import torch

from mnesis.cli import main
from mnesis.cli.options import pairs_by_name

BROKEN = "tests.core.broken"
MISTAKES = "tests.core.mistakes"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["laws", *arguments])
    captured = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


def test_a_width_is_given_where_nothing_else_is_needed(capsys) -> None:
    code, out, _ = run(capsys, f"{BROKEN}:Leaky", "--only", "shapes", "rows", "--json")
    assert code == 0
    assert {gap["law"]: gap["holds"] for gap in json.loads(out)} == {"shapes": True, "rows": True}


def test_a_reason_is_told_once(capsys) -> None:
    code, out, _ = run(capsys, f"{MISTAKES}:OutputAlone", "--only", "shapes", "cuts", "rows")
    assert code == 1
    sentence = "shapes, cuts, rows: scan returns a tensor of shape [2, 1, 8]; return (y, state)"
    assert out.count(f"{MISTAKES}:OutputAlone: {sentence}\n") == 1
    assert "0 of 9 hold, 9 are broken" in out
    code, out, _ = run(capsys, f"{MISTAKES}:OutputAlone", "--only", "cuts", "--dtypes", "float32", "--json")
    assert json.loads(out) == [
        {
            "memory": f"{MISTAKES}:OutputAlone", "law": "cuts", "form": "scan", "dtype": "float32", "gap": None,
            "tolerance": 1e-4, "reason": "scan returns a tensor of shape [2, 1, 8]; return (y, state)", "holds": False,
        }
    ]  # fmt: skip


def test_a_gap_without_a_reason_says_what_the_law_says(capsys) -> None:
    code, out, _ = run(capsys, f"{BROKEN}:SeesTheFuture", "--only", "causality", "--dtypes", "float64")
    assert code == 1
    assert f"{BROKEN}:SeesTheFuture: causality: it does not hold that: No output depends on a later unit\n" in out


def test_several_classes_have_options_of_their_own(capsys) -> None:
    names = [f"{BROKEN}:Leaky", f"{BROKEN}:TwoForms", "gru"]
    options = ["Leaky:dim=3", f"{BROKEN}:TwoForms:form=fast", "gru:hidden=5"]
    code, out, _ = run(capsys, *names, "--options", *options, "--only", "shapes", "--json")
    assert code == 0
    assert {gap["memory"] for gap in json.loads(out)} == set(names)
    code, _, error = run(capsys, *names, "--options", "dim=3")
    assert code == 2
    assert error == "mnesis: dim=3 is no option of one of the memories named; write MEMORY:key=value\n"


def test_options_go_by_name() -> None:
    assert pairs_by_name(["a=1", "b=x"], ["my.py:Mine"]) == {"my.py:Mine": ["a=1", "b=x"]}
    given = pairs_by_name(["Mine:a=x:y", "gru:b=2"], ["my.py:Mine", "gru"])
    assert given == {"my.py:Mine": ["a=x:y"], "gru": ["b=2"]}
    with pytest.raises(ValueError, match="Mine:a=1 is no option of one of the memories named"):
        pairs_by_name(["Mine:a=1"], ["a.py:Mine", "b.py:Mine"])
    with pytest.raises(ValueError, match=r"grru:a=1 is no option of one of the memories named; did you mean gru:a\?"):
        pairs_by_name(["grru:a=1"], ["gru", "lstm"])


HEAD = "import torch\nfrom torch import nn\nfrom mnesis import Memory\n\n"
CLASS = HEAD + "class Mine(Memory):\n    def __init__(self, {arguments}):\n        {line}\n"
CANNOT = "cannot import m.py:Mine "
MEND = "; mend it there\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\nraise RuntimeError('no data\\nhere')", CANNOT + "(RuntimeError: no data (m.py, line 2))" + MEND),
        ("x = 1\nclass Mine(:\n    pass", CANNOT + "(SyntaxError: invalid syntax (m.py, line 2))" + MEND),
        ("import no_such_thing",
         CANNOT + "(ModuleNotFoundError: No module named 'no_such_thing' (m.py, line 1))" + MEND),
        ("raise SystemExit(3)", CANNOT + "(SystemExit: 3 (m.py, line 1))" + MEND),
        ("class Mind: ...", "cannot import m.py:Mine (nothing there has that name); did you mean 'Mind'?\n"),
        ("Mine = 3", "m.py:Mine is no class but of type int; name the class\n"),
        (CLASS.format(arguments="dim", line="super().__init__(); {}['x']"),
         "m.py:Mine cannot be built: KeyError: 'x' (m.py, line 7); mend it, or give other --options\n"),
        (CLASS.format(arguments="dim", line="self.rise = nn.Linear(3, 3)"),
         "m.py:Mine cannot be built: AttributeError: cannot assign module before Module.__init__() call (m.py, line "
         "7); mend it, or give other --options\n"),
        (CLASS.format(arguments="dim, slots", line="super().__init__()"),
         "m.py:Mine needs slots; give --options slots=...\n"),
        (CLASS.format(arguments="dim", line="super().__init__()"), "Mine has neither dim nor vocabulary, so no "
         "inputs can be drawn; set self.dim, the width of the vectors that it reads, or self.vocabulary, the number of "
         "token ids, or define example\n"),
        ("class Mine: ...", "Mine is not a Memory, and has no forward(x, state); derive it from mnesis.Memory\n"),
        (HEAD + "class Mine(nn.Module): ...", "Mine is not a Memory, and has no forward(x, state); derive it from "
         "mnesis.Memory\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_examined_is_one_sentence_and_code_2(capsys, tmp_path, monkeypatch, text, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.py").write_text(text + "\n")
    code, out, error = run(capsys, "m.py:Mine")
    assert (code, out, error) == (2, "", f"mnesis: {sentence}")


def test_torchs_own_are_examined_too(capsys) -> None:
    options = ["input_size=4", "hidden_size=6", "batch_first=true"]
    laws = ["shapes", "rows", "resets"]
    code, out, _ = run(
        capsys, "torch.nn:LSTM", "--options", *options, "--only", *laws, "--markdown", "--dtypes", "float64"
    )
    assert code == 0
    assert out == (
        "| law | `LSTM` |\n|---|---|\n| shapes | 0.0e+00 |\n| rows | 0.0e+00 |\n| resets | not offered |\n\n"
        "- LSTM: resets: it takes no resets\n"
    )


def test_a_class_that_is_no_memory_is_examined(capsys) -> None:
    torch.manual_seed(0)
    code, out, _ = run(capsys, f"{MISTAKES}:Wide", "--only", "shapes", "cuts", "padding", "--dtypes", "float64")
    assert code == 0
    assert "2 of 3 hold, 1 ask for what is not offered" in out
