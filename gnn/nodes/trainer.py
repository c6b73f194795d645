"""One trainer for node classifiers, on the whole graph at once or in mini-batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ...embed.progress import TrainingDiverged
from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput, NotFitted
from ...graphlib.scalars import is_integer
from ...sampling.arguments import node_positions
from ...sampling.loaders.streams import ahead
from ...sampling.prefetch import Stopwatch
from ..training.epochs import Callback, EpochTrainer
from ..training.evaluating import evaluating
from ..training.options import Training
from ..training.origin import inputs_of
from .full_batch import check_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .data import NodeData


class NodeModel(Protocol):
    """A torch module that says how the batch of some nodes is made, and scores it.

    It may also have `loss(batch, labels)`, which takes the place of the cross entropy of its scores in training; labels
    are int64, one per node of the batch. Where it tells the number of nodes that it can score, `num_scored`, the
    trainer compares that with its labels.
    """

    def batch(self, nodes: NDArray[np.int64], *, epoch: int = 0) -> Any:
        """What `model(...)` takes, for these nodes: a function of its arguments alone, since threads make it ahead.

        Where training draws afresh in every epoch, the number of the epoch names the stream. Judging asks for epoch 0.
        """

    def __call__(self, batch: Any) -> Tensor:
        """Scores (len(nodes), num_classes)."""


@dataclass(frozen=True, eq=False, repr=False)
class NodeScores:
    """What a test gave.

    Attributes
    ----------
    accuracy : float in [0, 1]
    loss : float
        Mean cross entropy.
    nodes : int64 (k,)
    correct : bool (k,)
        Whether the class with the highest score is the node's.
    epoch : int
        Whose weights were tested, from 0.
    rule : str
        How that epoch was chosen.
    """

    accuracy: float
    loss: float
    nodes: NDArray[np.int64]
    correct: NDArray[np.bool_]
    epoch: int
    rule: str

    def __repr__(self) -> str:
        return f"NodeScores({100 * self.accuracy:.2f} % of {self.nodes.shape[0]:,}, epoch {self.epoch}, {self.rule})"


class NodeTrainer(EpochTrainer):
    """Train a node classifier, keep the epoch that the rule of selection names, test that one once; resume exactly.

    Labels of test nodes are read by `test` and by nothing else. After it nothing can be trained any more with this
    trainer, so that no choice can follow from the answer.

    Parameters
    ----------
    model : torch.nn.Module
        A `NodeModel`; `FullBatch` makes one of any module over a whole graph.
    data : NodeData
    options : Training, optional
    groups : iterable of dict, optional
        Parameter groups as torch's optimizers take them; by default `model.parameter_groups()` where there is such a
        method, else one group of all parameters.

    Notes
    -----
    An epoch is every training node once, in an order of its own where there are batches. With `Training.steady` the
    same seed gives the same bits on the processor at any thread count.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from nearhop.gnn.nodes import FullBatch, NodeData, NodeTrainer
    >>> from nearhop.gnn.training import Training
    >>> y = np.arange(60) % 2
    >>> data = NodeData(y, np.arange(20), np.arange(20, 40), np.arange(40, 60))
    >>> x = torch.nn.functional.one_hot(torch.from_numpy(y)).float()
    >>> trainer = NodeTrainer(FullBatch(torch.nn.Linear(2, 2), x), data, Training(epochs=30, learning_rate=0.1))
    >>> trainer.fit()
    >>> trainer.test()
    NodeScores(100.00 % of 20, epoch 29, best validation loss)
    """

    def __init__(
        self,
        model: Any,
        data: NodeData,
        options: Training | None = None,
        *,
        groups: Iterable[dict[str, Any]] | None = None,
    ) -> None:
        made = options or Training()
        for name in ("train", "val") if made.selection == "best validation" else ("train",):
            if not getattr(data, name).shape[0]:
                raise InvalidInput(f"{data!r}: {name} is empty, which selection={made.selection!r} needs")
        if groups is None and hasattr(model, "parameter_groups"):
            groups = model.parameter_groups()
        parts = {"labels": [data.labels], "split": [data.train, data.val, data.test], "inputs": inputs_of(model)}
        super().__init__(model, made, groups, **parts)
        self.data = data
        self._check_nodes()
        self._tested: NodeScores | None = None

    def fit(
        self, callback: Callback | None = None, *, checkpoint: str | None = None, save_seconds: float = 60.0
    ) -> None:
        if self._tested is not None and not self.finished:
            raise InvalidInput("fit: the test nodes were read already; make a new trainer to train further")
        super().fit(callback, checkpoint=checkpoint, save_seconds=save_seconds)

    fit.__doc__ = EpochTrainer.fit.__doc__

    def save(self, path: str) -> None:
        if self._tested is not None and not self.finished:
            raise InvalidInput(
                "save: the test nodes were read already, and the model has the weights of the tested epoch; save "
                "before the test"
            )
        super().save(path)

    save.__doc__ = EpochTrainer.save.__doc__

    def load(self, path: str) -> None:
        if self._tested is not None:
            raise InvalidInput("load: the test nodes were read already; make a new trainer for the file")
        super().load(path)

    load.__doc__ = EpochTrainer.load.__doc__

    def test(self) -> NodeScores:
        """The chosen epoch on the test nodes. They are read once: further calls give the same answer back.

        The model keeps the weights of that epoch.

        Raises
        ------
        NotFitted
            No epoch was judged yet.
        TrainingDiverged
            Scores are not numbers.
        """
        if self._tested is None:
            if not self.best:
                raise NotFitted("test: no epoch is complete; call fit first")
            self.use_best()
            with self._calm("test"), evaluating(self.model):
                loss, correct = self._scored(self.data.test)
            if math.isnan(loss):  # the largest of such scores would be the first of them
                raise TrainingDiverged(
                    "test: scores of test nodes are not numbers; are their features, and the weights?"
                )
            share = float(correct.mean()) if correct.shape[0] else float("nan")
            self._tested = NodeScores(share, loss, self.data.test, correct, self.best_epoch, self.options.rule)
        return self._tested

    def predict(self, nodes: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Scores (len(nodes), num_classes) of the model as it is, of all nodes by default; reads no labels."""
        chosen = (
            np.arange(self.data.num_nodes) if nodes is None else node_positions("nodes", nodes, self.data.num_nodes)
        )
        with self._calm("predict"), evaluating(self.model):
            parts = [scores.float().cpu().numpy() for _, scores in self._scores(chosen)]
        return np.concatenate(parts) if parts else np.empty((0, self.data.num_classes), np.float32)

    def _check_nodes(self) -> None:
        """Refuse a model of another number of nodes than there are labels, where it tells."""
        told = getattr(self.model, "num_scored", None)
        if is_integer(told) and told != self.data.num_nodes:
            raise InvalidInput(
                f"the model scores {told} nodes, but there are labels for {self.data.num_nodes}; give features and "
                "labels of the same nodes"
            )

    def _num_batches(self) -> int:
        size = self.options.batch_size or self.data.train.shape[0]
        return -(-self.data.train.shape[0] // size)

    def _batches(self, epoch: int, start: int) -> Generator[tuple[Any, Tensor]]:
        order, size = self.data.train, self.options.batch_size
        if size is not None:
            order = order[generator(self.options.seed, Purpose.BATCHES, epoch).permutation(order.shape[0])]
        parts = _cut(order, size)[start:]

        def made(nodes: NDArray[np.int64]) -> tuple[Any, Tensor]:
            return self.model.batch(nodes, epoch=epoch), torch.from_numpy(self.data.labels[nodes])

        yield from self._ahead(made, parts)

    def _loss(self, batch: tuple[Any, Tensor]) -> Tensor:
        given, labels = batch[0], batch[1].to(self.device)
        if hasattr(self.model, "loss"):
            found: Tensor = self.model.loss(given, labels)
            self._check_nodes()
            return found
        scores = self.model(given)
        check_classes(scores, labels)
        return cross_entropy(scores, labels)

    def _judge(self) -> dict[str, float]:
        loss, correct = self._scored(self.data.val)
        return {"loss": loss, "accuracy": float(correct.mean())} if correct.shape[0] else {"loss": 0.0, "accuracy": 0.0}

    def _scored(self, nodes: NDArray[np.int64]) -> tuple[float, NDArray[np.bool_]]:
        total, correct = 0.0, []
        for part, scores in self._scores(nodes):
            labels = torch.from_numpy(self.data.labels[part]).to(scores.device)
            check_classes(scores, labels)
            total += float(cross_entropy(scores, labels, reduction="sum"))
            correct.append((scores.argmax(1) == labels).cpu().numpy())
        return total / max(1, nodes.shape[0]), np.concatenate(correct) if correct else np.empty(0, bool)

    def _scores(self, nodes: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """Nodes in parts, with their scores."""
        parts = _cut(nodes, self.options.eval_batch_size or self.options.batch_size)

        def made(part: NDArray[np.int64]) -> tuple[NDArray[np.int64], Any]:
            return part, self.model.batch(part, epoch=0)

        for part, batch in self._ahead(made, parts):
            yield part, self.model(batch)

    def _ahead(self, made: Callable[[NDArray[np.int64]], Any], parts: list[NDArray[np.int64]]) -> Iterator[Any]:
        return ahead(made, parts, devices=[self.device], workers=self.options.workers, watch=Stopwatch())


def _cut(nodes: NDArray[np.int64], size: int | None) -> list[NDArray[np.int64]]:
    count = nodes.shape[0]
    return [nodes[at : at + size] for at in range(0, count, size)] if size else [nodes] * bool(count)
