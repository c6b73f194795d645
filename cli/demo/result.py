"""Everything that the demo made and measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...graphlib.store.store import GraphStore
from ..output import table
from .data import GRAPH, DemoData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .links import LinkResult

NEIGHBORS = 10
EMBEDDING = "graph embedding"


@dataclass
class DemoResult:
    """Figures, answers and the store they lie in."""

    data: DemoData
    store: GraphStore
    seed: int
    labels: NDArray[Any] | None
    seconds: dict[str, float] = field(default_factory=dict)
    compiling: dict[str, float] = field(default_factory=dict)
    recall: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    exact_rate: float = 0.0
    num_queries: int = 0
    searched: str = ""
    queries: NDArray[Any] | None = None
    neighbors: NDArray[Any] | None = None
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    score_name: str = ""
    communities: NDArray[Any] | None = None
    agreement: float | None = None
    links: LinkResult | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def dataset(self) -> str:
        return self.data.card.name

    @property
    def has_images(self) -> bool:
        return self.data.has_images

    @property
    def best_rate(self) -> dict[str, float]:
        """The fastest point of the curve with recall of at least 0.99, else the most exact one."""
        good = [point for point in self.curve if point["recall"] >= 0.99]
        if good:
            return max(good, key=lambda point: point["rate"])
        return max(self.curve, key=lambda point: point["recall"])

    def facts(self) -> dict[str, Any]:
        """The figures, for machines."""
        folder = self.store.path.parent if self.store.path else None
        pages = {"report": "report.html", "links_report": None if self.links is None else "links.html"}
        return {
            "dataset": self.dataset,
            "nodes": self.store.num_nodes,
            "edges": self.store.num_edges_of(GRAPH),
            "seed": self.seed,
            "recall_at_10": self.recall,
            "curve": self.curve,
            "exact_queries_per_second": self.exact_rate,
            "score": self.score_name,
            "scores": {name: {"mean": mean, "std": std} for name, (mean, std) in self.scores.items()},
            "communities": None if self.communities is None else int(self.communities.max()) + 1,
            "agreement_with_labels": self.agreement,
            "links": None if self.links is None else self.links.facts(),
            "seconds": self.seconds,
            "seconds_compiling": self.compiling,
            "notes": self.notes,
            "store": str(self.store.path),
            **{name: None if folder is None or page is None else str(folder / page) for name, page in pages.items()},
        }

    def table(self) -> str:
        """The figures, for people."""
        best = self.best_rate
        rows: list[list[Any]] = [
            ["graph", f"{self.store.num_nodes:,} nodes, {self.store.num_edges_of(GRAPH):,} edges"],
            [f"recall@{NEIGHBORS} of HNSW", f"{best['recall']:.4f} at {best['rate']:,.0f} queries/s"],
            ["exact search", f"{self.exact_rate:,.0f} queries/s"],
        ]
        for name, (mean, std) in self.scores.items():
            rows.append([f"{self.score_name}, {name}", f"{mean:.3f} ± {std:.3f}"])
        if self.communities is not None:
            told = "" if self.agreement is None else f", agreement with the labels (NMI) {self.agreement:.3f}"
            rows.append(["communities", f"{int(self.communities.max()) + 1}{told}"])
        if self.links is not None:
            rows += [[f"links: AUC of {name}", f"{found['auc']:.3f}"] for name, found in self.links.scores.items()]
        for step, seconds in self.seconds.items():
            compiled = self.compiling.get(step, 0.0)
            told = f", of which {compiled:.2f} compiling, once" if compiled > 0.05 else ""
            rows.append([f"seconds: {step}", f"{seconds:.2f}{told}"])
        facts = self.facts()
        rows += [[name.replace("_", " "), facts[name]] for name in ("store", "report", "links_report") if facts[name]]
        return table(rows, ["", self.dataset])
