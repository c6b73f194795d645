"""Link prediction on citation graphs and the SEAL networks, and for whom it works.

Heuristics and models under the split of the NCN paper (Wang, Yang, Zhang, arXiv:2302.00890): 70 % of the links train,
10 % validate, 20 % test; Hits@100 on as many pairs without a link as there are test links; the epoch is chosen on
validation. Published: its table 1, and for the graph auto-encoder a table that tuned it in the same setting.
Topological concentration is compared with degree as an explanation of per-node recall (Wang et al., arXiv:2310.04612).

    python examples/link_topology.py                                   # Cora and Citeseer, three seeds
    python examples/link_topology.py --datasets cora --models gcn ncn --seeds 5
    python examples/link_topology.py --parts heuristics topology --datasets cora usair ns yeast router power
    python examples/link_topology.py --short
"""

from __future__ import annotations

import argparse
from typing import Any

import _report
import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

import nearhop
from nearhop.embed.evaluation import (
    distances,
    link_report,
    measure_links,
    measure_nodes,
    split_edges,
    strata,
)
from nearhop.gnn.links import (
    CommonNeighborHead,
    DotHead,
    Encoder,
    LinkTraining,
    PairSketches,
    ProductHead,
    SketchHead,
    train_links,
)
from nearhop.gnn.topology import Reweighting, topology_report
from nearhop.graphlib.sparse import pair_scores, walk_scores

HEURISTICS = ("common_neighbors", "adamic_adar", "resource_allocation")
MODELS = ("gcn", "sage", "gae", "ncn", "buddy")
CITATIONS = ("cora", "citeseer", "pubmed")
PUBLISHED = {  # Hits@100
    "cora": {"common_neighbors": 33.92, "adamic_adar": 39.85, "resource_allocation": 41.07, "gcn": 66.79, "sage": 55.02,
             "gae": 89.01, "ncn": 89.05, "buddy": 88.00},
    "citeseer": {"common_neighbors": 29.79, "adamic_adar": 35.19, "resource_allocation": 33.56, "gcn": 67.08,
                 "sage": 57.01, "gae": 91.78, "ncn": 91.56, "buddy": 92.93},
    "pubmed": {"common_neighbors": 23.13, "adamic_adar": 27.38, "resource_allocation": 27.03},
}  # fmt: skip
# Which published rows read the validation links, too; they exceed what the training links alone allow.
PUBLISHED_WITH_VAL = {"common_neighbors": False, "adamic_adar": True, "resource_allocation": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "gcn": {"num_layers": 2, "kind": "gcn", "dropout": 0.3, "feature_dropout": 0.3},
    "sage": {"num_layers": 2, "kind": "sage", "dropout": 0.3, "feature_dropout": 0.3},
    "gae": {"num_layers": 1, "kind": "gcn", "dropout": 0.3, "feature_dropout": 0.5},
    "ncn": {"num_layers": 1, "kind": "pure"},
    "buddy": {"num_layers": 1, "kind": "pure", "feature_dropout": 0.5, "residual_sum": True, "layer_norm": True},
}
# NCN's are the published ones: the encoder's, the head's, and Adam's steps of both.
NCN: dict[str, tuple[dict[str, Any], dict[str, Any], float, float]] = {
    "cora": ({"feature_dropout": 0.7, "dropout": 0.05, "tail_dropout": 0.3}, {"dropout": 0.05, "edge_dropout": 0.4},
             0.0043, 0.0024),
    "citeseer": ({"feature_dropout": 0.4, "dropout": 0.75}, {"dropout": 0.55, "layers": 2}, 0.0085, 0.0078),
    "pubmed": ({"feature_dropout": 0.3, "dropout": 0.1}, {"dropout": 0.05}, 0.0097, 0.002),
}  # fmt: skip
BATCH = {"cora": 1152, "citeseer": 384, "pubmed": 2048}


def largest_component(store: Any) -> Any:
    """The largest connected part of a graph, on which the published heuristics were measured."""
    edges, n = store.edge_list(), store.num_nodes
    part = connected_components(coo_matrix((np.ones(edges.src.shape[0]), (edges.src, edges.dst)), (n, n)), False)[1]
    kept = part == np.bincount(part).argmax()
    new, inside = np.cumsum(kept) - 1, kept[edges.src]
    return nearhop.GraphStore.from_edges(new[edges.src[inside]], new[edges.dst[inside]], num_nodes=int(kept.sum()))


def split_of(store: Any, seed: int, **options: Any) -> Any:
    edges = store.edge_list()
    pairs = np.sort(np.stack([edges.src, edges.dst]), axis=0)
    count = round(0.2 * np.unique(pairs[:, pairs[0] != pairs[1]], axis=1).shape[1])
    return split_edges(store, seed=seed, val_negatives=count, **options)


def features_in(store: Any) -> Any:
    """The column x; None where there is none, or the files that are known have it for a part of the nodes only."""
    if "x" not in store.nodes or ("has_x" in store.nodes and np.asarray(store.nodes["has_x"]).mean() < 0.9):
        return None
    return store.nodes["x"]


def train(name: str, split: Any, seed: int, given: argparse.Namespace, reweighting: Reweighting | None = None) -> Any:
    """A trained model; graphs without features train a vector per node."""
    torch.manual_seed(seed)
    features = features_in(split.full) if given.features else None
    tuned = NCN.get(given.name, ({}, {"dropout": 0.3}, 0.001, 0.001))
    options = SETTINGS[name] | (tuned[0] if name == "ncn" else {})
    if features is None:
        options |= {"feature_dropout": 0.0, "num_nodes": split.full.num_nodes}
    encoder = Encoder(0 if features is None else features.shape[1], given.hidden, seed=seed, **options)
    head = head_of(name, split, given.hidden, seed, tuned[1])
    rate, head_rate = tuned[2:] if name == "ncn" else (0.002 if name == "gae" else 0.001, 0.001)
    training = LinkTraining(
        epochs=given.epochs,
        batch=BATCH.get(given.name, 1152),
        lr=rate,
        head_lr=head_rate,
        seed=seed,
        eval_every=given.eval_every,
        reweighting=reweighting,
        hide_targets=reweighting is None,
    )

    def report(epoch: int, loss: float, found: float) -> None:
        if epoch % 20 == 0:
            _report.note(f"{given.name} {name} {seed}: epoch {epoch}, loss {loss:.3f}, validation {found:.3f}")

    return train_links(split, encoder, head, training, features=features, progress=report)


def head_of(name: str, split: Any, hidden: int, seed: int, tuned: dict[str, Any]) -> torch.nn.Module:
    if name == "gae":
        return DotHead()
    if name == "ncn":
        return CommonNeighborHead(hidden, seed=seed, **tuned)
    if name == "buddy":
        return SketchHead(hidden, PairSketches(split.train))
    return ProductHead(hidden, layers=3, dropout=0.3)


def row(data: str, what: str, values: Any, published: float | None = None, scale: float = 100.0) -> _report.Row:
    return _report.Row.of(data, what, np.asarray(values, np.float64) * scale, published)


def heuristics(name: str, store: Any, given: argparse.Namespace) -> list[_report.Row]:
    """Hits@100 on the largest part of the citation graphs, without and with validation links as input of the test; AUC
    with a tenth of the links hidden on the others."""
    found: dict[tuple[str, bool], list[float]] = {}
    cited = name in CITATIONS
    whole = largest_component(store) if cited else store
    for seed in range(given.seeds):
        for with_val in (False, True) if cited else (False,):
            if cited:
                split = split_of(whole, seed, use_val_as_input=with_val)
            else:
                split = split_edges(whole, val=0.0, test=0.1, seed=seed)
            both = np.concatenate([split.test, split.test_negative], axis=1)
            count, read = split.test.shape[1], split.input_for("test")
            for method in (*HEURISTICS, "jaccard", "preferential_attachment", "katz", "ppr"):
                if method in ("katz", "ppr"):
                    scores = walk_scores(read, both[0], both[1], method, length=4, beta=0.01)
                else:
                    scores = pair_scores(read, both[0], both[1], method)
                measured = measure_links(scores[:count], scores[count:], ks=(100,))
                found.setdefault((method, with_val), []).append(measured.hits[100] if cited else measured.auc)
    what = "Hits@100" if cited else "AUC"
    rows = []
    for (method, with_val), values in found.items():
        published = PUBLISHED.get(name, {}).get(method) if PUBLISHED_WITH_VAL.get(method) == with_val else None
        rows.append(row(name, f"{method}{' with validation links' if with_val else ''} {what}", values, published))
    return rows


def models(name: str, store: Any, given: argparse.Namespace) -> list[_report.Row]:
    rows = []
    for model in given.models:
        found = []
        for seed in range(given.seeds):
            trained = train(model, split_of(store, seed), seed, given)
            _report.note(f"{name} {model} {seed}: {trained}")
            found.append(trained.test_hits)
        rows.append(row(name, f"{model} Hits@100", found, PUBLISHED.get(name, {}).get(model)))
    return rows


def topology(name: str, store: Any, given: argparse.Namespace) -> list[_report.Row]:
    """Spearman's correlation of per-node recall of a graph auto-encoder with TC and with degree; shift of TC."""
    found: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        split = split_of(store, seed)
        report = topology_report(split)
        trained = train("gae", split, seed, given)
        states = trained.states().numpy()
        nodes = measure_nodes(split, lambda part, states=states: states[part] @ states.T)  # type: ignore[misc]
        recall = nodes.full("recall@20", store.num_nodes)
        found.setdefault("TC^Tr", []).append(report.means["train"])
        found.setdefault("TC^Te", []).append(report.means["test"])
        for side, value in report.correlations({"recall": recall})["recall"].items():
            found.setdefault(f"recall@20 ~ {side}", []).append(value)
        if seed == 0 and given.report:
            write_report(f"{given.report}-{name}.html", name, split, trained, report, recall)
    return [row(name, what, values, scale=1.0) for what, values in found.items()]


def write_report(path: str, name: str, split: Any, trained: Any, topology_of: Any, recall: Any) -> None:
    both = np.concatenate([split.test, split.test_negative], axis=1)
    count = split.test.shape[1]
    scores = {
        "graph auto-encoder": trained.score(*both),
        "resource allocation": pair_scores(split.train, both[0], both[1], "resource_allocation"),
    }
    measures = {label: measure_links(s[:count], s[count:]) for label, s in scores.items()}
    steps = distances(split, split.test)
    near = {label: strata(steps, 1 / m.ranks, bins=[1, 2, 3, 4, 5, 6]) for label, m in measures.items()}
    link_report(
        path,
        measures,
        title=f"Links of {name}: for whom does it work?",
        groups={
            "Recall@20 of nodes by training degree": {"graph auto-encoder": strata(topology_of.degree, recall)},
            "Recall@20 of nodes by TC of their test links": {"graph auto-encoder": strata(topology_of.test, recall)},
            "1 / rank of links by distance in the training graph (5: farther than 4)": near,
        },
        correlations=topology_of.correlations({"recall@20": recall}),
        notes=[repr(split), "Validation links are not read as input." if not split.use_val_as_input else ""],
    )


def reweighting(name: str, store: Any, given: argparse.Namespace) -> list[_report.Row]:
    """The gain of edge re-weighting, paired over seeds; both sides leave scored links in the propagation."""
    gains = []
    for seed in range(given.seeds):
        split = split_of(store, seed)
        with_it = train("gcn", split, seed, given, Reweighting(alpha=2.0, interval=1, warm_up=2))
        without = train("gcn", split, seed, given, Reweighting(alpha=0.0, interval=1, warm_up=2))
        gains.append(with_it.test_hits - without.test_hits)
    return [row(name, "gain of re-weighting, GCN Hits@100", gains)]


PARTS = {"heuristics": heuristics, "models": models, "topology": topology, "reweighting": reweighting}


def main() -> None:
    short = {"datasets": ["cora"], "seeds": 1, "epochs": 2, "hidden": 16, "parts": list(PARTS)}
    parser = _report.parser(__doc__, datasets=["cora", "citeseer"], seeds=3, short=short)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=["heuristics", "models", "topology"])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["gcn", "sage", "gae", "ncn"])
    parser.add_argument("--epochs", type=_report.positive, default=100)
    parser.add_argument("--hidden", type=_report.positive, default=256)
    parser.add_argument("--eval-every", type=_report.positive, default=2)
    parser.add_argument("--no-features", dest="features", action="store_false", help="train a vector per node")
    parser.add_argument("--report", help="prefix of an HTML report per dataset, of the part topology")
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    rows = []
    for name in given.datasets:
        store = nearhop.datasets.load(name)
        given.name = name
        for part in given.parts:
            rows += PARTS[part](name, store, given)
            _report.note(f"{name}: {part} done")
    _report.show(rows, as_json=given.json, digits=2)


if __name__ == "__main__":
    main()
