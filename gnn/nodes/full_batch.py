"""A plain module over a whole graph as a model that the trainer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_finite
from .consistency import consistency_loss

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
    samples : int >= 1, default 1
        Views of the graph per step, each with dropout of its own; the loss is the mean of their cross entropies.
    consistency : float >= 0, default 0
        Weight of `consistency_loss` of the views, over all nodes; none of their labels is read.
    temperature : float > 0, default 0.5
        Of that loss.

    Examples
    --------
    >>> import numpy as np, torch
    >>> model = FullBatch(torch.nn.Linear(3, 2), torch.ones(5, 3))
    >>> tuple(model(model.batch(np.array([4, 1]))).shape)
    (2, 2)
    """

    def __init__(
        self, module: nn.Module, *inputs: Any, samples: int = 1, consistency: float = 0.0, temperature: float = 0.5
    ) -> None:
        super().__init__()
        self.module = module
        self.samples, self.consistency, self.temperature = check_views(samples, consistency, temperature)
        self._num_scored: int | None = None
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

    @property
    def num_scored(self) -> int | None:
        """Nodes that the module scores; None before it was called."""
        return self._num_scored

    def batch(self, nodes: NDArray[np.int64], *, epoch: int = 0) -> Tensor:
        """The nodes themselves."""
        return torch.from_numpy(nodes)

    def scores(self) -> Tensor:
        """Of all nodes (n, C)."""
        found: Tensor = self.module(*self.inputs)
        self._num_scored = int(found.shape[0])
        return found

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Those of the module where it has some."""
        return groups_of(self.module)

    def loss(self, nodes: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy of the views, and how far they are from one another."""
        views = [self.scores() for _ in range(self.samples)]
        return loss_of_views(views, nodes, labels, self.consistency, self.temperature)

    def forward(self, nodes: Tensor) -> Tensor:
        found = self.scores()
        return found[nodes.to(found.device)]


def groups_of(module: Any) -> list[dict[str, Any]]:
    """A module's own parameter groups, or one of all parameters."""
    found: list[dict[str, Any]] = (
        module.parameter_groups() if hasattr(module, "parameter_groups") else [{"params": list(module.parameters())}]
    )
    return found


def loss_of_views(views: list[Tensor], nodes: Tensor, labels: Tensor, consistency: float, temperature: float) -> Tensor:
    """The loss of several views of all nodes, some of which have labels."""
    at = nodes.to(views[0].device)
    check_classes(views[0], labels)
    found = torch.stack([cross_entropy(view[at], labels) for view in views]).mean()
    return found + consistency * consistency_loss(views, temperature) if consistency > 0 else found


def check_classes(scores: Tensor, labels: Tensor) -> None:
    """Refuse labels that scores (n, C) have no column for."""
    if labels.shape[0] and (scores.ndim != 2 or scores.shape[1] <= int(labels.max())):
        raise InvalidInput(
            f"labels go up to {int(labels.max())}, but the model gives scores of shape {tuple(scores.shape)}; it must "
            "score a class in each column"
        )


def check_views(samples: Any, consistency: Any, temperature: Any) -> tuple[int, float, float]:
    """The options of such a loss, checked."""
    if not is_finite(consistency) or consistency < 0:
        raise InvalidInput(f"consistency must be a number >= 0; got {consistency!r}")
    if not is_finite(temperature) or temperature <= 0:
        raise InvalidInput(f"temperature must be a number > 0; got {temperature!r}")
    return integer("samples", samples, 1), float(consistency), float(temperature)
