"""A plain module over a whole graph as a model that the trainer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FullBatch(nn.Module):
    """`module(*inputs)` gives the scores of all nodes; a batch is the rows of some.

    Parameters
    ----------
    module : torch.nn.Module
        Any, such as a PyG model.
    *inputs : Tensor or object
        What it is called with, every time: features, an edge index, a `SparseTensor`. Tensors move with the module.

    Examples
    --------
    >>> import numpy as np, torch
    >>> model = FullBatch(torch.nn.Linear(3, 2), torch.ones(5, 3))
    >>> tuple(model(model.batch(np.array([4, 1]))).shape)
    (2, 2)
    """

    def __init__(self, module: nn.Module, *inputs: Any) -> None:
        super().__init__()
        self.module = module
        self._kinds = [isinstance(given, Tensor) for given in inputs]
        self._others = [given for given in inputs if not isinstance(given, Tensor)]
        for number, given in enumerate(given for given in inputs if isinstance(given, Tensor)):
            self.register_buffer(f"input{number}", given, persistent=False)

    @property
    def inputs(self) -> list[Any]:
        """As they were given, tensors where the module is."""
        tensors = iter([getattr(self, f"input{number}") for number in range(sum(self._kinds))])
        others = iter(self._others)
        return [next(tensors) if is_tensor else next(others) for is_tensor in self._kinds]

    def batch(self, nodes: NDArray[np.int64], *, epoch: int = 0) -> Tensor:
        """The nodes themselves."""
        return torch.from_numpy(nodes)

    def scores(self) -> Tensor:
        """Of all nodes (n, C)."""
        found: Tensor = self.module(*self.inputs)
        return found

    def forward(self, nodes: Tensor) -> Tensor:
        found = self.scores()
        return found[nodes.to(found.device)]
