"""A timed circuit as a store: pins, net and cell edges, tables, and labels from exact timing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.store.store import GraphStore
from .timing import analyse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pins import TimingGraph
    from .timing import Timing

NET, CELL = ("pin", "net", "pin"), ("pin", "cell", "pin")
FEATURES = (
    "is port",
    "drives a net",
    "log(1 + fan-out)",
    "log(1 + capacitance of the net's sinks)",
    "log(1 + longest path from an input)",
    "log(1 + longest path to an output)",
    "capacitance, early rise",
    "capacitance, early fall",
    "capacitance, late rise",
    "capacitance, late fall",
)


def timing_store(graph: TimingGraph, timing: Timing | None = None) -> GraphStore:
    """A store of a circuit before routing, with what routing and timing make of it as labels.

    Parameters
    ----------
    graph : TimingGraph
    timing : Timing, optional
        By default as OpenSTA times it, `analyse(graph, inputs="step", cells="waveform")`.

    Returns
    -------
    GraphStore
        Node type "pin", whose ids are pin names: `x` float32 (pins, 10), see `attributes["features"]`; `level` and
        `level_to_end` int32; `is_port`, `is_driver`, `is_start` (nothing leads to it) and `is_end` (an output or the
        data input of a flip-flop) bool; labels `arrival`, `slew`, `required`, `slack` float32 (pins, 4) in the
        library's time unit, NaN where there is none; `load` float32 (pins, 4).
        Edge type "net": `x` float32 (edges, 2), log(1 + fan-out) and log(1 + capacitance of the sinks); label `delay`
        float32 (edges, 4).
        Edge type "cell": `table`, the row of the node type "table"; label `delay` float32 (edges, 4).
        Node type "table": `valid` (bool, 8), `axes` float32 (8, a + b) and `values` float32 (8, a * b), delays and then
        slews at the four corners, over slew and load; padding of axes repeats their last point, that of values is 0.
        `attributes["unconnected"]` lists pins that are left out, or that nothing drives.

    Notes
    -----
    Pins have no positions, since the circuits were not placed; where PreRoutGNN has the distances to the die's four
    edges, here stand fan-out, the sinks' capacitance and both depths, and where it has the distance between a net's
    pins, fan-out and capacitance again. Nothing that is known only after routing is among the features.
    """
    timing = analyse(graph, inputs="step", cells="waveform") if timing is None else timing
    fan_out = np.bincount(graph.net_src, minlength=graph.num_pins).astype(np.float64)
    sinks = np.zeros(graph.num_pins)
    np.add.at(sinks, graph.net_src, graph.capacitance[graph.net_dst, 2])
    level = timing.levels.level
    to_end = _depth_to_end(graph, timing)
    is_end = np.logical_or.reduce(np.isfinite(graph.required), axis=1)
    is_end[[check[0] for check in graph.checks]] = True
    store = GraphStore.from_typed(
        nodes={"pin": graph.num_pins, "table": len(graph.tables.names)},
        edges={NET: (graph.net_src, graph.net_dst), CELL: (graph.cell_src, graph.cell_dst)},
    )
    store.set_ids(graph.names, "pin")
    pins = store.nodes("pin")
    shapes = np.log1p(np.stack([fan_out, sinks, level, to_end]))
    columns = [graph.is_port, graph.is_driver, *shapes, *graph.capacitance.T]
    pins["x"] = np.stack(columns, axis=1).astype(np.float32)
    pins["level"], pins["level_to_end"] = level, to_end
    pins["is_port"], pins["is_driver"], pins["is_end"] = graph.is_port, graph.is_driver, is_end
    pins["is_start"] = level == 0
    for name in ("arrival", "slew", "required", "slack"):
        pins[name] = getattr(timing, name).astype(np.float32)
    pins["load"] = graph.load.astype(np.float32)
    nets, cells = store.edges(NET), store.edges(CELL)
    nets["x"] = np.log1p([fan_out[graph.net_src], sinks[graph.net_src]]).T.astype(np.float32)
    nets["delay"], cells["delay"] = timing.net_delay.astype(np.float32), timing.cell_delay.astype(np.float32)
    cells["table"] = graph.cell_arc.astype(np.int32)
    _add_tables(store, graph)
    store.attributes.update(
        circuit=graph.name,
        features=list(FEATURES),
        tables=graph.tables.names,
        unconnected=graph.unconnected,
        time_unit_s=graph.time_unit,
        period=None if graph.clock is None else graph.clock[1],
    )
    return store


def _depth_to_end(graph: TimingGraph, timing: Timing) -> NDArray[np.int32]:
    """Edges on the longest path that begins at each pin."""
    depth = np.zeros(graph.num_pins, np.int32)
    src = np.concatenate([graph.net_src, graph.cell_src])
    dst = np.concatenate([graph.net_dst, graph.cell_dst])
    level = timing.levels.level[src]
    order = np.argsort(level, kind="stable")
    for edges in reversed(
        np.split(order, np.searchsorted(level[order], np.arange(1, max(timing.levels.num_levels, 1))))
    ):
        np.maximum.at(depth, src[edges], depth[dst[edges]] + 1)
    return depth


def _add_tables(store: GraphStore, graph: TimingGraph) -> None:
    tables, rows = graph.tables, store.nodes("table")
    axes = []
    for part, axis in enumerate((tables.slews, tables.loads)):
        last = np.take_along_axis(axis, tables.lengths[:, :, part, None] - 1, axis=2)
        axes.append(np.where(np.isfinite(axis), axis, last))
    rows["valid"] = tables.valid
    rows["axes"] = np.concatenate(axes, axis=2).astype(np.float32)
    rows["values"] = tables.values.reshape(*tables.values.shape[:2], -1).astype(np.float32)
    rows["sense"] = tables.sense.astype(np.uint8)
    store.attributes["table_shape"] = list(tables.values.shape[2:])
