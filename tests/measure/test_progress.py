from mnesis.measure import progress


def count(show: bool) -> bool:
    with progress.Bar(3, show) as bar:
        for name in "abc":
            bar.describe(name)
            bar.advance(1)
        return bar.visible


def test_quick_work_shows_nothing(capsys):
    assert not count(True)
    assert capsys.readouterr() == ("", "")


def test_slow_work_shows_a_bar_on_standard_error(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", -1)
    assert count(True)
    assert not count(False)
    assert capsys.readouterr().out == ""
