"""An adjacency that a GPU reads where it lies in host memory, for graphs larger than the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...graphlib.extras import require
from .registration import Pinned

if TYPE_CHECKING:
    from ...graphlib.store.adjacency import Adjacency


class PinnedAdjacency:
    """The arrays of an adjacency, registered in place: `CudaSampler(rows, fanouts, arrays=pinned.arrays)`.

    Parameters
    ----------
    rows : Adjacency
        Its memory is used in place, also where it is a map of a file in /dev/shm, and must not be changed.
    device : str or torch.device, default "cuda"
    runtime : object, optional
        As for `nearhop.sampling.features.registration.register`.

    Attributes
    ----------
    arrays : tuple of device arrays
        indptr, indices and edge ids, wrapped for kernels once; nothing is copied. A sample reads two of `indptr` per
        node and two entries per pick over the bus, however long the rows are.

    Raises
    ------
    RegistrationRefused
        With the driver's reason, or because the memory is a map that is read-only or private; nothing stays
        registered.

    Notes
    -----
    Registering takes about as long as copying. The memory is released by `close`, by the end of a `with` block, after
    which no sampler may use the arrays, or when the last of the arrays is garbage.
    """

    def __init__(self, rows: Adjacency, *, device: Any = "cuda", runtime: Any = None) -> None:
        self._held: list[Pinned] = []
        self.arrays: tuple[Any, ...] = ()
        try:
            self.arrays = tuple(
                self._pin(array, device, runtime) for array in (rows.indptr, rows.indices, rows.edge_ids)
            )
        except BaseException:
            self.close()
            raise

    def _pin(self, array: Any, device: Any, runtime: Any) -> Any:
        if array.nbytes == 0:  # no memory to register
            return require("torch", "pinning memory").from_numpy(array).to(device)
        pinned = Pinned(array, device=device, runtime=runtime)
        self._held.append(pinned)
        return pinned.device_array(device)

    @property
    def nbytes(self) -> int:
        """Registered memory."""
        return sum(held.registration.nbytes for held in self._held)

    def close(self) -> None:
        """Release the memory."""
        self.arrays = ()
        while self._held:
            self._held.pop().close()

    def __enter__(self) -> PinnedAdjacency:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
