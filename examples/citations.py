"""Topics that travel along citations: level propagation on a graph that has nothing to do with chips.

Papers of PubMed on three kinds of diabetes cite earlier ones. The kinds of the earliest 60 % of the papers are known;
those of the later ones are predicted from what they cite, which may be predicted itself: papers come in the order of
their citations, so one pass suffices. Edges weigh what they carry by age and kind; learning is teacher-forced on the
known papers, the test is sequential. Citations within one year are left out, since they can form cycles.

Beside it: the most frequent kind, and a vote among the cited papers whose kind is known. All are measured on the later
papers that cite something.

    python examples/citations.py
    python examples/citations.py --short
"""

from __future__ import annotations

import _report
import numpy as np
import torch
from torch import nn

from nearhop import datasets
from nearhop.gnn.dag import LevelPlan, LevelPropagation, LevelRule
from nearhop.graphlib.sparse import topological_levels
from nearhop.graphlib.store import GraphStore


class Message(nn.Module):
    """A gate from the citation's age and the cited paper's state, and two linear readings of the state."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(classes + 2, 16), nn.Tanh(), nn.Linear(16, 1))
        self.read = nn.Linear(classes, 2 * width)

    def forward(self, state_src, x_src, x_dst, attr):
        return torch.cat([self.gate(torch.cat([state_src, attr], 1)), self.read(state_src)], 1)


class Update(nn.Module):
    """Probabilities of the kinds, from the gated sum and maximum."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2 * width, 32), nn.ReLU(), nn.Linear(32, classes))

    def forward(self, reduced, x_dst):
        return torch.softmax(self.layers(reduced), 1)


def citations(name: str):
    """Edges from cited to citing papers, with their age in years, and years and kinds of the papers."""
    store = datasets.load(name)
    ends, year = store.edge_list(), store.nodes["time"]
    later = year[ends.src] > year[ends.dst]
    src, dst = ends.dst[later].astype(np.int64), ends.src[later].astype(np.int64)
    return src, dst, (year[dst] - year[src]).astype(np.float32), year, store.nodes["y"]


def main() -> None:
    names = ["pubmed-temporal"]
    parser = _report.parser(__doc__, datasets=names, choices=names, seeds=3, short={"seeds": 1, "epochs": 5})
    parser.add_argument("--epochs", type=_report.positive, default=60)
    given = parser.parse_args()
    torch.set_num_threads(given.threads or 1)
    rows = []
    for name in given.datasets:
        src, dst, age, year, y = citations(name)
        classes = int(y.max()) + 1
        graph = GraphStore.from_edges(src, dst, num_nodes=y.size, directed=True)
        plan = LevelPlan(topological_levels(graph), {"cites": (src, dst)})
        _report.note(f"{plan}")
        known = year <= np.quantile(year, 0.6)
        truth = np.eye(classes, dtype=np.float32)[y]
        share = np.bincount(y[known], minlength=classes) / known.sum()
        state = torch.from_numpy(np.where(known[:, None], truth, share).astype(np.float32))
        attr = {"cites": torch.from_numpy(np.stack([np.log1p(age), np.ones_like(age)], 1))}
        cites = np.bincount(dst, minlength=y.size) > 0
        learn, test = torch.from_numpy(known & cites), ~known & cites
        rows.append(_report.Row(name, "accuracy, most frequent kind", float((y[test] == share.argmax()).mean())))
        votes = share[None] * 0.5 + np.zeros_like(truth)
        np.add.at(votes, dst[known[src]], truth[src[known[src]]])
        rows.append(
            _report.Row(name, "accuracy, vote of known papers cited", float((votes.argmax(1) == y)[test].mean()))
        )
        found = []
        for seed in range(given.seeds):
            torch.manual_seed(seed)
            rule = LevelRule(Message(classes, 8), reduce="gated", update=Update(classes, 8))
            model = LevelPropagation({"cites": rule})
            optimiser = torch.optim.Adam(model.parameters(), lr=2e-2)
            target = torch.from_numpy(y)
            for _ in range(given.epochs):
                optimiser.zero_grad()
                guess = model(plan, state, edge_attr=attr, teacher=state).state
                loss = nn.functional.nll_loss(guess[learn].clamp(min=1e-6).log(), target[learn])
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                final = predict(model, plan, state, attr, known)
            found.append(float((final.argmax(1).numpy() == y)[test].mean()))
            _report.note(f"seed {seed}: loss {loss.item():.4f}, accuracy {found[-1]:.4f}")
        rows.append(_report.Row.of(name, "accuracy, level propagation", found))
    _report.show(rows, as_json=given.json)


def predict(model, plan, state, attr, known):
    """States in order, known papers keeping theirs: a known paper begins paths anew, so what it cites is cut off."""
    src, dst = plan.edges["cites"]
    keep = ~known[dst]
    later = GraphStore.from_edges(src[keep], dst[keep], num_nodes=known.size, directed=True)
    cut = LevelPlan(topological_levels(later), {"cites": (src[keep], dst[keep])})
    return model(cut, state, edge_attr={"cites": attr["cites"][torch.from_numpy(keep)]}).state


if __name__ == "__main__":
    main()
