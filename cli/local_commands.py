"""nearhop community local."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .clock import timed
from .output import Json, emit, table
from .pictures import Pictures, check_pictures, save_pictures
from .targets import TABLES, check_file
from .words import Among, parse_edge_type, parse_seeds

if TYPE_CHECKING:
    from numpy.typing import NDArray


def local(
    path: Path = typer.Argument(help="A store with undirected edges."),
    seeds: str = typer.Option(..., help="Ids of the seeds, separated by commas."),
    method: str = typer.Option("flow", help="flow (flow diffusion) or pagerank (approximate personalised PageRank)."),
    mass: float | None = typer.Option(None, help="Source mass of flow diffusion; default: doubled while cuts improve."),
    target_volume: float | None = typer.Option(
        None, help="Volume of the cluster looked for: masses of 1.5 to 5 times it are tried, the best cut wins."
    ),
    labels: str | None = typer.Option(None, help="Node column with noisy labels (integers; negative = unknown)."),
    epsilon: float = typer.Option(0.05, help="Weight of edges between different labels, in [0, 1]."),
    attributes: str | None = typer.Option(None, help="Node column with attributes that weigh edges."),
    gamma: float = typer.Option(0.02, help="Edges weigh exp(-gamma |X_i - X_j|^2)."),
    p: float = typer.Option(2.0, "--p", help="Norm of the flow, at least 2."),
    alpha: float = typer.Option(0.15, help="Restart probability of PageRank."),
    rho: float = typer.Option(1e-6, help="Precision of PageRank: smaller reaches further."),
    support: bool = typer.Option(False, "--support", help="List every node reached, not the best cut only."),
    seed: int = typer.Option(0, help="Of the order of updates."),
    edge_type: str | None = Among,
    show: int = typer.Option(20, help="Members printed as text; --json and --out give all."),
    out: str | None = typer.Option(None, help="Write all members and scores as .csv or .parquet."),
    picture: Pictures = None,
    as_json: bool = Json,
) -> None:
    """The cluster around a few seeds, touching only their neighbourhood.

    Example: nearhop community local shop.nh --seeds 17,42

    Example: nearhop community local shop.nh --seeds 17 --labels suspected --target-volume 3000 --picture found.html
    """
    import numpy as np

    from ..communities.local.diffusion import FlowSolver, MassSweep, flow_diffusion
    from ..communities.local.pagerank import approximate_pagerank
    from ..communities.pictures.picture import Picture
    from ..graphlib.errors import InvalidInput
    from ..graphlib.given_store import chosen_edge_type
    from ..graphlib.store.store import open as open_store
    from .arrays import write_table

    if method not in ("flow", "pagerank"):
        raise InvalidInput(f"--method must be flow or pagerank; got {method!r}")
    if mass is not None and target_volume is not None:
        raise InvalidInput("give --mass or --target-volume, not both")
    if method == "pagerank" and (mass is not None or target_volume is not None):
        raise InvalidInput("--mass and --target-volume belong to --method flow; PageRank's reach is set by --rho")
    check_pictures(picture)
    check_file("--out", out, TABLES)
    store = open_store(path)
    which = parse_edge_type(edge_type)
    node_type = chosen_edge_type(store, which)[0]
    columns = store.nodes(node_type)
    user_ids = store.ids(node_type)
    given = parse_seeds(seeds, user_ids)
    places = store.lookup(given, node_type)
    weighing: dict[str, Any] = {
        "labels": None if labels is None else columns[labels],
        "epsilon": epsilon,
        "attributes": None if attributes is None else columns[attributes],
        "gamma": gamma,
        "edge_type": which,
    }
    if method == "flow":
        if target_volume is not None:
            if not target_volume > 0:
                raise InvalidInput(f"--target-volume must be positive; got {target_volume}")
            wanted: Any = MassSweep.of_volume(target_volume)
        else:
            wanted = mass
        solver = FlowSolver(p=p)
        found, timing = timed(lambda: flow_diffusion(store, places, wanted, seed=seed, solver=solver, **weighing))
    else:
        found, timing = timed(lambda: approximate_pagerank(store, places, alpha=alpha, rho=rho, **weighing))
    size = len(found) if support else len(found.sweep_nodes)
    nodes, values = found.nodes[:size], found.values[:size]
    names = nodes if user_ids is None else np.asarray(user_ids)[nodes]
    if out is not None:
        write_table(out, {"node": names, "score": values})
    told: dict[str, Any] = {
        "members": size,
        "conductance": found.support_conductance if support else found.conductance,
        "mass": found.mass,
        "converged": found.converged,
        "touched_nodes": found.touched_nodes,
        "touched_edges": found.touched_edges,
        "pushes": found.pushes,
        "seconds": round(timing.seconds, 6),
    }
    if picture:
        title = f"The cluster of {', '.join(str(v) for v in given[:3])}"
        told["pictures"] = save_pictures(
            Picture.of_cluster(store, places, found, support=support, title=title), picture
        )
    marked = np.isin(nodes, places)
    emit(
        told | {"nodes": names.tolist(), "scores": values.tolist()},
        as_json=as_json,
        text=lambda: _text(told, names[:show], values[:show], marked[:show]),
    )


def _text(told: dict[str, Any], names: NDArray[Any], values: NDArray[Any], marked: NDArray[Any]) -> str:
    rows = [[str(n), float(v), "seed" if m else ""] for n, v, m in zip(names, values, marked, strict=True)]
    head = (
        f"{told['members']:,} members, conductance {told['conductance']:.4f}, mass {told['mass']:.6g}; "
        f"touched {told['touched_nodes']:,} nodes and {told['touched_edges']:,} edge entries in {told['seconds']:.3g} s"
    )
    if not told["converged"]:
        head += "\nnot converged: mass is left that found no place; the seeds' component may be smaller than the mass"
    more = told["members"] - len(rows)
    return "\n".join([head, table(rows, ["node", "score", ""])] + ([f"... and {more:,} more"] if more > 0 else []))
