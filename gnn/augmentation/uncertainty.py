"""How uncertain a classifier is about generated features: the rule by which a generator's state is picked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss

from ...graphlib.errors import InvalidInput
from ..nodes.models.gcn import GCN

if TYPE_CHECKING:
    from ..nodes.data import NodeData
    from ..nodes.features import Features
    from ..sparse.sparse_tensor import SparseTensor

RULES = ("released", "paper")


class DropoutEnsemble:
    """A GCN whose dropout masks stand for many models, trained on labelled nodes.

    Dropout is on whenever it scores; that is what makes its passes differ.

    Parameters
    ----------
    x : SparseTensor or Tensor (n, F)
        The features as classifiers read them.
    adjacency : SparseTensor
    data : NodeData
        Of which the training part is read.
    hidden : int, default 32
    epochs : int, default 100
        Of training on `x`.

    References
    ----------
    S. Liu et al., arXiv:2109.03856, section 3.3; N. Houlsby et al., "Bayesian Active Learning for Classification and
    Preference Learning", arXiv:1112.5745.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.gnn.augmentation import DropoutEnsemble
    >>> from nearhop.gnn.nodes import NodeData, as_features, normalized_adjacency
    >>> n = np.arange(12)
    >>> store = nearhop.GraphStore.from_edges(n, (n + 3) % 12)
    >>> x = as_features(np.eye(3)[n % 3])
    >>> judge = DropoutEnsemble(x, normalized_adjacency(store), NodeData(n % 3, n[:6], [], []), epochs=10)
    >>> judge.uncertainty(x, "paper", 5) > 0 > judge.uncertainty(x, "released", 5)
    True
    """

    def __init__(
        self, x: Features, adjacency: SparseTensor, data: NodeData, *, hidden: int = 32, epochs: int = 100
    ) -> None:
        from ..nodes.features import shape_of

        self.adjacency = adjacency
        self.nodes = torch.from_numpy(data.train)
        self.labels = torch.from_numpy(data.labels[data.train])
        self.model = GCN(shape_of(x)[1], hidden, data.num_classes).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01, weight_decay=5e-4, fused=True)
        self.learn(x, epochs)

    def learn(self, x: Any, epochs: int) -> None:
        """Train on features, given or drawn."""
        x = x.held() if hasattr(x, "held") else x
        for _ in range(epochs):
            loss = cross_entropy(self.model(x, self.adjacency)[self.nodes], self.labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    @torch.no_grad()
    def uncertainty(self, x: Any, rule: str, passes: int) -> float:
        """The score of features that is to be maximal; see `uncertainty_of`."""
        x = x.held() if hasattr(x, "held") else x
        scores = torch.stack([self.model(x, self.adjacency) for _ in range(passes)])
        return uncertainty_of(scores, rule, self.nodes, self.labels)


def uncertainty_of(scores: Tensor, rule: str, nodes: Tensor, labels: Tensor) -> float:
    """What several passes say about features.

    Parameters
    ----------
    scores : Tensor (passes, n, C)
        Logits.
    rule : {"released", "paper"}
        "paper": the information that passes have about the class, H[mean p] - mean H[p], averaged over all nodes. It is
        never negative, and large where passes disagree. "released": -log mean p(y) + mean log p(y) on labelled nodes,
        as the authors' code computes it. It is never positive (Jensen), and largest where passes agree: the rules want
        opposite things.
    nodes, labels : int64 Tensor (k,)
        Labelled nodes; read by "released" only.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn.augmentation.uncertainty import uncertainty_of
    >>> torn = torch.tensor([[[9.0, 0.0]], [[0.0, 9.0]]])
    >>> node, label = torch.tensor([0]), torch.tensor([0])
    >>> round(uncertainty_of(torn, "paper", node, label), 2), round(uncertainty_of(torn, "released", node, label), 2)
    (0.69, -3.81)
    """
    if rule not in RULES:
        raise InvalidInput(f"rule must be one of {', '.join(map(repr, RULES))}; got {rule!r}")
    if rule == "released":
        logs = torch.log_softmax(scores[:, nodes], 2)
        mean = torch.logsumexp(logs, 0) - torch.log(torch.tensor(float(logs.shape[0])))
        each = torch.stack([nll_loss(part, labels) for part in logs])
        return float(nll_loss(mean, labels) - each.mean())
    p = torch.softmax(scores, 2)
    return float((_entropy(p.mean(0)) - _entropy(p).mean(0)).mean())


def _entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)
