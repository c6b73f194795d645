"""What every example shares: its arguments, its table and its JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nearhop.embed import TrainingProgress


@dataclass(frozen=True)
class Row:
    """A measured figure beside the published one.

    Attributes
    ----------
    data : str
        The dataset.
    what : str
        The method, the setting and the measure.
    ours, std : float
        Mean and standard deviation over seeds (0 for one).
    published : float or None
    """

    data: str
    what: str
    ours: float
    std: float = 0.0
    published: float | None = None

    @classmethod
    def of(cls, data: str, what: str, values: Iterable[float], published: float | None = None) -> Row:
        """The row of one value per seed."""
        given = np.asarray(list(values), np.float64)
        return cls(data, what, float(given.mean()), float(given.std()), published)


def parser(
    description: str | None,
    *,
    datasets: Sequence[str] | None,
    choices: Sequence[str] | None = None,
    seeds: int = 5,
    threads: int | None = None,
    short: str = "a small part, as tests run it",
) -> argparse.ArgumentParser:
    """A parser with what every example takes: `--datasets`, `--seeds`, `--threads`, `--short` and `--json`.

    `--dataset` is `--datasets` by another name. `datasets` may be None where another argument decides what is run.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = None if datasets is None else list(datasets)
    told = f"of {', '.join(choices)}" if choices else None
    made.add_argument("--datasets", "--dataset", nargs="+", default=chosen, choices=choices, metavar="NAME", help=told)
    made.add_argument("--seeds", type=int, default=seeds, help="runs, each with a seed of its own")
    made.add_argument("--threads", type=int, default=threads, help=f"default: {threads or 'all cores'}")
    made.add_argument("--short", action="store_true", help=short)
    made.add_argument("--json", action="store_true", help="print one JSON object last instead of a Markdown table")
    return made


def show(rows: Sequence[Row], *, as_json: bool, digits: int = 4, **beside: Any) -> None:
    """Print the rows: a Markdown table, or one object `{"rows": [...]}` on the last line.

    What else an example has to tell (losses, seconds) stands beside the rows in that object, and not in the table.
    """
    if as_json:
        print(json.dumps({"rows": [asdict(row) for row in rows], **beside}))
        return
    print("| data | what | nearhop | published |\n|---|---|---|---|")
    for row in rows:
        published = "" if row.published is None else f"{row.published:.{digits}f}"
        print(f"| {row.data} | {row.what} | {row.ours:.{digits}f} ± {row.std:.{digits}f} | {published} |")


def note(text: str) -> None:
    """A line for whoever waits, on standard error."""
    print(text, file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """A line that the next one takes the place of, on standard error where that is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def training(state: TrainingProgress) -> None:
    """The `progress=` of a model that is trained by samples."""
    speed = f"{state.samples_per_second / 1e6:.1f} M samples/s, loss {state.loss:.4f}"
    progress(f"{100 * state.done / state.total:3.0f} %, {speed}, {state.seconds_left:.0f} s left")
