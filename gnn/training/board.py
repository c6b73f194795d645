"""Curves for TensorBoard from whatever a trainer tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...graphlib.extras import require

if TYPE_CHECKING:
    from .options import Progress


class TensorBoard:
    """A callback of `fit` that writes losses and validation scores of every epoch; close it, or use it in a `with`.

    Parameters
    ----------
    folder : path
        Event files are written there.
    name : str, default ""
        Put before the names of the curves, such as "seed 3/".

    Raises
    ------
    MissingExtra
        The package tensorboard is not installed.

    Examples
    --------
    >>> from nearhop.gnn.training import TensorBoard
    >>> with TensorBoard("curves") as board:  # doctest: +SKIP
    ...     trainer.fit(board)
    """

    def __init__(self, folder: str, *, name: str = "") -> None:
        self._writer: Any = require("tensorboard.summary", "TensorBoard").Writer(folder)
        self._name = name

    def __call__(self, told: Progress) -> None:
        if told.batch < told.num_batches:
            return
        self._writer.add_scalar(f"{self._name}train/loss", told.loss, told.epoch)
        for name, value in (told.val or {}).items():
            self._writer.add_scalar(f"{self._name}val/{name}", value, told.epoch)

    def close(self) -> None:
        self._writer.close()

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
