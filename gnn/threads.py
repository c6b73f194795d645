"""The same bits at any number of threads: torch on one thread, nearhop's kernels on all that torch had.

Sums and matrix products of torch are cut by the number of threads, so that their last bits depend on it. The kernels of
this room cut their work by its size alone.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_outer = threading.local()


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Inside, torch's operations on the processor (gradients as well) give the same bits whatever the threads.

    `TemporalTrainer` trains and tests inside; a loop of your own does so for `backward` to be steady, too. Kernels of
    nearhop go on with as many threads as torch had outside. Costs two calls of `torch.set_num_threads`.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.threads import kernel_threads, steady
    >>> before = torch.get_num_threads()
    >>> with steady():
    ...     torch.get_num_threads(), kernel_threads() == before
    (1, True)
    >>> torch.get_num_threads() == before
    True
    """
    import torch

    before = torch.get_num_threads()
    nested = getattr(_outer, "threads", None)
    _outer.threads = before if nested is None else nested
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _outer.threads = nested


def kernel_threads() -> int:
    """Threads that kernels may use: torch's, or those it had where `steady` was entered."""
    import torch

    outer: int | None = getattr(_outer, "threads", None)
    return torch.get_num_threads() if outer is None else outer
