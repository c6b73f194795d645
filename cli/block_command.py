"""nearhop block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..graphlib.progress import progress_bar
from .clock import Stopwatch
from .output import Json, emit
from .targets import TABLES, check_apart, check_file, check_folder

if TYPE_CHECKING:
    from ..blocking.blocker import Blocker

_METHODS = "ngrams", "bm25", "minhash", "embedding", "nlsh", "union"


def block(
    left: Path = typer.Argument(help="A table: .csv or .tsv (also .gz, .bz2, .xz, .zst), .parquet, .arrow."),
    right: Path | None = typer.Argument(None, help="Another one; without it, duplicates within the first are found."),
    key: str | None = typer.Option(None, help="The column of keys in both; default: row numbers."),
    columns: str | None = typer.Option(None, help="Columns to compare, separated by commas; default: all."),
    delimiter: str | None = typer.Option(None, help="Of text files; default: found out."),
    header: bool | None = typer.Option(
        None, help="Whether text files begin with names of columns; default: found out."
    ),
    encoding: str | None = typer.Option(None, help="Of text files, such as latin-1; default: UTF-8 or by its mark."),
    method: str | None = typer.Option(None, help=f"{', '.join(_METHODS[:-1])} or {_METHODS[-1]}; default: ngrams."),
    encoder: str | None = typer.Option(
        None, help="Of nlsh: ngrams, minilm, minilm+ngrams, or a model's name; default: ngrams."
    ),
    codes: bool | None = typer.Option(
        None,
        "--codes/--no-codes",
        help="Part numbers count again without their punctuation; default: no; nlsh finds out.",
    ),
    k: int | None = typer.Option(None, "--k", "-k", help="Candidates per left record; 10 without --recall."),
    recall: float | None = typer.Option(None, help="In place of --k: the share of --matches to find."),
    matches: Path | None = typer.Option(None, help="A table whose first two columns are keys of known matches."),
    model: Path | None = typer.Option(None, help="A blocker that --save wrote: LEFT is looked up in its records."),
    save: Path | None = typer.Option(None, help="Keep the blocker in a new folder."),
    out: str | None = typer.Option(None, help="Write the pairs as .csv or .parquet."),
    seed: int | None = typer.Option(None, help="Default: 0."),
    threads: int | None = typer.Option(None, help="Default: all cores."),
    as_json: bool = Json,
) -> None:
    """Candidate pairs of records that may be the same thing.

    Example: nearhop block abt.csv buy.csv --key id --columns name -k 5 --out pairs.csv

    Example: nearhop block abt.csv buy.csv --key id --method nlsh --matches known.csv --recall 0.95 --save model
    """
    from ..blocking.evaluation import curve
    from ..blocking.labels import match_rows
    from ..blocking.opening import load
    from ..blocking.records import Records
    from ..graphlib.errors import InvalidInput

    making = {"--method": method, "--encoder": encoder, "--codes": codes, "--seed": seed}
    if model is not None:
        _check_left_out(making)
    method = "ngrams" if method is None else method
    if method not in _METHODS:
        raise InvalidInput(f"--method must be {', '.join(_METHODS[:-1])} or {_METHODS[-1]}; got {method!r}")
    if codes is not None and method in ("minhash", "embedding"):
        raise InvalidInput(f"--codes is for ngrams, bm25, nlsh and union; leave it out with --method {method}")
    if encoder is not None and method != "nlsh":
        raise InvalidInput(f"--encoder is for nlsh; leave it out with --method {method}")
    if k is not None and recall is not None:
        raise InvalidInput("give --k or --recall, not both")
    if model is not None and (right is not None or matches is not None):
        raise InvalidInput("--model holds the records that are searched: give LEFT alone, without --matches")
    if model is None and matches is None and (recall is not None or method == "nlsh"):
        raise InvalidInput("--recall and --method nlsh need --matches")
    if recall is None and k is None:
        k = 10
    check_file("--out", out, TABLES)
    if save is not None:
        check_folder("--save", save)
    inputs = {"LEFT": left, "RIGHT": right, "--matches": matches, "--model": model}
    check_apart("--out", out, {**inputs, "--save": save})
    check_apart("--save", save, inputs)
    watch = Stopwatch()
    chosen = None if columns is None else [column.strip() for column in columns.split(",")]
    options = {"delimiter": delimiter, "header": header, "encoding": encoding}
    reading: dict[str, Any] = {name: value for name, value in options.items() if value is not None}

    def read(path: Path) -> Records:
        return Records.of(path, key=key, columns=chosen, **reading)

    truth = None
    if model is not None:
        blocker = load(model)
        for part in getattr(blocker, "blockers", [blocker]):
            part.threads = threads
        chosen = blocker.compared if chosen is None else chosen
        first = read(left)
        with progress_bar("looking up") as progress:
            pairs = blocker.query(first, k=k, recall=recall, progress=progress)
    else:
        first = read(left)
        second = first if right is None else read(right)
        blocker = _made(method, encoder or "ngrams", codes, chosen, seed or 0, threads)
        if matches is not None:
            known = list(Records.of(matches, name=matches.name, **reading).columns.values())[:2]
            if len(known) < 2:
                raise InvalidInput(f"{matches.name} needs two columns of keys")
            truth = match_rows(list(zip(*known, strict=True)), first, None if right is None else second)
            given = [(first.keys[a], second.keys[b]) for a, b in truth]
            with progress_bar("training") as progress:
                blocker.fit(first, None if right is None else second, given, progress=progress)
        with progress_bar("looking up") as progress:
            pairs = blocker.block(first, None if right is None else second, k=k, recall=recall, progress=progress)
    if save is not None:
        blocker.save(save)
    if out is not None:
        pairs.save(out)
    told: dict[str, Any] = {
        "pairs": len(pairs), "possible": pairs.num_possible, "k": int(pairs.rank.max(initial=-1)) + 1,
        "reduction_ratio": 1 - len(pairs) / max(1, pairs.num_possible),
    }  # fmt: skip
    if truth is not None:
        found = curve(pairs, truth)[-1]
        told |= {"known_matches": found.matches, "known_matches_found": found.found}
    if out is not None:
        told["out"] = out
    if save is not None:
        told["model"] = str(save)
    emit({**told, **watch.told()}, as_json=as_json)


def _check_left_out(making: dict[str, Any]) -> None:
    """A blocker that was saved is as it was made."""
    from ..graphlib.errors import InvalidInput

    given = [name for name, value in making.items() if value is not None]
    if given:
        raise InvalidInput(f"--model was made with options of its own: leave out {', '.join(given)}, or --model")


def _made(
    method: str, encoder: str, codes: bool | None, columns: list[str] | None, seed: int, threads: int | None
) -> Blocker:
    from ..blocking.minhash import MinHashBlocker
    from ..blocking.ngrams.blocker import NGramBlocker
    from ..blocking.nlsh.blocker import NLSHBlock
    from ..blocking.union import Union
    from ..blocking.vectors import EmbeddingBlocker

    common: dict[str, Any] = {"columns": columns, "threads": threads}
    given = common if codes is None else {"codes": codes, **common}
    if method in ("ngrams", "bm25"):
        return NGramBlocker("tfidf" if method == "ngrams" else "bm25", **given)
    if method == "minhash":
        return MinHashBlocker(seed=seed, **common)
    if method == "embedding":
        return EmbeddingBlocker(seed=seed, **common)
    if method == "nlsh":
        return NLSHBlock(encoder, **given, seed=seed)
    return Union([NGramBlocker(**given), MinHashBlocker(seed=seed, **common)])
