"""Netlist, cell libraries, wires and constraints joined into a graph of pins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...graphlib.errors import IngestError, NotFound
from .elmore import Forest, pi_model
from .tables import DELAY_TABLES, TableSet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .constraints import Constraints, Four
    from .liberty import Arc, Library, Pin
    from .netlist import Netlist
    from .spef import Wire

SENSES = ("positive_unate", "negative_unate", "non_unate", "rising_edge", "falling_edge")
_COMBINATIONAL = ("combinational", "combinational_rise", "combinational_fall")
_MODES = ("early", "late")


@dataclass(eq=False, repr=False)
class TimingGraph:
    """Pins, and the edges along which transitions travel. Corners are early rise, early fall, late rise, late fall.

    Times are in the libraries' unit (`time_unit`, seconds), capacitances in theirs.

    Attributes
    ----------
    names : list of str
        Ports by name, pins of cells as "instance:pin".
    is_port, is_driver : bool (num_pins,)
        Ports of the circuit; pins that drive a net.
    capacitance, load : float64 (num_pins, 4)
        Of the pin itself, as the library or the constraints say; and of all that a driver drives: the wire and every
        pin on the net, its own included.
    pi : float64 (num_pins, 4, 3)
        The same load as a driver sees it through the wire: near capacitance, resistance, far capacitance.
    net_src, net_dst : int64 (num_net_edges,)
        From a net's driver to each of its sinks.
    net_elmore : float64 (num_net_edges, 4)
        Elmore delay of the wire, its response to a step.
    cell_src, cell_dst : int64 (num_cell_edges,)
        From a cell's input to its output; several timing groups of one pair of pins are parallel edges.
    cell_arc : int64 (num_cell_edges,)
        Row of `tables`.
    tables : TableSet
        The tables of every arc that is used.
    arrival, slew, required : float64 (num_pins, 4)
        At the circuit's ports, NaN where nothing is said.
    checks : list of (data pin, clock pin, "setup" or "hold", edge of the clock, arc)
    clock : (int, float) or None
        The pin where the clock enters and its period.
    unconnected : list of str
        Pins and ports that no net connects, which are left out; and input pins whose net nothing drives, which stay and
        have no arrival time.
    """

    name: str
    names: list[str]
    time_unit: float
    is_port: NDArray[np.bool_]
    is_driver: NDArray[np.bool_]
    capacitance: NDArray[np.float64]
    load: NDArray[np.float64]
    pi: NDArray[np.float64]
    net_src: NDArray[np.int64]
    net_dst: NDArray[np.int64]
    net_elmore: NDArray[np.float64]
    cell_src: NDArray[np.int64]
    cell_dst: NDArray[np.int64]
    cell_arc: NDArray[np.int64]
    tables: TableSet
    arrival: NDArray[np.float64]
    slew: NDArray[np.float64]
    required: NDArray[np.float64]
    thresholds: tuple[float, float]
    checks: list[tuple[int, int, str, str, Arc]]
    clock: tuple[int, float] | None
    unconnected: list[str]

    @property
    def num_pins(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"TimingGraph({self.name!r}, {self.num_pins:,} pins, {self.net_src.size:,} net edges, "
            f"{self.cell_src.size:,} cell edges)"
        )


@dataclass
class _Net:
    driver: int = -1
    sinks: list[int] = field(default_factory=list)


class _Builder:
    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.places: dict[str, int] = {}
        self.port: list[bool] = []
        self.capacitance: list[list[float]] = []
        self.nets: dict[str, _Net] = {}
        self.unconnected: list[str] = []

    def pin(self, name: str, capacitance: list[float], *, port: bool = False) -> int:
        if name in self.places:
            raise IngestError(f"{self.netlist.name}: two pins are named {name!r}")
        self.places[name] = len(self.places)
        self.port.append(port)
        self.capacitance.append(capacitance)
        return self.places[name]

    def connect(self, pin: int, net: str, *, drives: bool) -> None:
        net = self.netlist.driver_of(net)
        found = self.nets.setdefault(net, _Net())
        if not drives:
            found.sinks.append(pin)
        elif found.driver >= 0:
            names = list(self.places)
            raise IngestError(
                f"{self.netlist.name}: net {net!r} is driven by {names[found.driver]} and by {names[pin]}"
            )
        else:
            found.driver = pin


def timing_graph(
    netlist: Netlist,
    early: Library,
    late: Library,
    wires: Mapping[str, Wire] | None = None,
    constraints: Constraints | None = None,
) -> TimingGraph:
    """Join a circuit's files into a graph of pins.

    Parameters
    ----------
    netlist : Netlist
        Of library cells.
    early, late : Library
        The same cells at their fastest and slowest; one library for both is fine.
    wires : mapping from net names to Wire, optional
        A net without an entry has no wire: its delay is 0 and its load that of its pins.
    constraints : Constraints, optional

    Raises
    ------
    NotFound
        A cell that a library lacks, a pin that a cell lacks, a port that the constraints name and the circuit lacks.
    IngestError
        Two drivers of one net, wires that are no trees or miss a pin, libraries that disagree.

    Notes
    -----
    Unconnected pins are left out, and so are arcs that begin or end there; `TimingGraph.unconnected` names them. Arcs
    of other kinds than delays from input or clock to output, setup and hold (asynchronous set and clear, three-state)
    are left out.
    """
    if (early.time_unit, early.capacitance_unit) != (late.time_unit, late.capacitance_unit):
        raise IngestError(f"the libraries {early.name} and {late.name} have different units")
    build = _Builder(netlist)
    loads = {} if constraints is None else constraints.load
    for net in netlist.inputs:
        build.connect(build.pin(net, [0.0] * 4, port=True), net, drives=True)
    for net in netlist.outputs:
        if net not in build.places:
            build.connect(build.pin(net, [loads.get(net, 0.0)] * 4, port=True), net, drives=False)
    arcs: list[tuple[int, int, int]] = []
    checks: list[tuple[int, int, str, str, Arc]] = []
    tables = TableSet.collector()
    for instance in netlist.instances:
        cells = [_cell(library, instance.cell, instance.name) for library in (early, late)]
        _place(build, instance.name, instance.cell, instance.pins, cells)
        for pin in cells[1].values():
            for arc, other in _pairs(pin, cells[0], f"cell {instance.cell}"):
                ends = [build.places.get(f"{instance.name}:{name}", -1) for name in (arc.related, pin.name)]
                if min(ends) < 0:
                    continue
                sense = _sense(arc)
                if sense is not None:
                    arcs.append((*ends, tables.add(instance.cell, pin.name, arc, other, sense)))  # type: ignore[arg-type]
                elif arc.kind.startswith("setup"):
                    checks.append((ends[1], ends[0], "setup", arc.kind.removeprefix("setup_"), arc))
            for arc in cells[0][pin.name].arcs:
                ends = [build.places.get(f"{instance.name}:{name}", -1) for name in (arc.related, pin.name)]
                if arc.kind.startswith("hold") and min(ends) >= 0:
                    checks.append((ends[1], ends[0], "hold", arc.kind.removeprefix("hold_"), arc))
    return _finish(build, arcs, checks, tables.finish(), late, wires or {}, constraints)


def _cell(library: Library, cell: str, instance: str) -> dict[str, Pin]:
    if cell not in library.cells:
        raise NotFound(f"instance {instance!r} is a {cell!r}, which the library {library.name} does not have")
    return library.cells[cell]


def _place(build: _Builder, name: str, cell: str, nets: dict[str, str], cells: list[dict[str, Pin]]) -> None:
    """Make the connected pins of an instance."""
    early, late = cells
    unknown = [pin for pin in nets if pin not in early or pin not in late]
    if unknown:
        raise NotFound(f"instance {name!r} connects pin {unknown[0]!r}, which cell {cell!r} has not in both libraries")
    for pin in late:
        if not nets.get(pin):
            build.unconnected.append(f"{name}:{pin}")
            continue
        drives = late[pin].direction == "output"
        corners = [each[pin].capacitance[edge] for each in (early, late) for edge in ("rise", "fall")]
        build.connect(build.pin(f"{name}:{pin}", corners), nets[pin], drives=drives)


def _pairs(pin: Pin, early: dict[str, Pin], where: str) -> list[tuple[Arc, Arc | None]]:
    """The late library's arcs of a pin, each with the early one's; checks have no partner."""
    delays = [arc for arc in pin.arcs if _sense(arc) is not None]
    partners = [arc for arc in early[pin.name].arcs if _sense(arc) is not None]
    key = [(arc.related, arc.kind, arc.sense) for arc in delays]
    if key != [(arc.related, arc.kind, arc.sense) for arc in partners]:
        raise IngestError(f"{where}, pin {pin.name}: the libraries have different timing arcs")
    rest: list[tuple[Arc, Arc | None]] = [(arc, None) for arc in pin.arcs if _sense(arc) is None]
    return [*zip(delays, partners, strict=True), *rest]


def _sense(arc: Arc) -> str | None:
    """Which transitions a delay arc passes on; None for arcs that are no delays."""
    if not set(arc.tables) & set(DELAY_TABLES):
        return None
    if arc.kind in _COMBINATIONAL:
        return arc.sense if arc.sense in SENSES else "non_unate"
    return arc.kind if arc.kind in ("rising_edge", "falling_edge") else None


def _finish(
    build: _Builder,
    arcs: list[tuple[int, int, int]],
    checks: list[tuple[int, int, str, str, Arc]],
    tables: TableSet,
    library: Library,
    wires: Mapping[str, Wire],
    constraints: Constraints | None,
) -> TimingGraph:
    names = list(build.places)
    capacitance = np.array(build.capacitance, np.float64).reshape(-1, 4)
    src, dst, delay, load, pi = _solve(build, names, capacitance, library, wires)
    is_driver = np.zeros(len(names), np.bool_)
    is_driver[[net.driver for net in build.nets.values() if net.driver >= 0]] = True
    undriven = [names[pin] for net in build.nets.values() if net.driver < 0 for pin in net.sinks]
    cell_src, cell_dst, cell_arc = np.array(arcs, np.int64).reshape(-1, 3).T.copy()
    ports = {} if constraints is None else {"arrival": constraints.arrival, "slew": constraints.slew}
    clock = None
    if constraints is not None and constraints.clock is not None:
        port, period = constraints.clock
        clock = (_port(build, port) if port else -1, period)
    return TimingGraph(
        name=build.netlist.name,
        names=names,
        time_unit=library.time_unit,
        is_port=np.array(build.port, np.bool_),
        is_driver=is_driver,
        capacitance=capacitance,
        load=load,
        pi=pi,
        net_src=src,
        net_dst=dst,
        net_elmore=delay,
        cell_src=cell_src,
        cell_dst=cell_dst,
        cell_arc=cell_arc,
        tables=tables,
        arrival=_corners(build, ports.get("arrival", {})),
        slew=_corners(build, ports.get("slew", {})),
        required=_corners(build, {} if constraints is None else constraints.required),
        thresholds=library.thresholds,
        checks=checks,
        clock=clock,
        unconnected=build.unconnected + undriven,
    )


def _solve(
    build: _Builder, names: list[str], capacitance: NDArray[np.float64], library: Library, wires: Mapping[str, Wire]
) -> tuple[Any, ...]:
    """Net edges, their delays, and the load of every driver."""
    forest = Forest()
    at = np.full(len(names), -1, np.int64)
    src: list[int] = []
    dst: list[int] = []
    for name, net in build.nets.items():
        if net.driver < 0:
            continue
        wire = wires.get(name)
        pins = [net.driver, *net.sinks]
        if wire is None or not wire.resistors:
            at[pins] = forest.single()
        else:
            places = forest.add(wire, names[net.driver])
            missing = [names[pin] for pin in pins if names[pin] not in places]
            if missing:
                raise IngestError(f"net {name!r}: its wire does not reach {', '.join(missing[:3])}")
            at[pins] = [places[names[pin]] for pin in pins]
        src += [net.driver] * len(net.sinks)
        dst += net.sinks
    pins_at = np.zeros((len(forest), 4))
    known = at >= 0
    np.add.at(pins_at, at[known], capacitance[known] * library.capacitance_unit)
    delay, moments = forest.solve(pins_at)
    sources, sinks = np.array(src, np.int64), np.array(dst, np.int64)
    drivers = np.unique(sources)
    load, pi = np.zeros((len(names), 4)), np.zeros((len(names), 4, 3))
    load[drivers] = moments[at[drivers], :, 0] / library.capacitance_unit
    unit = library.capacitance_unit, library.time_unit / library.capacitance_unit, library.capacitance_unit
    pi[drivers] = pi_model(moments[at[drivers]]) / unit
    return sources, sinks, delay[at[sinks]] / library.time_unit, load, pi


def _port(build: _Builder, name: str) -> int:
    place = build.places.get(name, -1)
    if place < 0 or not build.port[place]:
        raise NotFound(f"the constraints name port {name!r}, which circuit {build.netlist.name!r} does not have")
    return place


def _corners(build: _Builder, given: Mapping[str, Four]) -> NDArray[np.float64]:
    found = np.full((len(build.places), 4), np.nan)
    for port, values in given.items():
        found[_port(build, port)] = [np.nan if value is None else value for value in values]
    return found
