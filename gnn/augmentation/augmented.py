"""Models that read generated features beside the given ones, and how they are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, share
from ..nodes.features import Features, as_features, shape_of
from ..nodes.full_batch import check_views, groups_of, loss_of_views
from ..sparse.sparse_tensor import SparseTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .augmenter import LocalAugmenter

WAYS = ("split", "concatenate", "average", "views")


class Augmented(nn.Module):
    """A model with local augmentation, as `LocalAugmenter.wrap` makes it.

    Parameters
    ----------
    augmenter : LocalAugmenter
        Fitted on as many nodes and features as `x` has.
    module : torch.nn.Module
        Called as `module(features, *inputs)`.
    x : SparseTensor, Tensor or array (n, F)
    *inputs
    how : {"split", "concatenate", "average", "views"}, default "split"
        "split": the module is called with a list [x, x_1, ..., x_branches] and shares its first layer's width out among
        them; those of `gnn.nodes.models` with `branches=` do, and `SplitFirst` makes one of any layers.
        "concatenate": with one dense matrix (n, (1 + branches) F). "average": with (x + x_1) / 2, dense.
        "views": with x and with x_1 in turn, each a view of the graph; only x is read when it is judged (LAGRAND).
    branches : int >= 1, default 1
        Generated matrices that are read at once.
    samples : int >= 1, default 4
        K: views per step, each with matrices of its own.
    consistency : float >= 0, default 1
        Weight of `nearhop.gnn.nodes.consistency_loss` of the views, over all nodes.
    temperature : float > 0, default 0.5
        Of that loss.
    draws : {"fresh", "fixed"}, default "fresh"
        New matrices for every view of every step, or one for the whole training.
    judged_on : {"fresh", "fixed"}, default "fresh"
        What validation reads: matrices drawn after every step, of which the best epoch's are kept for the test, as in
        the paper; or the same ones every time, so that an epoch is not the best by luck of the draw.

    Notes
    -----
    The matrices that a validation read are named by the buffer `view`, which is part of the state: whoever restores the
    weights of an epoch restores what they were judged with, and the test reads the same.

    Examples
    --------
    >>> import numpy as np, nearhop, torch
    >>> _ = torch.manual_seed(0)
    >>> from nearhop.gnn import LocalAugmenter
    >>> from nearhop.gnn.nodes import NodeData, NodeTrainer, as_features, normalized_adjacency
    >>> from nearhop.gnn.nodes.models import GCN
    >>> from nearhop.gnn.training import Training
    >>> n = np.arange(60)
    >>> store = nearhop.GraphStore.from_edges(n, (n + 3) % 60)
    >>> store.nodes["x"] = np.eye(3, dtype=np.float32)[n % 3]
    >>> augmenter = LocalAugmenter(rule=None, epochs=2).fit(store, "x")
    >>> model = augmenter.wrap(GCN(3, 8, 3, branches=2), as_features(store.nodes["x"]), normalized_adjacency(store))
    >>> trainer = NodeTrainer(model, NodeData(n % 3, n[:20], n[20:40], n[40:]), Training(epochs=20))
    >>> trainer.fit()
    >>> trainer.test().accuracy
    1.0
    """

    view: Tensor

    def __init__(
        self,
        augmenter: LocalAugmenter,
        module: nn.Module,
        x: Any,
        *inputs: Any,
        how: str = "split",
        branches: int = 1,
        samples: int = 4,
        consistency: float = 1.0,
        temperature: float = 0.5,
        draws: str = "fresh",
        judged_on: str = "fresh",
    ) -> None:
        super().__init__()
        if how not in WAYS:
            raise InvalidInput(f"how must be one of {', '.join(map(repr, WAYS))}; got {how!r}")
        for name, value in (("draws", draws), ("judged_on", judged_on)):
            if value not in ("fresh", "fixed"):
                raise InvalidInput(f'{name} must be "fresh" or "fixed"; got {value!r}')
        self.branches = integer("branches", branches, 1)
        if how in ("average", "views") and self.branches > 1:
            raise InvalidInput(f"how={how!r} reads one generated matrix; got branches={branches}")
        self.samples, self.consistency, self.temperature = check_views(samples, consistency, temperature)
        given = x if isinstance(x, (SparseTensor, Tensor)) else as_features(x)
        if shape_of(given) != augmenter.shape:
            raise InvalidInput(
                f"x has shape {shape_of(given)}, but the generator was fitted on column {augmenter.column!r} of shape "
                f"{augmenter.shape}; give the features that it was fitted on"
            )
        self.augmenter, self.module, self.how = augmenter, module, how
        self.generated_by = augmenter.options  # with the weights, what files of a training tell another generator by
        self.generator_weights = list(augmenter.model.state_dict().values())
        self.draws, self.judged_on = draws, judged_on
        self.x: Features = given
        self.inputs = inputs
        self._dense: Tensor | None = None
        self._fixed: list[Any] = []
        self.register_buffer("view", torch.zeros((), dtype=torch.int64))

    @property
    def num_scored(self) -> int:
        """Nodes that are scored: all of the features."""
        return shape_of(self.x)[0]

    def batch(self, nodes: NDArray[np.int64], *, epoch: int = 0) -> Tensor:
        """The nodes themselves."""
        return torch.from_numpy(nodes)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Those of the module where it has some."""
        return groups_of(self.module)

    def loss(self, nodes: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy of the views, and how far they are from one another; names what is judged next."""
        views = []
        for _ in range(self.samples):
            number = _number() if self.draws == "fresh" else 0
            if self.how == "views":
                views += [self.module(self.x, *self.inputs), self.module(self._drawn(number)[0], *self.inputs)]
            else:
                views.append(self._scores(number))
        if self.judged_on == "fresh" and self.draws == "fresh":
            self.view.fill_(_number())
        return loss_of_views(views, nodes, labels, self.consistency, self.temperature)

    def forward(self, nodes: Tensor) -> Tensor:
        """Scores of some nodes with the matrices that `view` names."""
        return (self.module(self.x, *self.inputs) if self.how == "views" else self._scores(int(self.view)))[nodes]

    def _scores(self, number: int) -> Tensor:
        drawn = self._drawn(number)
        if self.how == "split":
            read: Any = [self.x, *drawn]
        elif self.how == "concatenate":
            read = torch.cat([self._dense_x(), *drawn], 1)
        else:
            read = (self._dense_x() + drawn[0]) / 2
        found: Tensor = self.module(read, *self.inputs)
        return found

    def _drawn(self, number: int) -> list[Any]:
        """The generated matrices of one view: operands where the module multiplies only, dense ones elsewhere."""
        if self.draws == "fixed" and self._fixed:
            return self._fixed
        drawn = [self.augmenter.draw(number + branch) for branch in range(self.branches)]
        where = self.view.device
        if (
            where.type == "cpu"
            and self.how in ("split", "views")
            and getattr(self.module, "multiplies_features", False)
        ):
            found: list[Any] = [one.held() for one in drawn] if self.draws == "fixed" else list(drawn)
        else:
            found = [one.dense().to(where) for one in drawn]
        self._fixed = found if self.draws == "fixed" else []
        return found

    def _dense_x(self) -> Tensor:
        if self._dense is None:
            x = self.x
            self._dense = torch.from_numpy(x.matrix.to_scipy().toarray()) if isinstance(x, SparseTensor) else x
        return self._dense.to(self.view.device)


def _number() -> int:
    """Names a draw; from torch's generator, which trainers seed for every step."""
    return int(torch.randint(1 << 61, (1,)))


class SplitFirst(nn.Module):
    """First layers of any kind side by side, one per feature matrix, then the rest of a model.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        Called as `layer(features, *inputs)`: for each matrix of the list, a first layer of a share of the hidden width.
    rest : torch.nn.Module
        Called as `rest(hidden, *inputs)` with what the layers gave, concatenated, through the activation and dropout.
    activation : callable, default torch.relu
    dropout : float in [0, 1), default 0.5
        Of the features before the layers.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.augmentation import SplitFirst
    >>> both = SplitFirst([torch.nn.Linear(5, 4), torch.nn.Linear(5, 4)], torch.nn.Linear(8, 3))
    >>> tuple(both([torch.ones(2, 5), torch.ones(2, 5)]).shape)
    (2, 3)
    """

    def __init__(
        self, layers: Sequence[nn.Module], rest: nn.Module, *, activation: Any = torch.relu, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.layers, self.rest = nn.ModuleList(layers), rest
        self.activation, self.dropout = activation, share("dropout", dropout)

    def forward(self, x: Sequence[Features], *inputs: Any) -> Tensor:
        from ..nodes.models.branches import dropped_branches

        given = list(dropped_branches(x, len(self.layers), self.dropout, self.training))
        parts = [layer(part, *inputs) for layer, part in zip(self.layers, given, strict=True)]
        found: Tensor = self.rest(self.activation(torch.cat(parts, 1)), *inputs)
        return found
