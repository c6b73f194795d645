"""One trainer for link prediction: full-graph encoding, batches of links, negatives per epoch, scored links hidden."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...embed.evaluation.link_splits import EdgeSplit
from ...embed.evaluation.metrics import hits
from ...graphlib.checks import kind_of
from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput, InvalidType
from ...graphlib.scalars import integer, is_finite
from ...sampling.arguments import pair_positions
from ...sampling.negatives.negatives import NegativeSampler
from ..sparse.propagation import neighbor_sets, normalised, without_pairs
from ..sparse.sparse_tensor import SparseTensor, features_of
from .encoders import Encoder
from .heads import SketchHead

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...graphlib.sparse.csr import CSR
    from ..topology.reweighting import Reweighting


@dataclass(frozen=True)
class LinkTraining:
    """How `train_links` trains.

    Attributes
    ----------
    epochs : int
    batch : int
        Links per step, with as many negatives.
    lr, head_lr : float
        Adam's step for the encoder and the head.
    hide_targets : bool
        Leave the links of a batch out of the graph while they are scored, as they will be missing in the test.
    eval_every : int
        Epochs between validations; the state of the best one is kept. `eval_every=epochs` validates once, after the
        last epoch, and keeps that one.
    k : int
        Hits@K chooses it.
    clip : float
        Norm that gradients are clipped to; 0 leaves them.
    seed : int
    reweighting : Reweighting, optional
        Edge weights that follow the model's own scores, see `nearhop.gnn.topology.Reweighting`.
    """

    epochs: int = 100
    batch: int = 1024
    lr: float = 1e-3
    head_lr: float = 1e-3
    hide_targets: bool = True
    eval_every: int = 1
    k: int = 100
    clip: float = 0.0
    seed: int = 0
    reweighting: Reweighting | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "eval_every", "k"):
            object.__setattr__(self, name, integer(name, getattr(self, name), 1))
        object.__setattr__(self, "seed", integer("seed", self.seed, 0))
        if not isinstance(self.hide_targets, bool):
            raise InvalidType(f"hide_targets must be True or False; got {self.hide_targets!r:.50}")
        if self.reweighting is not None and not hasattr(self.reweighting, "matrix"):
            raise InvalidType(
                f"reweighting must be a nearhop.gnn.topology.Reweighting, or None; got {kind_of(self.reweighting)}"
            )
        for name in ("lr", "head_lr", "clip"):
            value = getattr(self, name)
            if not is_finite(value) or value < 0 or (name == "lr" and not value):
                raise InvalidInput(f"{name} must be a number {'>' if name == 'lr' else '>='} 0; got {value!r}")


@dataclass(eq=False)
class TrainedLinks:
    """A trained encoder and head over one split.

    Attributes
    ----------
    val_hits, test_hits : float
        Hits@K on the split's pools, at the epoch of the best validation; nan where the split has no links of that part,
        or fewer than K negatives, so that every link would be a hit.
    epoch : int
        That epoch, from 1.
    losses : list of float
        Mean loss of every epoch.
    seconds : float
    """

    encoder: Encoder
    head: nn.Module
    split: EdgeSplit
    features: SparseTensor | None
    val_hits: float = 0.0
    test_hits: float = 0.0
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    matrix: SparseTensor | None = None

    @torch.no_grad()
    def states(self, stage: str = "test") -> Tensor:
        """Node states (n, hidden) over the graph that may be read at that stage."""
        return self._encode(neighbor_sets(self.split.input_for(stage)))

    def _encode(self, neighbors: CSR) -> Tensor:
        self.encoder.eval()
        matrix = self.matrix if self.matrix is not None else normalised(neighbors, self.encoder.normalisation)
        encoded: Tensor = self.encoder(self.features, matrix)
        return encoded

    @torch.no_grad()
    def score(self, src: Any, dst: Any, *, stage: str = "test", batch: int = 1 << 14) -> NDArray[np.float32]:
        """Scores of pairs of nodes, over the graph that may be read at that stage."""
        neighbors = neighbor_sets(self.split.input_for(stage))
        states = self._encode(neighbors)
        self.head.eval()
        u, v = pair_positions(src, dst, states.shape[0])
        integer("batch", batch, 1)
        parts = [
            self.head(states, u[at : at + batch], v[at : at + batch], neighbors).numpy()
            for at in range(0, u.shape[0], batch)
        ]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def __repr__(self) -> str:
        return (
            f"TrainedLinks({type(self.head).__name__}, epoch {self.epoch}, validation {self.val_hits:.4f}, "
            f"test {self.test_hits:.4f}, {self.seconds:.0f} s)"
        )


def train_links(
    split: EdgeSplit,
    encoder: Encoder,
    head: nn.Module,
    training: LinkTraining | None = None,
    *,
    features: Any = None,
    progress: Callable[[int, float, float], None] | None = None,
) -> TrainedLinks:
    """Train an encoder and a head on the training links of a split.

    Parameters
    ----------
    split : EdgeSplit
        From `nearhop.embed.evaluation.split_edges`. Edges count without direction.
    encoder : Encoder
    head : torch.nn.Module
        One of this room's heads, or a module that is called with (states, src, dst, neighbors).
    training : LinkTraining, optional
    features : array or SciPy sparse matrix (n, F), optional
        Kept and multiplied as a sparse matrix.
    progress : callable, optional
        Called with the epoch, its loss and the validation's Hits@K.

    Returns
    -------
    TrainedLinks
        Encoder and head are those given, in the state of the best validation.

    Raises
    ------
    InvalidInput
        A loss that is not finite, features that do not fit; several validations to choose from, but no validation links
        or fewer than K negatives, so that all of them would be alike.

    Notes
    -----
    A step encodes the whole graph. The loss is the mean of -log sigmoid(score) over links plus that of
    -log sigmoid(-score) over as many uniform pairs without a training link. The same seed gives the same numbers at one
    thread count of torch; `nearhop.gnn.threads.steady` makes them independent of it.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.embed.evaluation import split_edges
    >>> from nearhop.gnn.links import DotHead, Encoder, LinkTraining, train_links
    >>> split = split_edges(nearhop.GraphStore.from_edges(np.arange(60), (np.arange(60) * 7 + 1) % 60))
    >>> trained = train_links(split, Encoder(0, 8, num_nodes=60), DotHead(), LinkTraining(epochs=2, k=5))
    >>> len(trained.losses)
    2
    """
    options = training or LinkTraining()
    if not isinstance(split, EdgeSplit) or not isinstance(encoder, Encoder) or not isinstance(head, nn.Module):
        raise InvalidType(
            "train_links takes an EdgeSplit (of embed.evaluation.split_edges), an Encoder and a head; got "
            f"{type(split).__name__}, {type(encoder).__name__} and {type(head).__name__}"
        )
    if not isinstance(options, LinkTraining):
        raise InvalidType(f"training must be a LinkTraining; got {type(options).__name__}")
    if features is None and encoder.has_features:
        raise InvalidInput("the encoder reads features; give features=")
    if features is not None and not encoder.has_features:
        raise InvalidInput(
            "the encoder trains a vector per node (num_features=0) and reads no features; leave features= out, or give "
            "the encoder their number of columns"
        )
    matrix = None if features is None else SparseTensor(features_of(features))
    num_nodes, width = split.full.num_nodes, int(encoder.weight.shape[0])
    if matrix is not None and (matrix.matrix.num_rows, matrix.matrix.num_cols) != (num_nodes, width):
        raise InvalidInput(
            f"features must have {num_nodes} rows, one per node, and the {width} columns of the encoder; got "
            f"{matrix.matrix.num_rows} x {matrix.matrix.num_cols}"
        )
    if not encoder.has_features and width != num_nodes:
        raise InvalidInput(f"the encoder has vectors for {width} nodes, the graph has {num_nodes}; give num_nodes")
    if options.reweighting is not None and isinstance(head, SketchHead):
        raise InvalidInput("reweighting scores averages of nodes, which have no sketches; use another head")
    _check_choice(split, options)
    trained = TrainedLinks(encoder, head, split, matrix)
    job = _Job(trained, options)
    start = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        trained.losses.append(job.epoch(epoch))
        if epoch % options.eval_every == 0 or epoch == options.epochs:
            found = job.validate(epoch)
            if progress is not None:
                progress(epoch, trained.losses[-1], found)
    job.restore()
    trained.seconds = time.perf_counter() - start
    return trained


def _check_choice(split: EdgeSplit, options: LinkTraining) -> None:
    """Refuse validations that cannot tell one epoch from another."""
    links, pool = split.val.shape[1], split.val_negative.shape[1]
    if options.eval_every >= options.epochs or (links and pool >= options.k):
        return
    if not links:
        lacks, remedy = "no validation links", "split_edges(val=...) above 0"
    else:
        lacks = f"{pool} validation negatives, of which every link is among the first k={options.k}"
        remedy = f"split_edges(val_negatives=...) of {options.k} or more, or a smaller k"
    raise InvalidInput(
        f"train_links keeps the epoch of the best validation, but the split has {lacks}; give {remedy}, or keep the "
        f"last epoch with LinkTraining(eval_every={options.epochs})"
    )


class _Job:
    """The state of one training."""

    def __init__(self, trained: TrainedLinks, options: LinkTraining) -> None:
        self.trained, self.options = trained, options
        encoder, head, split = trained.encoder, trained.head, trained.split
        groups = [{"params": list(module.parameters()), "lr": lr} for module, lr in
                  ((encoder, options.lr), (head, options.head_lr)) if list(module.parameters())]  # fmt: skip
        self.optimizer = torch.optim.Adam(groups)
        self.neighbors = neighbor_sets(split.train)
        rows = np.repeat(np.arange(self.neighbors.num_rows), np.diff(self.neighbors.indptr))
        once = rows < self.neighbors.indices
        self.src, self.dst = rows[once], self.neighbors.indices[once].astype(np.int64)
        self.sampler = NegativeSampler(split.train, seed=options.seed)
        self.base = normalised(self.neighbors, encoder.normalisation)
        self.matrix = self.base
        self.best: dict[str, Any] | None = None

    def epoch(self, number: int) -> float:
        options, trained = self.options, self.trained
        if options.reweighting is not None:
            self.matrix = options.reweighting.matrix(number, trained, self.base) or self.matrix
        order = generator(options.seed, Purpose.BATCHES, "links", number).permutation(self.src.shape[0])
        negative = self.sampler.sample_pairs(order.shape[0], epoch=number)
        trained.encoder.train()
        trained.head.train()
        total = 0.0
        for at in range(0, order.shape[0], options.batch):
            part = order[at : at + options.batch]
            pairs = self.src[part], self.dst[part]
            neighbors, matrix = self.neighbors, self.matrix
            if options.hide_targets:
                neighbors = without_pairs(neighbors, *pairs)
                if options.reweighting is None:
                    matrix = normalised(neighbors, trained.encoder.normalisation)
            states = trained.encoder(trained.features, matrix)
            away = tuple(side[at : at + options.batch] for side in negative)
            scores = trained.head(
                states, np.concatenate([pairs[0], away[0]]), np.concatenate([pairs[1], away[1]]), neighbors
            )
            count = part.shape[0]
            loss = nn.functional.softplus(-scores[:count]).mean() + nn.functional.softplus(scores[count:]).mean()
            if not torch.isfinite(loss):
                raise InvalidInput(f"the loss of epoch {number} is {float(loss)}; use a lower lr than {options.lr}")
            self.optimizer.zero_grad()
            loss.backward()
            if options.clip > 0:
                for module in (trained.encoder, trained.head):
                    torch.nn.utils.clip_grad_norm_(module.parameters(), options.clip)
            self.optimizer.step()
            total += float(loss.detach()) * count
        return total / max(1, order.shape[0])

    def validate(self, number: int) -> float:
        trained, split = self.trained, self.trained.split
        trained.matrix = self.matrix if self.options.reweighting is not None else None
        found = self._hits("val", split.val, split.val_negative)
        if self.best is None or found > trained.val_hits:
            trained.val_hits, trained.epoch = found, number
            self.best = {
                "encoder": copy.deepcopy(trained.encoder.state_dict()),
                "head": copy.deepcopy(trained.head.state_dict()),
                "matrix": trained.matrix,
            }
        return found

    def _hits(self, stage: str, links: NDArray[np.int64], pool: NDArray[np.int64]) -> float:
        if not links.shape[1] or pool.shape[1] < self.options.k:
            return float("nan")
        both = np.concatenate([links, pool], axis=1)
        scores = self.trained.score(both[0], both[1], stage=stage)
        count = links.shape[1]
        return float(hits(scores[:count], scores[count:], self.options.k).mean())

    def restore(self) -> None:
        trained = self.trained
        if self.best is not None:
            trained.encoder.load_state_dict(self.best["encoder"])
            trained.head.load_state_dict(self.best["head"])
            trained.matrix = self.best["matrix"]
            trained.test_hits = self._hits("test", trained.split.test, trained.split.test_negative)
