"""Timing before routing: arrival times and slacks of circuits never seen, by PreRoutGNN on the TAU 2015 circuits.

Fourteen circuits train and three others test (c5315, c6288 and wb_dma, which are larger). Labels are exact timing on
the routed circuits (`nearhop.datasets.circuits`, checked against OpenSTA); the model sees nothing that is known only
after routing. Training is teacher-forced, a step per circuit or part; the test propagates level by level from the
inputs. The last epoch is the one tested.

Beside it: a graph network of the same width without level order (eight layers over all edges), a linear model on depth
and load, and ablations: without pre-training, with local delays for nets only (as in the paper) or for none, with the
tables read whole instead of by attention, and with the order-preserving partition.

R2 of arrival: per corner over all pins whose time is predicted, then averaged. R2 of slack: late corners at outputs and
flip-flop inputs, with the required times given. The paper's R2 of slack, .93 (and .59 of the best before it), are of 21
other, placed circuits.

    python examples/timing.py                            # three seeds, about half an hour on two cores
    python examples/timing.py --variants full linear --seeds 1 --pictures timing/
    python examples/timing.py --train tau2015-c432 tau2015-c880 tau2015-s400 --unlabelled tau2015-c499 tau2015-c2670 \
        --datasets tau2015-c1908 tau2015-c3540 --pretrain-epochs 100 --epochs 200    # few labels
    python examples/timing.py --results timing.jsonl     # keeps each run's scores; called again, runs what is missing
    python examples/timing.py --short                    # two small circuits, a few epochs
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import _report
import numpy as np
import torch
from torch import nn

from nearhop import datasets
from nearhop.gnn.dag import GraphAutoEncoder, PreRoutGNN, TimingBatch, level_parts, pretrain
from nearhop.gnn.dag.autoencoder import GatedConv, both_directions
from nearhop.gnn.dag.prerout import Predicted

TEST = ("tau2015-c5315", "tau2015-c6288", "tau2015-wb-dma")
ALL = tuple(n for n in datasets.names() if n.startswith("tau2015-"))
TRAIN = tuple(n for n in ALL if n not in TEST)
VARIANTS: dict[str, dict[str, Any]] = {
    "full": {},
    "no pre-training": {"latent": False},
    "local delays of nets": {"residual": "nets"},
    "no local delays": {"residual": "none"},
    "no table attention": {"attention": False},
    "partition": {"max_nodes": 800},
    "no level order": {"levels": False},
    "linear": {},
}


class WithoutLevels(nn.Module):
    """The same widths and features, eight layers over all edges at once, states read off at the end."""

    def __init__(self, in_dim: int, dim: int = 64, layers: int = 8) -> None:
        super().__init__()
        self.into = nn.Linear(in_dim, dim)
        self.layers = nn.ModuleList([GatedConv(dim) for _ in range(layers)])
        self.state = nn.Sequential(nn.Linear(dim, dim), nn.LeakyReLU(0.2), nn.Linear(dim, 8))
        self.loss = lambda batch, predicted: PreRoutGNN.loss(None, batch, predicted)  # type: ignore[arg-type]

    def forward(self, batch: TimingBatch, *, teacher: bool = False) -> Predicted:
        order, places = batch.plan.order_on(batch.x.device)
        h, pieces = self.into(batch.x.index_select(0, order)), both_directions(batch.plan, batch.x.device)
        for layer in self.layers:
            h = layer(h, pieces)
        return Predicted(self.state(h).index_select(0, places), batch.net_delay, batch.cell_delay)


def latents(stores: dict[str, Any], train: list[str], epochs: int, seed: int) -> None:
    """A node column "latent": four numbers per pin, pre-trained on the circuits of `train`, and the circuit's mean."""
    rows = np.concatenate([stores[name].nodes("pin")["x"] for name in train])
    mean, std = rows.mean(0), rows.std(0).clip(1e-6)
    graphs = {n: TimingBatch.from_store(store).plan for n, store in stores.items()}
    given = {n: torch.from_numpy((s.nodes("pin")["x"] - mean) / std).float() for n, s in stores.items()}
    torch.manual_seed(seed)
    model = GraphAutoEncoder(rows.shape[1])
    found = pretrain(model, [(graphs[n], given[n]) for n in train], epochs=epochs, lr=2e-3, seed=seed)
    _report.note(f"pre-training: error {found.losses[0]:.3f} -> {found.losses[-1]:.4f} over {epochs} epochs")
    model.eval()
    with torch.no_grad():
        for name, store in stores.items():
            latent = model.encode(graphs[name], given[name]).numpy()
            store.nodes("pin")["latent"] = np.concatenate([latent, np.repeat(latent.mean(0)[None], len(latent), 0)], 1)


def train_one(stores: dict[str, Any], train: list[str], epochs: int, seed: int, **options: Any) -> Any:
    """A trained model and the batches of all circuits."""
    columns = ("latent",) if options.get("latent", True) else ()
    batches = {name: TimingBatch.from_store(store, columns=columns) for name, store in stores.items()}
    steps = [batches[name] for name in train]
    if "max_nodes" in options:
        steps = [b.part(p) for b in steps for p in level_parts(b.plan, max_nodes=options["max_nodes"], hops=1)]
    torch.manual_seed(seed)
    width = steps[0].x.shape[1]
    if options.get("levels", True):
        model: Any = PreRoutGNN(
            width, residual=options.get("residual", "all"), attention=options.get("attention", True)
        )
    else:
        model = WithoutLevels(width)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=epochs * len(steps))
    for epoch in range(epochs):
        losses = []
        for place in torch.randperm(len(steps)).tolist():
            optimiser.zero_grad()
            loss = model.loss(steps[place], model(steps[place], teacher=True))
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 20 == 19 or epoch == epochs - 1:
            _report.note(f"  epoch {epoch + 1}: loss {np.mean(losses):.4f}")
    return model, batches


def linear(stores: dict[str, Any], train: list[str]) -> dict[str, np.ndarray]:
    """States by least squares on depth, fan-out and load, and their products with depth."""

    def features(store: Any) -> np.ndarray:
        x = store.nodes("pin")["x"]
        depth = np.expm1(x[:, 4:5])
        return np.concatenate([np.ones_like(depth), depth, x[:, 2:6], depth * x[:, 2:4]], 1).astype(np.float64)

    batches = {name: TimingBatch.from_store(store) for name, store in stores.items()}
    known = {n: b.known.numpy() for n, b in batches.items()}
    A = np.concatenate([features(stores[n])[known[n]] for n in train])
    b = np.concatenate([batches[n].state.numpy()[known[n]] for n in train])
    weights = np.linalg.lstsq(A, b, rcond=None)[0]
    return {name: (features(store) @ weights).astype(np.float32) for name, store in stores.items()}


def r2(truth: np.ndarray, guess: np.ndarray) -> float:
    """The mean over corners of 1 - squared error / variance."""
    rest = ((truth - guess) ** 2).sum(0)
    return float(np.mean(1 - rest / ((truth - truth.mean(0)) ** 2).sum(0)))


def scores(batch: TimingBatch, store: Any, state: np.ndarray) -> dict[str, Any]:
    """R2 of arrival and of slack, and the slacks behind it, in picoseconds."""
    truth = batch.state.numpy()
    known = batch.known.numpy() & (batch.plan.levels.level > 0)
    required = batch.required.numpy()[:, 2:]
    ends = known & store.nodes("pin")["is_end"] & np.isfinite(required).all(1)
    slack, guess = (100 * (required - part[:, 2:4])[ends] for part in (truth, state))
    return {"arrival": r2(truth[known, :4], state[known, :4]), "slack": r2(slack, guess), "slacks": (slack, guess)}


class Finished:
    """Scores by circuit of the runs that are finished, kept in a file of JSON lines where there is one."""

    def __init__(self, path: Path | None, **setting: Any) -> None:
        self._path, self._setting = path, setting
        self._runs: dict[tuple[int, str], dict[str, dict[str, float]]] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                run = json.loads(line)
                if all(run.get(name) == value for name, value in setting.items()):
                    self._runs[run["seed"], run["variant"]] = run["scores"]

    def get(self, seed: int, variant: str) -> dict[str, dict[str, float]] | None:
        return self._runs.get((seed, variant))

    def add(self, seed: int, variant: str, found: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
        kept = {name: {key: scored[key] for key in ("arrival", "slack")} for name, scored in found.items()}
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps({"seed": seed, "variant": variant, **self._setting, "scores": kept}) + "\n")
        return kept


def picture(path: Path, variant: str, found: dict[str, Any]) -> None:
    """Predicted against true slack, a panel per circuit."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(found), figsize=(4.2 * len(found), 4), squeeze=False)
    for panel, (name, scored) in zip(panels[0], found.items(), strict=True):
        slack, guess = scored["slacks"]
        for column, (corner, colour) in enumerate((("rise", "#0b7285"), ("fall", "#e8590c"))):
            panel.scatter(slack[:, column], guess[:, column], s=8, alpha=0.5, label=corner, color=colour)
        ends = [min(slack.min(), guess.min()), max(slack.max(), guess.max())]
        panel.plot(ends, ends, color="0.6", linewidth=1, zorder=0)
        panel.set(title=f"{name}: R² {scored['slack']:.3f}", xlabel="true slack (ps)", ylabel="predicted slack (ps)")
    panels[0][0].legend()
    figure.tight_layout()
    path.mkdir(parents=True, exist_ok=True)
    figure.savefig(path / f"slack_{variant.replace(' ', '_')}.png", dpi=110)
    plt.close(figure)


def run(
    variant: str, stores: dict[str, Any], train: list[str], test: list[str], epochs: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Scores of each circuit tested."""
    if variant == "linear":
        states = linear(stores, train)
        batches = {name: TimingBatch.from_store(store) for name, store in stores.items()}
    else:
        model, batches = train_one(stores, train, epochs, seed, **VARIANTS[variant])
        with torch.no_grad():
            states = {name: model(batches[name]).state.numpy() for name in test}
    return {name: scores(batches[name], stores[name], states[name]) for name in test}


def main() -> None:
    short = {
        "datasets": ["tau2015-s344"], "train": ["tau2015-c432", "tau2015-s386"], "epochs": 25, "pretrain_epochs": 5,
        "seeds": 1,
    }  # fmt: skip
    parser = _report.parser(__doc__, datasets=TEST, choices=(*TRAIN, *TEST), seeds=3, short=short)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="NAME")
    parser.add_argument("--epochs", type=_report.positive, default=100)
    parser.add_argument("--pretrain-epochs", type=_report.positive, default=60)
    parser.add_argument("--train", nargs="+", default=list(TRAIN), choices=ALL, metavar="NAME", help="with labels")
    parser.add_argument(
        "--unlabelled", nargs="+", choices=ALL, metavar="NAME",
        help="pre-train on these and the tested circuits, too, which takes no label",
    )  # fmt: skip
    parser.add_argument("--pictures", type=Path, help="a folder for scatter plots of slack (needs matplotlib)")
    parser.add_argument("--results", type=Path, help="a file of JSON lines that keeps each finished run's scores")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    train, test = [n for n in given.train if n not in given.datasets], list(given.datasets)
    if not train:
        parser.error("every circuit of --train is tested, too: none is left to learn from")
    known = train if given.unlabelled is None else list(dict.fromkeys([*train, *given.unlabelled, *test]))
    stores = {name: datasets.load(name) for name in dict.fromkeys([*known, *test])}
    results: dict[tuple[str, str, str], list[float]] = {}
    setting = {"train": train, "test": test, "epochs": given.epochs, "pretrain_epochs": given.pretrain_epochs}
    finished = Finished(given.results, **setting, pretrained_on=None if given.unlabelled is None else known)
    for seed in range(given.seeds):
        missing = {variant for variant in given.variants if finished.get(seed, variant) is None}
        if missing - {"linear", "no pre-training"}:
            latents(stores, known, given.pretrain_epochs, seed)
        for variant in given.variants:
            found = finished.get(seed, variant)
            if found is None:
                _report.note(f"seed {seed}: {variant}")
                scored = run(variant, stores, train, test, given.epochs, seed)
                if given.pictures and seed == 0:
                    picture(given.pictures, variant, scored)
                found = finished.add(seed, variant, scored)
            for name in test:
                for measure in ("arrival", "slack"):
                    results.setdefault((name, variant, measure), []).append(found[name][measure])
            _report.note("  " + ", ".join(f"{n} {f['arrival']:.3f} {f['slack']:.3f}" for n, f in found.items()))
    rows = [
        _report.Row.of(name, f"{variant}: R2 of {measure}", values)
        for (name, variant, measure), values in results.items()
    ]
    _report.show(rows, as_json=given.json)


if __name__ == "__main__":
    main()
