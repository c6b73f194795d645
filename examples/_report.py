"""What every example shares: its arguments, its table and its JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np


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
    description: str | None, *, datasets: Sequence[str], choices: Sequence[str] | None = None, seeds: int = 5
) -> argparse.ArgumentParser:
    """A parser with what every example takes: `--datasets`, `--seeds`, `--threads`, `--short` and `--json`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--datasets", nargs="+", default=list(datasets), choices=choices, metavar="NAME")
    made.add_argument("--seeds", type=int, default=seeds, help="runs, each with a seed of its own")
    made.add_argument("--threads", type=int, help="default: all cores")
    made.add_argument("--short", action="store_true", help="a small part, as tests run it")
    made.add_argument("--json", action="store_true", help="print one JSON object last instead of a Markdown table")
    return made


def show(rows: Sequence[Row], *, as_json: bool, digits: int = 4) -> None:
    """Print the rows: a Markdown table, or one object `{"rows": [...]}` on the last line."""
    if as_json:
        print(json.dumps({"rows": [asdict(row) for row in rows]}))
        return
    print("| data | what | nearhop | published |\n|---|---|---|---|")
    for row in rows:
        published = "" if row.published is None else f"{row.published:.{digits}f}"
        print(f"| {row.data} | {row.what} | {row.ours:.{digits}f} ± {row.std:.{digits}f} | {published} |")


def note(text: str) -> None:
    """A line for whoever waits, on standard error."""
    print(text, file=sys.stderr, flush=True)
