"""LargeGT beside the usual models, on graphs where neighbours are alike and on graphs where they are not.

Every model reads the same features and the same split, stops early on validation loss, and is tested once, at the epoch
of best validation. Cora has its public split, Actor and Chameleon (without its duplicates) the first splits of their
benchmark; of the others 50 % train, 25 % validate and 25 % test, drawn anew for every seed, as the paper splits
snap-patents. Rows of features have length 1; features wider than --width are projected to it at random, for all models
alike. The facebook100 graphs predict gender from the other six answers, one-hot. `largegt-local` leaves out the global
module and its codebook. The paper has no figures for these graphs.

    python examples/largegt.py                                      # all eight sets, five seeds
    python examples/largegt.py --datasets actor cornell5 --seeds 3 --models largegt largegt-local sign mlp
    python examples/largegt.py --datasets chameleon --models largegt --size 10 20 50 100      # a sweep of K
    python examples/largegt.py --datasets cora --models largegt --fresh                       # new node sets per epoch
    python examples/largegt.py --save runs                          # goes on where it was interrupted
    python examples/largegt.py --short
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import _report
import numpy as np
import torch

from nearhop import GraphStore, datasets
from nearhop.embed import FastRP
from nearhop.gnn.large_gt import LargeGT, LargeGTConfig, TokenLoader
from nearhop.gnn.nodes import FullBatch, NodeData, NodeTrainer, as_features, normalized_adjacency
from nearhop.gnn.nodes.models import GCN, MLP, SGC, SIGN, GraphSAGE
from nearhop.gnn.training import Training, run_seeds
from nearhop.graphlib.sparse import hop_contexts
from nearhop.sampling import NodeSets

SETS = ("cora", "pubmed", "coauthor-physics", "amazon-computers", "cornell5", "johnshopkins55", "actor", "chameleon")
MODELS = ("largegt", "largegt-local", "mlp", "gcn", "sage", "sgc", "sign")
FACEBOOK = ("cornell5", "johnshopkins55")


def loaded(name: str, width: int) -> GraphStore:
    """The graph with columns x (float32 rows of length 1) and y (negative where unknown)."""
    given = datasets.load(name)
    edges = given.edge_list()
    store = GraphStore.from_edges(edges.src, edges.dst, num_nodes=given.num_nodes)
    for column in given.nodes:
        store.nodes[column] = given.nodes[column]
    if name in FACEBOOK:
        answers = given.nodes["local_info"]
        store.nodes["y"] = answers[:, 1] - 1  # 0 says that it is not known
        others = [answers[:, column] for column in range(7) if column != 1]
        blocks = [np.unique(answer, return_inverse=True)[1] for answer in others]
        x = np.concatenate([np.eye(block.max() + 1, dtype=np.float32)[block] for block in blocks], 1)
    else:
        x = given.nodes["x"].astype(np.float32)
    if x.shape[1] > width:
        x = x @ (np.random.default_rng(0).standard_normal((x.shape[1], width), np.float32) / np.float32(width**0.5))
    length = np.linalg.norm(x, axis=1, keepdims=True)
    store.nodes["x"] = x / np.where(length > 0, length, 1)
    return store


def split_of(store: GraphStore, seed: int) -> NodeData:
    """The public split, the seed's split of a benchmark, or a random one."""
    if "train_mask" not in store.nodes:
        return NodeData.random(store.nodes["y"], seed=seed)
    masks = [store.nodes[name] for name in ("train_mask", "val_mask", "test_mask")]
    if masks[0].ndim == 2:
        masks = [mask[:, seed % mask.shape[1]] for mask in masks]
    return NodeData(store.nodes["y"], *masks, split="public")


def baseline(name: str, store: GraphStore, classes: int, hidden: int) -> FullBatch:
    x, tables = as_features(store.nodes["x"], normalize=None), [store.nodes[c] for c in ("x", "x_hop1", "x_hop2")]
    width = store.nodes["x"].shape[1]
    if name == "mlp":
        return FullBatch(MLP(width, hidden, classes), x)
    if name == "gcn":
        return FullBatch(GCN(width, hidden, classes), x, normalized_adjacency(store))
    if name == "sage":
        return FullBatch(GraphSAGE(width, hidden, classes), x, normalized_adjacency(store, "mean"))
    if name == "sgc":
        return FullBatch(SGC(width, classes), torch.from_numpy(tables[2].copy()))
    return FullBatch(SIGN(width, hidden, classes, num_powers=3), *(torch.from_numpy(part.copy()) for part in tables))


def trainer(name: str, store: GraphStore, size: int, given: Any, seed: int) -> NodeTrainer:
    data = split_of(store, seed)
    if not name.startswith("largegt"):
        options = Training(
            epochs=given.full_epochs, patience=40, learning_rate=0.01, weight_decay=5e-4, seed=seed, steady=False
        )
        return NodeTrainer(baseline(name, store, data.num_classes, given.hidden), data, options)
    full = name == "largegt"
    sets = NodeSets(store, size, seed=seed) if given.fresh else "node_set"
    tokens = TokenLoader(store, sets=sets, size=size, position="fastrp" if full else None)
    config = LargeGTConfig(
        hidden=given.hidden, mode="full" if full else "local", num_centroids=given.centroids, seed=seed
    )
    model = LargeGT(tokens, data.num_classes, config)
    model.prepare(data.train)
    epochs = min(max(-(-given.steps * given.batch_size // data.train.shape[0]), 8), 200)
    options = Training(
        epochs=epochs, eval_every=max(1, epochs // 40), patience=12, learning_rate=1e-3,
        weight_decay=given.weight_decay, batch_size=given.batch_size, eval_batch_size=1024, workers=1, seed=seed,
    )  # fmt: skip
    return NodeTrainer(model, data, options)


def main() -> None:
    short = {"datasets": ["chameleon"], "seeds": 1, "steps": 40, "full_epochs": 20, "size": [8]}
    parser = _report.parser(__doc__, datasets=SETS, choices=SETS, short=short)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--size", type=_report.positive, nargs="+", default=[20], help="K, nodes of a set")
    parser.add_argument("--fresh", action="store_true", help="draw node sets anew in every epoch")
    parser.add_argument("--hidden", type=_report.positive, default=64)
    parser.add_argument("--centroids", type=_report.positive, default=256)
    parser.add_argument("--width", type=_report.positive, default=512, help="of features, at most")
    parser.add_argument("--steps", type=_report.positive, default=500, help="of LargeGT, at most, in 8 to 200 epochs")
    parser.add_argument("--full-epochs", type=_report.positive, default=200, help="of the other models")
    parser.add_argument("--batch-size", type=_report.positive, default=128)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--save", metavar="FOLDER", help="keep every run there, and go on with those there")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    rows = []
    for name in given.datasets:
        store = loaded(name, given.width)
        hop_contexts(store)
        NodeSets(store, max(given.size)).write()
        store.nodes["fastrp"] = FastRP(dim=64, seed=0).fit_transform(store)
        for model in given.models:
            for size in given.size if model.startswith("largegt") else given.size[:1]:
                start = time.perf_counter()
                folder = Path(given.save) / f"{name}-{model}-{size}" if given.save else None
                runs = run_seeds(functools.partial(trainer, model, store, size, given), given.seeds, folder=folder)
                taken = (time.perf_counter() - start) / given.seeds
                what = f"{model}, K {size}" if model.startswith("largegt") else model
                rows.append(_report.Row(name, f"{what}, test accuracy %", 100 * runs.mean, 100 * runs.std))
                _report.note(f"{name} {what}: {runs}, {taken:.0f} s per seed")
    _report.show(rows, as_json=given.json, digits=1)


if __name__ == "__main__":
    main()
