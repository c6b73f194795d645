"""The progress bar: what a terminal shows, and silence elsewhere."""

from __future__ import annotations

from nearhop.graphlib import progress


def test_nobody_watches_and_nothing_is_written(capsys):
    with progress.progress_bar("reading") as update:
        update(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_counts_notes_and_sizes_as_text(capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress.progress_bar("[b]reading") as update:
        update(1500, 3000, "half [red]way")
    written = capsys.readouterr().err
    assert "[b]reading" in written
    assert "1,500 of 3,000" in written
    assert "half [red]way" in written
    with progress.progress_bar("fetching", unit="bytes") as update:
        update(2_000_000, 4_000_000)
    assert "2.0/4.0 MB" in capsys.readouterr().err
