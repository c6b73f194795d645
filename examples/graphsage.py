"""GraphSAGE for nodes and for links: PyTorch Geometric's layers over nearhop's loaders.

Nodes: Cora has its public split. Coauthor Physics has no official one: 20 nodes per class train, 30 per class validate
and the rest test, drawn anew for every seed (Shchur et al., "Pitfalls of graph neural network evaluation",
arXiv:1811.05868). Two SAGE layers with mean aggregation, 64 hidden units; the epoch of best validation accuracy is the
one tested.

Links, drawn anew for every seed: 60 % of the edges are the graph that gives features and messages, 25 % are learned
from, 5 % validate and 10 % test, against as many pairs that are no edges, of which one end is an edge's and the other
uniform. A pair's score is the product of its ends' outputs. Graphs without features get FastRP embeddings of the graph
and the logarithm of the degree, which a mean over neighbours cannot see. Beside it: common neighbours and Adamic-Adar.

    python examples/graphsage.py                     # Cora and Coauthor Physics, five seeds
    python examples/graphsage.py --task links        # GitHub developers and ego-Twitter
    python examples/graphsage.py --short             # Cora, one seed, a few epochs
    torchrun --nproc-per-node 2 examples/graphsage.py --disjoint --batch-size 64

Under torchrun every batch is divided among the processes. With --disjoint, the neighbours drawn for a seed depend on
that seed alone, so the losses are those of one process with a batch size twice as large.
"""

from __future__ import annotations

import os
import time
from typing import Any

import _report
import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F  # noqa: N812, as everybody calls it
from scipy.stats import rankdata
from torch import distributed
from torch_geometric.nn import SAGEConv

from nearhop import GraphStore, datasets
from nearhop.embed import FastRP
from nearhop.sampling import LinkLoader, NegativeSampler, NeighborSampler, NodeLoader
from nearhop.sampling.features.unified_tensor import UnifiedTensor

DEFAULTS: dict[str, dict[str, Any]] = {
    "datasets": {"nodes": ["cora", "coauthor-physics"], "links": ["github", "ego-twitter"]},
    "epochs": {"nodes": 40, "links": 20},
    "batch_size": {"nodes": 64, "links": 4096},
    "dropout": {"nodes": 0.5, "links": 0.0},
    "weight_decay": {"nodes": 5e-4, "links": 0.0},
    "evaluate": {"nodes": 5, "links": 4},
}
SHORT: dict[str, dict[str, Any]] = {
    "datasets": {"nodes": ["cora"], "links": ["usair"]},
    "epochs": {"nodes": 20, "links": 10},
}
RANK, WORLD = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


class Sage(torch.nn.Module):
    """Two SAGE layers. `apply_layer` is also used by `predict`, one layer at a time over all nodes."""

    def __init__(self, num_features: int, hidden: int, num_out: int, dropout: float, counts: bool) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([SAGEConv(num_features, hidden), SAGEConv(hidden, num_out)])
        self.dropout = dropout
        self.counts = counts

    def forward(self, x, edge_index):
        for number in range(len(self.layers)):
            x = self.apply_layer(number, x, edge_index)
        return x

    def apply_layer(self, number, x, edge_index):
        if number == 0:
            x = x.float()
            if self.counts:  # bags of words, kept as small integers, become shares
                x = x / x.sum(dim=1, keepdim=True).clamp(min=1)
        else:
            x = x.relu()
        return self.layers[number](F.dropout(x, self.dropout, self.training), edge_index)


@torch.no_grad()
def predict(model, store, x, batch_size):
    """The model's output for all nodes from full neighbourhoods, layer by layer.

    Each layer runs over batches of nodes and writes a table on the host that the next one reads, so memory is that of a
    batch and of two narrow tables, however many hops there are.
    """
    model.eval()
    sampler = NeighborSampler(store, [-1])
    for number, layer in enumerate(model.layers):
        out = np.empty((store.num_nodes, layer.out_channels), np.float32)
        for batch in NodeLoader(store, sampler, tables={"x": x}, batch_size=batch_size):
            count = batch.batch_size
            out[batch.input_id.cpu().numpy()] = model.apply_layer(number, batch.x, batch.edge_index)[:count].cpu()
        x = UnifiedTensor(out, device=x.device, threads=1)
    return torch.from_numpy(out)


def split(store, seed):
    """Positions of the training, validation and test nodes."""
    if "train_mask" in store.nodes:
        return [np.flatnonzero(store.nodes[name]) for name in ("train_mask", "val_mask", "test_mask")]
    y = store.nodes["y"]
    order = np.random.default_rng(seed).permutation(store.num_nodes)
    rank = np.empty_like(order)  # how many nodes of its class come before each
    for label in np.unique(y):
        members = order[y[order] == label]
        rank[members] = np.arange(members.shape[0])
    return [np.flatnonzero(rank < 20), np.flatnonzero((rank >= 20) & (rank < 50)), np.flatnonzero(rank >= 50)]


class Nodes:
    """Classes of nodes: what is loaded, lost and measured."""

    measures = ("test accuracy, %",)

    def __init__(self, store, seed, given) -> None:
        self.store, self.given = store, given
        self.y = torch.from_numpy(np.array(store.nodes["y"]))
        self.width = int(self.y.max()) + 1
        self.train, self.validation, self.test = split(store, seed)
        self.x = UnifiedTensor(store.nodes["x"], placement=given.placement, device=given.device, threads=1)
        self.loader = NodeLoader(
            store,
            NeighborSampler(store, given.fanouts, disjoint=given.disjoint, seed=seed),
            nodes=self.train,
            tables={"x": self.x, "y": "y"},
            batch_size=given.batch_size,
            shuffle=True,
            seed=seed,
            part=(RANK, WORLD),
        )

    def size(self, batch):
        return batch.batch_size

    def loss(self, out, batch):
        """Summed over the batch."""
        count = batch.batch_size
        return F.cross_entropy(out[:count], batch.y[:count].to(out.device), reduction="sum")

    def measure(self, model):
        """Validation accuracy, and the test's."""
        right = predict(model, self.store, self.x, self.given.inference_batch).argmax(dim=1) == self.y
        return right[self.validation].double().mean().item(), (right[self.test].double().mean().item(),)


class Links:
    """Edges that were taken away, against pairs that are none."""

    measures = ("test AUC, %", "common neighbours: AUC, %", "Adamic-Adar: AUC, %")
    width = 64

    def __init__(self, store, seed, given) -> None:
        self.given = given
        edges = store.edge_list()
        ends = np.stack([edges.src, edges.dst])[:, edges.src != edges.dst].astype(np.int64)
        ends = ends[:, np.random.default_rng(seed).permutation(ends.shape[1])]
        seen, first, last = (int(share * ends.shape[1]) for share in (0.6, 0.85, 0.9))
        kept = ends[0, first:]  # a wrong pair keeps one end of a right one, as in training
        wrong = np.stack([kept, NegativeSampler(store, seed=seed).sample(kept)[:, 0]])
        self.validation = ends[:, first:last], wrong[:, : last - first]
        self.test = ends[:, last:], wrong[:, last - first :]
        self.store = GraphStore.from_edges(*ends[:, :first], num_nodes=store.num_nodes)
        graph = GraphStore.from_edges(*ends[:, :seen], num_nodes=store.num_nodes)
        self.x, x = (self._features(store, training, seed) for training in (self.store, graph))
        self.loader = LinkLoader(
            self.store,
            NeighborSampler(graph, given.fanouts, disjoint=given.disjoint, seed=seed),
            edges=np.arange(seen, first),
            tables={"x": x},
            batch_size=given.batch_size,
            shuffle=True,
            seed=seed,
            part=(RANK, WORLD),
        )
        self.heuristics = self._heuristics()

    def _features(self, store, training, seed):
        x = store.nodes["x"] if "x" in store.nodes else _embedding(training, seed)
        return UnifiedTensor(x, placement=self.given.placement, device=self.given.device, threads=1)

    def size(self, batch):
        return batch.edge_label.shape[0]

    def loss(self, out, batch):
        """Summed over the batch."""
        return F.binary_cross_entropy_with_logits(
            _products(out, batch.edge_label_index), batch.edge_label, reduction="sum"
        )

    def measure(self, model):
        """Validation AUC, and the test's with those of the heuristics."""
        out = predict(model, self.store, self.x, self.given.inference_batch)
        found = [
            auc(*(_products(out, torch.from_numpy(p)).numpy() for p in part)) for part in (self.validation, self.test)
        ]
        return found[0], (found[1], *self.heuristics)

    def _heuristics(self):
        """AUC of the number of common neighbours, and of their sum of 1 / log(degree)."""
        rows = self.store.csr()
        degree = rows.degrees()
        adjacency = sp.csr_array((np.ones(rows.num_entries), rows.indices, rows.indptr), (rows.num_rows,) * 2)
        scores = []
        for weight in (np.ones(rows.num_rows), 1 / np.log(np.maximum(degree, 2))):
            weighted = adjacency @ sp.diags_array(weight)
            scores.append(auc(*((weighted[u].multiply(adjacency[v])).sum(axis=1) for u, v in self.test)))
        return scores


def _embedding(store, seed):
    """FastRP and log(1 + degree), every column with mean 0 and deviation 1."""
    degree = np.log1p(store.csr().degrees()).astype(np.float32)
    columns = np.column_stack([FastRP(dim=127, seed=seed).fit_transform(store), degree])
    return (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-6)


def _products(out, pairs):
    return (out[pairs[0]] * out[pairs[1]]).sum(dim=1) / out.shape[1] ** 0.5


def auc(right, wrong):
    """The chance that a right pair scores higher than a wrong one, ties counted half."""
    ranks = rankdata(np.concatenate([right, wrong]))
    count = right.shape[0]
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * wrong.shape[0]))


def summed(value):
    """The sum of a number over all processes."""
    total = torch.tensor(float(value), dtype=torch.float64)
    if WORLD > 1:
        distributed.all_reduce(total)
    return float(total)


def train(store, seed, given):
    """Losses per epoch, best validation measure and the test measures of that epoch (None without), and the task."""
    torch.manual_seed(seed)
    task = (Nodes if given.task == "nodes" else Links)(store, seed, given)
    counts = not task.x.dtype.is_floating_point
    model = Sage(task.x.shape[1], 64, task.width, given.dropout, counts).to(task.x.device)
    shared = torch.nn.parallel.DistributedDataParallel(model) if WORLD > 1 else model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=given.weight_decay)
    torch.set_num_threads(given.threads)  # Numba's OpenMP layer may have raised what torch took from the environment
    losses, best = [], (-1.0, None)
    for epoch in range(given.epochs):
        model.train()
        total = 0.0
        for batch in task.loader:
            everyone = summed(task.size(batch))
            optimizer.zero_grad()
            loss = task.loss(shared(batch.x, batch.edge_index), batch) / everyone
            (loss * WORLD).backward()  # gradients are averaged over the processes
            optimizer.step()
            total += summed(loss.item())
        losses.append(total / len(task.loader))
        if given.evaluate and (epoch + 1) % given.evaluate == 0:
            best = max(best, task.measure(model))
    return losses, best, task


def main() -> None:
    parser = _report.parser(
        __doc__, datasets=None, threads=1, short={"seeds": 1}, also_short="cora and 20 epochs, or usair and 10 (links)"
    )  # threads are torch's, per process: small batches gain nothing by more
    parser.add_argument("--task", choices=["nodes", "links"], default="nodes")
    parser.add_argument("--epochs", type=_report.positive, help="40 for nodes, 20 for links")
    parser.add_argument("--batch-size", type=_report.positive, help="nodes or links per process and step: 64, 4096")
    parser.add_argument("--inference-batch", type=_report.positive, default=1024)
    parser.add_argument("--fanouts", type=int, nargs=2, default=[15, 10])
    parser.add_argument("--disjoint", action="store_true", help="a tree per seed")
    parser.add_argument("--dropout", type=float, help="0.5 for nodes, 0 for links")
    parser.add_argument("--weight-decay", type=float, help="5e-4 for nodes, 0 for links")
    parser.add_argument("--evaluate", type=int, help="every so many epochs: 5, 4; 0 for never")
    parser.add_argument("--placement", default="auto", help="of the features; see UnifiedTensor")
    parser.add_argument("--device", help="where batches go; the GPU if the placement uses one")
    given = parser.parse_args()
    for name, values in (DEFAULTS | (SHORT if given.short else {})).items():
        if getattr(given, name) is None:
            setattr(given, name, values[given.task])
    if WORLD > 1:
        distributed.init_process_group("gloo")

    rows: list[_report.Row] = []
    losses, seconds = {}, {}
    for name in given.datasets:
        store = datasets.load(name)
        start = time.perf_counter()
        runs = [train(store, seed, given) for seed in range(given.seeds)]
        losses[name], task = runs[0][0], runs[-1][2]
        seconds[name] = (time.perf_counter() - start) / given.seeds
        if given.evaluate:
            tests = 100 * np.array([best[1] for _, best, _ in runs])
            rows += [_report.Row.of(name, *pair) for pair in zip(task.measures, tests.T, strict=True)]
        if RANK == 0:
            _report.note(f"{name}: {seconds[name]:.1f} s per seed\n{task.x.report()}\n{task.loader.report()}\n")
    if RANK == 0:
        beside = {"epochs": given.epochs, "processes": WORLD, "losses": losses, "seconds_per_seed": seconds}
        _report.show(rows, as_json=given.json, digits=2, **beside)
    if WORLD > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
