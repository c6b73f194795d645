"""The demo: a dataset through the whole library, measured on the way, and a report with pictures."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from ...graphlib.disk.replacing import scratch_folder
from ...graphlib.disk.temporary import remove_leftovers
from ...graphlib.errors import NearhopError, StoreExists, StoreMissing
from ...graphlib.extras import require
from ...graphlib.store.store import open as open_store
from .progress import Stages
from .result import DemoResult
from .steps import measure

_MARK = ".nearhop-demo.json"
_REPORT, _LINKS = "report.html", "links.html"


def run(dataset: str, out: Path, *, root: Path | None = None, seed: int = 0) -> DemoResult:
    """Run every step that applies; writes `out/NAME.nh`, `out/report.html`, and `out/links.html` where links matter.

    What an earlier demo left in `out` is replaced, as long as nobody changed it since; anything else there is an error.
    The work is done beside its place: what is interrupted leaves nothing.
    """
    from ...datasets import info
    from .links_report import write_links_report
    from .report import draw, write_report

    info(dataset)  # NotFound, before anything is removed
    for package in ("sklearn", "matplotlib"):
        require(package, "the demo")
    target, report, links = out / f"{dataset}.nh", out / _REPORT, out / _LINKS
    made = _made(out)
    if out.is_dir():
        remove_leftovers(out)
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
        for page in (report, links):
            page.unlink(missing_ok=True)
        if target.exists():
            shutil.rmtree(target)
    elif out.exists():
        raise StoreExists(f"{out} is no folder; choose another --out")
    elif not out.absolute().parent.is_dir():
        raise StoreMissing(f"--out {out}: {_why_not(out.parent)}")
    out.mkdir(exist_ok=True)
    stages = Stages()
    with scratch_folder(out, out) as scratch:
        result = measure(dataset, scratch / target.name, root=root, seed=seed, stages=stages)
        result.store.close()
        (scratch / target.name).rename(target)
    result.store = open_store(target)
    with stages.stage("report", "draw the report"):
        drawn = draw(result)
    write_report(result, drawn, report)
    if result.links is not None:
        write_links_report(result, result.links, links)
    marks = {name: mark for name, mark in made.items() if mark and (out / name).exists()}
    written = [path for path in (target, report, links) if path.exists()]
    _write_marks(out, {**marks, **{path.name: _mark_of(path) for path in written}})
    return result


def _why_not(folder: Path) -> str:
    return f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}; make it first"


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
