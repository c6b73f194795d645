"""The demo: a dataset through the whole library, measured on the way, and a report with pictures."""

from __future__ import annotations

from pathlib import Path

from ...graphlib.errors import StoreExists
from .steps import DemoResult, measure


def run(dataset: str, out: Path, *, root: Path | None = None, seed: int = 0) -> DemoResult:
    """Run every step that applies to a dataset; writes `out/NAME.nh` and `out/report.html`.

    A folder of an earlier demo is replaced; any other content of `out` is an error.
    """
    import shutil

    from .report import write_report

    target = out / f"{dataset}.nh"
    known = {target.name, "report.html"}
    if out.exists():
        others = sorted(entry.name for entry in out.iterdir() if entry.name not in known and entry.suffix != ".nh")
        if others:
            raise StoreExists(f"{out} holds other things ({', '.join(others[:3])}); choose another --out")
        shutil.rmtree(target, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    result = measure(dataset, target, root=root, seed=seed)
    write_report(result, out / "report.html")
    return result


__all__ = ["DemoResult", "run"]
