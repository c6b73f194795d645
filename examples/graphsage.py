"""GraphSAGE on Cora and Coauthor Physics: PyTorch Geometric's layers over nearhop's loaders.

Cora has its public split. Coauthor Physics has no official one: 20 nodes per class train, 30 per class validate and the
rest test, drawn anew for every seed (Shchur et al., "Pitfalls of graph neural network evaluation", arXiv:1811.05868).
Two SAGE layers with mean aggregation, 64 hidden units; the epoch of best validation accuracy is the one tested.

    python examples/graphsage.py                     # both datasets, five seeds
    python examples/graphsage.py --short             # Cora, one seed, a few epochs
    torchrun --nproc-per-node 2 examples/graphsage.py --disjoint --batch-size 64

Under torchrun every batch is divided among the processes. With --disjoint, the neighbours drawn for a seed depend on
that seed alone, so the losses are those of one process with a batch size twice as large.
"""

from __future__ import annotations

import argparse
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, as everybody calls it
from torch import distributed
from torch_geometric.nn import SAGEConv

from nearhop import datasets
from nearhop.sampling import NeighborSampler
from nearhop.sampling.loaders import NodeLoader
from nearhop.sampling.unified_tensor import UnifiedTensor

RANK, WORLD = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


class Sage(torch.nn.Module):
    """Two SAGE layers. `apply_layer` is also used by `predict`, one layer at a time over all nodes."""

    def __init__(self, num_features: int, hidden: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([SAGEConv(num_features, hidden), SAGEConv(hidden, num_classes)])
        self.dropout = dropout

    def forward(self, x, edge_index):
        for number in range(len(self.layers)):
            x = self.apply_layer(number, x, edge_index)
        return x

    def apply_layer(self, number, x, edge_index):
        if number == 0:  # bags of words, kept as small integers, become shares
            x = x.float()
            x = x / x.sum(dim=1, keepdim=True).clamp(min=1)
        else:
            x = x.relu()
        return self.layers[number](F.dropout(x, self.dropout, self.training), edge_index)


@torch.no_grad()
def predict(model, store, x, batch_size):
    """Class scores of all nodes from full neighbourhoods, layer by layer.

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


def summed(value):
    """The sum of a number over all processes."""
    total = torch.tensor(float(value), dtype=torch.float64)
    if WORLD > 1:
        distributed.all_reduce(total)
    return float(total)


def train(store, x, seed, given):
    """Losses per epoch, best validation accuracy and its test accuracy (None without evaluation), and the loader."""
    torch.manual_seed(seed)
    y = torch.from_numpy(np.array(store.nodes["y"]))
    train_nodes, val_nodes, test_nodes = split(store, seed)
    model = Sage(x.shape[1], 64, int(y.max()) + 1, given.dropout).to(x.device)
    shared = torch.nn.parallel.DistributedDataParallel(model) if WORLD > 1 else model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    loader = NodeLoader(
        store,
        NeighborSampler(store, given.fanouts, disjoint=given.disjoint, seed=seed),
        nodes=train_nodes,
        tables={"x": x, "y": "y"},
        batch_size=given.batch_size,
        shuffle=True,
        seed=seed,
        part=(RANK, WORLD),
    )
    torch.set_num_threads(given.threads)  # Numba's OpenMP layer may have raised what torch took from the environment
    losses, best = [], (-1.0, None)
    for epoch in range(given.epochs):
        model.train()
        total = 0.0
        for batch in loader:
            count = batch.batch_size
            everyone = summed(count)
            optimizer.zero_grad()
            scores = shared(batch.x, batch.edge_index)[:count]
            loss = F.cross_entropy(scores, batch.y[:count].to(scores.device), reduction="sum") / everyone
            (loss * WORLD).backward()  # gradients are averaged over the processes
            optimizer.step()
            total += summed(loss.item())
        losses.append(total / len(loader))
        if given.evaluate and (epoch + 1) % given.evaluate == 0:
            right = predict(model, store, x, given.inference_batch).argmax(dim=1) == y
            best = max(best, (right[val_nodes].double().mean().item(), right[test_nodes].double().mean().item()))
    return losses, best, loader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="Cora, one seed, ten epochs")
    parser.add_argument("--datasets", nargs="+", default=["cora", "coauthor-physics"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=64, help="training nodes per process and step")
    parser.add_argument("--inference-batch", type=int, default=1024)
    parser.add_argument("--fanouts", type=int, nargs=2, default=[15, 10])
    parser.add_argument("--disjoint", action="store_true", help="a tree per seed")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--evaluate", type=int, default=5, help="every so many epochs; 0 for never")
    parser.add_argument("--placement", default="auto", help="of the features; see nearhop.sampling.unified_tensor")
    parser.add_argument("--device", help="where batches go; the GPU if the placement uses one")
    parser.add_argument(
        "--threads", type=int, default=1, help="of torch, per process; small batches gain nothing by more"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of Markdown")
    given = parser.parse_args()
    if given.short:
        given.datasets, given.seeds, given.epochs = ["cora"], 1, min(given.epochs, 10)
    if WORLD > 1:
        distributed.init_process_group("gloo")

    rows = []
    for name in given.datasets:
        store = datasets.load(name)
        x = UnifiedTensor(store.nodes["x"], placement=given.placement, device=given.device, threads=1)
        start = time.perf_counter()
        runs = [train(store, x, seed, given) for seed in range(given.seeds)]
        row = {"dataset": name, "losses": runs[0][0], "seconds_per_seed": (time.perf_counter() - start) / given.seeds}
        if given.evaluate:
            tests = 100 * np.array([best[1] for _, best, _ in runs])
            row |= {"test_accuracy": round(tests.mean(), 2), "std": round(tests.std(), 2)}
        rows.append(row)
        if RANK == 0 and not given.json:
            accuracy = f"{row['test_accuracy']:.2f} ± {row['std']:.2f} %" if given.evaluate else "not measured"
            print(f"{name}: test accuracy {accuracy}, {row['seconds_per_seed']:.1f} s per seed")
            print(f"{x.report()}\n{runs[-1][2].report()}\n")
    if RANK == 0 and given.json:
        print(json.dumps({"seeds": given.seeds, "epochs": given.epochs, "processes": WORLD, "rows": rows}))
    if WORLD > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
