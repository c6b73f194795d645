"""The demo: a dataset through the whole library, measured on the way, and a report with pictures."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from ...graphlib.errors import NearhopError, StoreExists
from ...graphlib.store.store import open as open_store
from .steps import DemoResult, measure

_MARK = ".nearhop-demo.json"


def run(dataset: str, out: Path, *, root: Path | None = None, seed: int = 0) -> DemoResult:
    """Run every step that applies to a dataset; writes `out/NAME.nh` and `out/report.html`.

    What an earlier demo left in `out` is replaced, as long as nobody changed it since; anything else there is an error.
    """
    from .report import write_report

    target, report = out / f"{dataset}.nh", out / "report.html"
    made = _made(out)
    if out.exists():
        others = sorted(
            entry.name
            for entry in out.iterdir()
            if entry.name not in made and (entry.suffix != target.suffix or entry == target)
        )
        if others:
            raise StoreExists(
                f"{out} holds other things ({', '.join(others[:3])}) than a demo left there, or that were changed "
                "since; nothing was removed; choose another --out"
            )
        report.unlink(missing_ok=True)
        if target.exists():
            shutil.rmtree(target)
    out.mkdir(parents=True, exist_ok=True)
    result = measure(dataset, target, root=root, seed=seed)
    write_report(result, report)
    marks = {name: mark for name, mark in made.items() if mark and (out / name).exists()}
    _write_marks(out, {**marks, target.name: _mark_of(target), report.name: _mark_of(report)})
    return result


def _made(out: Path) -> dict[str, str]:
    """What is in `out` as a demo left it: by name, what tells that it has not changed."""
    try:
        marks = json.loads((out / _MARK).read_bytes()[: 1 << 20])
        return {_MARK: "", **{name: mark for name, mark in marks.items() if _mark_of(out / name) == mark}}
    except (OSError, ValueError, AttributeError):
        return {}


def _mark_of(path: Path) -> str | None:
    """A store by its identity and version, a file by its content."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        with open_store(path) as store:
            return None if store._folder is None else f"{store._folder.manifest.uuid} {store.version}"
    except NearhopError:
        return None


def _write_marks(out: Path, marks: dict[str, str | None]) -> None:
    (out / _MARK).write_text(json.dumps(marks, indent=1) + "\n", encoding="utf-8")


__all__ = ["DemoResult", "run"]
