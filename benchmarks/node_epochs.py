"""An epoch of deep or wide models of whole graphs beside plain PyTorch: GCNII's layers and GRAND's propagation.

An epoch is a training step (dropout, Adam) and a validation pass. The plain versions hold the adjacency as
`torch.sparse_csr_tensor`, drop with `torch.nn.functional.dropout` and keep sparse features sparse, as ours do. They run
in turn in one process on one thread; medians of seconds of the processor.

    NEARHOP_DATA=... python benchmarks/node_epochs.py
    python benchmarks/node_epochs.py --data citeseer --models gcnii --repeats 9
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
import torch
from _measure import versions
from torch import nn
from torch.nn.functional import dropout

from nearhop import datasets
from nearhop.gnn.nodes import FullBatch, NodeData, NodeTrainer, as_features, normalized_adjacency
from nearhop.gnn.nodes.models import GCNII, GRAND
from nearhop.gnn.training import Training

SIZES: dict[str, dict[str, Any]] = {
    "cora": {"hidden": 64, "num_layers": 64, "lam": 0.5},
    "citeseer": {"hidden": 256, "num_layers": 32, "lam": 0.6},
}


def as_csr(matrix):
    """A SparseTensor of ours as torch's."""
    m = matrix.matrix
    return torch.sparse_csr_tensor(
        torch.from_numpy(m.indptr), torch.from_numpy(m.indices.astype(np.int64)), torch.from_numpy(m.values),
        size=(m.num_rows, m.num_cols),
    )  # fmt: skip


class PlainGCNII(GCNII):
    """The same weights, every operation torch's."""

    def forward(self, x, adjacency):
        p, training = self.dropout, self.training
        layer: Any = self.first[0]
        given = torch.sparse_csr_tensor(
            x.crow_indices(), x.col_indices(), dropout(x.values(), p, training), size=x.shape
        )
        h = start = torch.relu(given @ layer.weight + layer.bias)
        for number, weight in enumerate(self.maps, 1):
            h, near = dropout(h, p, training), math.log(self.lam / number + 1)
            support = torch.add(self.alpha * start, adjacency @ h, alpha=1 - self.alpha)
            h = torch.relu(torch.addmm(support, support, weight, beta=1 - near, alpha=near))
        return self.last(dropout(h, p, training))


class PlainGRAND(GRAND):
    """The same weights, dense features, every operation torch's."""

    def forward(self, x, adjacency):
        if self.training:
            x = x * ((torch.rand(x.shape[0]) >= self.drop_node).float() / (1 - self.drop_node)).unsqueeze(1)
        total = h = x
        for _ in range(self.order):
            h = adjacency @ h
            total = total + h
        h = dropout(total / (self.order + 1), self.input_dropout, self.training)
        h = dropout(torch.relu(self.first(h)), self.hidden_dropout, self.training)
        return self.last(h)


def contenders(name, what):
    """Trainers by name."""
    store = datasets.load(name)
    x: Any = as_features(store.nodes["x"])
    data, adjacency = NodeData.from_store(store), normalized_adjacency(store)
    width, classes, plain = x.matrix.num_cols, data.num_classes, as_csr(adjacency)
    views: dict[str, Any] = {}
    made: dict[str, tuple[nn.Module, tuple]] = {}
    if what == "gcnii":
        for precision in ("float32", "bfloat16"):
            model = GCNII(width, num_classes=classes, precision=precision, **SIZES[name])
            made[f"nearhop, {precision}"] = model, (x, adjacency)
        made["plain PyTorch"] = PlainGCNII(width, num_classes=classes, **SIZES[name]), (as_csr(x), plain)
    else:
        views = {"samples": 4, "consistency": 1.0}
        made["nearhop"] = GRAND(width, 32, classes), (x, adjacency)
        made["plain PyTorch"] = PlainGRAND(width, 32, classes), (as_csr(x).to_dense(), plain)
    options = Training(epochs=10**6)
    return {
        name: NodeTrainer(FullBatch(model, *given, **views), data, options) for name, (model, given) in made.items()
    }


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", nargs="+", default=["cora", "citeseer"], choices=SIZES)
    made.add_argument("--models", nargs="+", default=["gcnii", "grand"], choices=["gcnii", "grand"])
    made.add_argument("--repeats", type=int, default=7)
    given = made.parse_args()
    torch.set_num_threads(1)
    print(versions("torch"))
    print("\n| data | model | contender | s of processor per epoch | times the first |\n|---|---|---|---|---|")
    for name in given.data:
        for what in given.models:
            trainers = contenders(name, what)
            taken: dict[str, list[float]] = {who: [] for who in trainers}
            for turn in range(given.repeats + 1):
                for who, trainer in trainers.items():
                    start = time.process_time()
                    trainer.fit(lambda told: told.val is not None)
                    if turn:
                        taken[who].append(time.process_time() - start)
            first = float(np.median(next(iter(taken.values()))))
            for who, values in taken.items():
                middle = float(np.median(values))
                print(f"| {name} | {what} | {who} | {middle:.3f} | {middle / first:.1f} |", flush=True)


if __name__ == "__main__":
    main()
