"""The one progress bar: on standard error, where somebody watches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

Update = Callable[..., None]


def is_watched() -> bool:
    """Whether somebody reads standard error: a terminal, or a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


@contextlib.contextmanager
def progress_bar(what: str, *, unit: str = "") -> Iterator[Update]:
    """A bar with the time left, silent where nobody watches.

    Parameters
    ----------
    what : str
        Shown before the bar, as text.
    unit : {"", "bytes"}
        Whether counts are shown as they are or as sizes with their rate.

    Yields
    ------
    callable
        `update(done, total=None, note="")`: `note` is shown behind the bar; a bar without a total moves to and fro.

    Examples
    --------
    >>> with progress_bar("counting") as update:
    ...     for number in range(3):
    ...         update(number + 1, 3)
    """
    if not is_watched():
        yield lambda done, total=None, note="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    counts = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (TextColumn("{task.fields[count]}"),)
    columns = (
        *(TextColumn("{task.description}", markup=False), BarColumn(), *counts),
        *(TextColumn("{task.fields[note]}", markup=False), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None, count="", note="")

        def update(done: int, total: int | None = None, note: str = "") -> None:
            count = "" if total is None else f"{done:,} of {total:,}"
            shown.update(task, completed=done, total=total, count=count, note=note)

        yield update
