"""Networks that give the probability of every part: trained by PyTorch, kept and asked as plain matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.compute.jit import plain_view, threads_in_use
from ...graphlib.compute.streams import Purpose, root_of
from ...graphlib.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 4096
_WARM_UP = 0.1


@dataclass(frozen=True, eq=False)
class Network:
    """Layers of weights, with ReLU between them; softmax of the last gives probabilities.

    Attributes
    ----------
    layers : list of float32 (outputs, inputs + 1)
        The last column is the bias. Scales of inputs and of batch normalisation are multiplied in.
    """

    layers: list[NDArray[np.float32]]

    @property
    def parts(self) -> int:
        return len(self.layers[-1])

    @property
    def nbytes(self) -> int:
        return sum(layer.nbytes for layer in self.layers)

    def probabilities(self, rows: NDArray[np.float32], threads: int | None = None) -> NDArray[np.float32]:
        """Of every part, float32 (rows, parts).

        Sums run in an order that the shapes fix: neither threads nor the other rows of the call change a bit.
        """
        from ..storage import codes_cpu as kernels

        out = np.empty((len(rows), self.parts), np.float32)
        with threads_in_use(threads):
            for start in range(0, len(rows), _BLOCK):
                values = plain_view(np.ascontiguousarray(rows[start : start + _BLOCK]))
                for number, layer in enumerate(self.layers):
                    if number:
                        np.maximum(values, 0, out=values)
                    following = np.empty((len(values), len(layer)), np.float32)
                    kernels.row_products(values, np.ascontiguousarray(layer[:, :-1]), False, following)
                    values = following + layer[:, -1]
                values -= values.max(axis=1, keepdims=True)
                np.exp(values, out=values)
                out[start : start + _BLOCK] = values / values.sum(axis=1, keepdims=True)
        return out


@dataclass(frozen=True)
class Training:
    """How a network is trained (see `NeuralLSH`)."""

    hidden: int
    depth: int
    epochs: int
    rounds: int
    batch: int  # at most; 64 batches make an epoch of fewer rows
    learning_rate: float
    weight_decay: float
    dropout: float
    seed: int


def train(
    rows: NDArray[np.float32],
    neighbors: NDArray[np.int64],
    parts: NDArray[np.int64],
    count: int,
    how: Training,
    relabel: Callable[[NDArray[np.float32]], NDArray[np.int64]],
    progress: Callable[[], None] | None = None,
) -> tuple[Network, NDArray[np.int64]]:
    """A network that tells the parts of a row's neighbours (rows, k), -1 for none, and the last parts of all rows.

    After each round but the last, `relabel` makes new parts from the probabilities of all rows. Points between a row
    and one of its ten nearest neighbours, with the labels of both, stand for queries. One thread, so that equal seeds
    give equal bits.
    """
    torch: Any = require("torch", "training a NeuralLSH index")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(root_of(how.seed, Purpose.LEARNED_LISTS, "network"))
            return _trained(torch, rows, neighbors, parts, count, how, relabel, progress)
    finally:
        torch.set_num_threads(threads)


def _trained(
    torch: Any, rows: Any, neighbors: Any, parts: Any, count: int, how: Training, relabel: Any, progress: Any
) -> tuple[Network, NDArray[np.int64]]:
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    with np.errstate(over="ignore"):
        deviation = float(rows.std())
    if not np.isfinite(deviation):  # its squares are beyond float32
        deviation = float(rows.std(dtype=np.float64))
    spread = np.float32(max(deviation, 1e-12))
    given, near = torch.from_numpy((rows - mean) / spread), torch.from_numpy(neighbors)
    model = _model(torch, rows.shape[1], count, how)
    batch = min(how.batch, max(32, len(rows) // 64))
    steps = max(1, len(rows) // batch)
    decayed = torch.optim.AdamW(model.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    total = how.rounds * how.epochs * steps + 1
    # torch divides by the steps of the warm-up less one
    warm_up = _WARM_UP if abs(_WARM_UP * total - 1) > 1e-6 else 2 / total
    schedule = torch.optim.lr_scheduler.OneCycleLR(decayed, how.learning_rate, total_steps=total, pct_start=warm_up)
    mixed = min(10, neighbors.shape[1] - 1)
    for _ in range(how.rounds):
        labels = torch.from_numpy(np.where(neighbors >= 0, parts[neighbors], -1))
        model.train()
        for _ in range(how.epochs):
            order = torch.randperm(len(rows))
            for step in range(steps):
                some = order[step * batch : (step + 1) * batch]
                other = near[some, torch.randint(1, mixed + 1, (len(some),))] if mixed else some
                other = torch.where(other >= 0, other, some)
                share = torch.rand(len(some), 1) / 2
                logits = model(given[some] + share * (given[other] - given[some]))
                chances = torch.log_softmax(logits, 1)
                loss = (1 - share) * _cross_entropy(torch, chances, labels[some])
                loss = (loss + share * _cross_entropy(torch, chances, labels[other])).mean()
                decayed.zero_grad()
                loss.backward()
                decayed.step()
                schedule.step()
            if progress is not None:
                progress()
        model.eval()
        network = _folded(torch, model, mean, spread)
        parts = relabel(network.probabilities(rows))
    return network, parts


def _cross_entropy(torch: Any, chances: Any, labels: Any) -> Any:
    """With the histogram of the labels (rows, k), those below 0 left out; (rows, 1)."""
    real = (labels >= 0).to(chances.dtype)
    each = chances.gather(1, labels.clamp_min(0)) * real
    return -each.sum(1, keepdim=True) / real.sum(1, keepdim=True).clamp_min(1)


def _model(torch: Any, dim: int, count: int, how: Training) -> Any:
    layers, width = [], dim
    for _ in range(how.depth):
        layers += [torch.nn.Linear(width, how.hidden), torch.nn.BatchNorm1d(how.hidden), torch.nn.ReLU()]
        layers.append(torch.nn.Dropout(how.dropout))
        width = how.hidden
    return torch.nn.Sequential(*layers, torch.nn.Linear(width, count))


def _folded(torch: Any, model: Any, mean: NDArray[np.float32], spread: np.float32) -> Network:
    """The model's matrices, with the scales of inputs and of batch normalisation multiplied in."""
    layers: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for module in model:
            if isinstance(module, torch.nn.Linear):
                weight, bias = module.weight.numpy().astype(np.float64), module.bias.numpy().astype(np.float64)
                if not layers:
                    weight = weight / spread
                    bias = bias - weight @ mean
                layers.append(np.column_stack([weight, bias]))
            elif isinstance(module, torch.nn.BatchNorm1d):
                scale = (module.weight / torch.sqrt(module.running_var + module.eps)).numpy().astype(np.float64)
                layers[-1] = layers[-1] * scale[:, None]
                layers[-1][:, -1] += module.bias.numpy() - module.running_mean.numpy() * scale
    return Network([layer.astype(np.float32) for layer in layers])


__all__ = ["Network", "Training", "train"]
