"""What every example shares: its arguments, its table and its JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
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


class Parser(argparse.ArgumentParser):
    """With `--short`, arguments that are not given have the values of `short`."""

    short: Mapping[str, Any] = MappingProxyType({})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = super().parse_args(args, namespace)
        if not given.short:
            return given
        self.set_defaults(**self.short)
        return super().parse_args(args)


def parser(
    description: str | None,
    *,
    datasets: Sequence[str] | None,
    choices: Sequence[str] | None = None,
    seeds: int = 5,
    threads: int | None = None,
    short: Mapping[str, Any] = MappingProxyType({}),
    also_short: str = "",
) -> Parser:
    """A parser with what every example takes: `--datasets`, `--seeds`, `--threads`, `--short` and `--json`.

    `--dataset` is `--datasets` by another name. `datasets` may be None where another argument decides what is run.
    `short` holds what `--short` stands for, by argument; `also_short` says what else it does.
    """
    made = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.short = short
    chosen = None if datasets is None else list(datasets)
    told = f"of {', '.join(choices)}" if choices else "names of nearhop.datasets"
    usual = "" if chosen is None else f"; default: {' '.join(chosen)}"
    made.add_argument(
        "--datasets", "--dataset", nargs="+", default=chosen, choices=choices, metavar="NAME", help=told + usual
    )
    made.add_argument(
        "--seeds", type=positive, default=seeds, help=f"runs, each with a seed of its own; default: {seeds}"
    )
    made.add_argument("--threads", type=positive, default=threads, help=f"default: {threads or 'all cores'}")
    meant = " ".join(f"--{name.replace('_', '-')} {_as_words(value)}" for name, value in short.items())
    what = ", ".join(filter(None, (meant, also_short))) or "a small part"
    made.add_argument("--short", action="store_true", help=f"as tests run it: {what}".replace("%", "%%"))
    made.add_argument("--json", action="store_true", help="print one JSON object last instead of a Markdown table")
    return made


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {text!r}")
    return int(text)


def _as_words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


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
