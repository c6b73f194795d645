"""Encoders: node states from features and neighbours, by GCN, GraphSAGE, or propagation without weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, share
from ..sparse.sparse_tensor import SparseTensor, dropped

KINDS = ("gcn", "sage", "pure")


class Encoder(nn.Module):
    """Node states (n, hidden) from node features.

    Parameters
    ----------
    num_features : int
        Columns of the features. 0: there are none, and every node has a trained vector; give `num_nodes`.
    hidden : int, default 256
    num_layers : int >= 0, default 2
        0 is an MLP of the node's own features.
    kind : {"gcn", "sage", "pure"}, default "gcn"
        A layer is A X W ("gcn", symmetric normalisation with self-loops), X W1 + mean(X) W2 ("sage"), or A X with the
        GCN's A and no weights ("pure").
    dropout, feature_dropout : float in [0, 1), default 0
        On the states before every layer, and on the features.
    tail_dropout : float in [0, 1), default 0
        On the last layer's output.
    residual_sum : bool, default False
        The result is the sum of all layers' outputs and the first linear map, instead of the last output.
    layer_norm : bool, default False
        Between layers and behind the last.
    num_nodes : int, optional
    seed : int, default 0
        Of dropout of the features; weights are drawn by torch's generator.

    Examples
    --------
    >>> import nearhop, numpy as np
    >>> from nearhop.gnn.links import Encoder
    >>> from nearhop.gnn.sparse.propagation import neighbor_sets, normalised
    >>> from nearhop.gnn.sparse.sparse_tensor import SparseTensor, features_of
    >>> ring = nearhop.GraphStore.from_edges([0, 1, 2], [1, 2, 0])
    >>> encoder = Encoder(3, 8)
    >>> tuple(encoder(SparseTensor(features_of(np.eye(3))), normalised(neighbor_sets(ring), "gcn")).shape)
    (3, 8)
    """

    def __init__(
        self,
        num_features: int,
        hidden: int = 256,
        *,
        num_layers: int = 2,
        kind: str = "gcn",
        dropout: float = 0.0,
        feature_dropout: float = 0.0,
        tail_dropout: float = 0.0,
        residual_sum: bool = False,
        layer_norm: bool = False,
        num_nodes: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise InvalidInput(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
        for name, count, low in (
            ("num_features", num_features, 0),
            ("hidden", hidden, 1),
            ("num_layers", num_layers, 0),
        ):
            integer(name, count, low)
        if num_features == 0 and num_nodes is None:
            raise InvalidInput("an encoder without features trains a vector per node; give num_nodes")
        if num_nodes is not None:
            integer("num_nodes", num_nodes, 0)
        share("dropout", dropout), share("tail_dropout", tail_dropout)
        self.kind, self.residual_sum = kind, residual_sum
        self.feature_dropout = share("feature_dropout", feature_dropout)
        self.weight = nn.Parameter(torch.empty(num_features or int(num_nodes or 0), hidden))
        nn.init.xavier_uniform_(self.weight)
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.has_features = num_features > 0
        mixes = kind != "pure"
        self.own = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(num_layers if kind == "sage" else 0))
        self.mixed = nn.ModuleList(nn.Linear(hidden, hidden, bias=kind == "gcn") for _ in range(num_layers * mixes))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(num_layers * layer_norm))
        self.num_layers, self.dropout, self.tail = num_layers, nn.Dropout(dropout), nn.Dropout(tail_dropout)
        self._generator = torch.Generator().manual_seed(root_of(integer("seed", seed, 0), Purpose.TRAINING, "encoder"))

    @property
    def normalisation(self) -> str:
        """The matrix that the layers want, see `propagation.normalised`."""
        return "sage" if self.kind == "sage" else "gcn"

    def forward(self, features: SparseTensor | None, adjacency: SparseTensor) -> Tensor:
        """States of all nodes; `features` (n, num_features) is None where node vectors are trained."""
        x: Tensor
        if not self.has_features:
            x = self.weight
        else:
            if features is None:
                raise InvalidInput("this encoder reads features; none were given")
            if self.training and self.feature_dropout > 0:
                features = dropped(features, self.feature_dropout, self._generator)
            x = features @ self.weight + self.bias
        total = x
        for layer in range(self.num_layers):
            x = self.dropout(x)
            spread = adjacency @ x
            if self.kind == "gcn":
                x = self.mixed[layer](spread)
            elif self.kind == "sage":
                x = self.own[layer](x) + self.mixed[layer](spread)
            else:
                x = spread
            if self.norms:
                x = self.norms[layer](x)
            if layer + 1 < self.num_layers or self.residual_sum:
                x = torch.relu(x)
            if layer + 1 == self.num_layers:
                x = self.tail(x)
            total = total + x
        return total if self.residual_sum else x
