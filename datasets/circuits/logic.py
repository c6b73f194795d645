"""Gate-level circuits as stores: a node for every net, an edge from each input of a gate to its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...graphlib.errors import IngestError
from ...graphlib.store.store import GraphStore
from .aiger import Aig
from .verilog import PRIMITIVES

if TYPE_CHECKING:
    from .netlist import Instance, Netlist

KINDS = ("input", "constant", "flip-flop", "names", *PRIMITIVES)
_FLOP = ("CK", "D", "Q")


def logic_store(circuit: Netlist | Aig) -> GraphStore:
    """A store with a directed edge from every input of a gate to the gate's output.

    Parameters
    ----------
    circuit : Netlist or Aig
        Of gate primitives, `names` and flip-flops (cells with pins D and Q), as the readers give it. A flip-flop's Q
        begins a path and its D ends one, so combinational circuits have no cycles.

    Returns
    -------
    GraphStore
        Node ids are net names (positions for an Aig); node columns `kind` (uint8, a place in `attributes["kinds"]`)
        and `is_output` (bool); for an Aig the edge column `inverted` (bool).

    Raises
    ------
    IngestError
        A net that nothing drives or that two gates drive, and a cell that is neither gate nor flip-flop; with names.
    """
    return _from_aig(circuit) if isinstance(circuit, Aig) else _from_netlist(circuit)


def _from_netlist(netlist: Netlist) -> GraphStore:
    kinds: dict[str, str] = dict.fromkeys(netlist.inputs, "input")
    gates: list[tuple[str, list[str]]] = []
    ends = {netlist.driver_of(net) for net in netlist.outputs}
    for instance in netlist.instances:
        output, inputs, kind = _gate(instance)
        if output in kinds:
            raise IngestError(f"{netlist.name}: net {output!r} is driven by {instance.name} and by something before it")
        kinds[output] = kind
        if kind == "flip-flop":
            ends |= {netlist.driver_of(net) for net in inputs}
        else:
            gates.append((output, [netlist.driver_of(net) for net in inputs]))
    joined = next((net for net in netlist.aliases if net in kinds), None)
    if joined is not None:
        raise IngestError(f"{netlist.name}: net {joined!r} is driven by an assignment and by something else")
    read = ends.union(*(inputs for _, inputs in gates))
    for constant in netlist.constants:
        if constant in read:
            kinds[constant] = "constant"
    places = {net: place for place, net in enumerate(kinds)}
    undriven = sorted({net for _, inputs in gates for net in inputs if net not in places} | (ends - places.keys()))
    if undriven:
        raise IngestError(f"{netlist.name}: nothing drives {len(undriven)} nets: {', '.join(undriven[:5])}")
    src = np.array([places[net] for _, inputs in gates for net in inputs], np.int64)
    dst = np.array([places[output] for output, inputs in gates for _ in inputs], np.int64)
    store = GraphStore.from_edges(src, dst, num_nodes=len(places), directed=True)
    store.set_ids(list(places))
    store.nodes["kind"] = np.array([KINDS.index(kind) for kind in kinds.values()], np.uint8)
    store.nodes["is_output"] = np.array([net in ends for net in places], np.bool_)
    store.attributes["kinds"] = list(KINDS)
    return store


def _gate(instance: Instance) -> tuple[str, list[str], str]:
    """Output net, input nets and kind of an instance."""
    pins = instance.pins
    if instance.cell in (*PRIMITIVES, "names"):
        inputs = [net for pin, net in pins.items() if pin != "0"]
        kind = instance.cell if inputs else "constant"
        if instance.cell != "names" and not inputs:
            raise IngestError(f"{instance.name}: the gate {instance.cell!r} has no input")
        if instance.cell in ("not", "buf") and len(inputs) > 1:
            raise IngestError(f"{instance.name}: the gate {instance.cell!r} has several outputs; give it one")
    elif {"D", "Q"} <= pins.keys() and not pins.keys() - set(_FLOP):
        inputs, kind = [pins["D"]], "flip-flop"
    else:
        raise IngestError(
            f"{instance.name} is a {instance.cell!r}, neither a gate ({', '.join(PRIMITIVES)}) nor a flip-flop"
        )
    output = pins.get("Q" if kind == "flip-flop" else "0", "")
    if not output or not all(inputs):
        raise IngestError(f"{instance.name}: a pin of the {instance.cell!r} is not connected")
    return output, inputs, kind


def _from_aig(aig: Aig) -> GraphStore:
    before = aig.num_inputs + aig.latches.size
    gates = before + 1 + np.arange(aig.ands.shape[0])
    variables = aig.ands >> 1
    num_nodes = before + 1 + gates.size
    store = GraphStore.from_edges(variables.ravel(), np.repeat(gates, 2), num_nodes=num_nodes, directed=True)
    kind = np.full(num_nodes, KINDS.index("and"), np.uint8)
    kind[0] = KINDS.index("constant")
    kind[1 : aig.num_inputs + 1] = KINDS.index("input")
    kind[aig.num_inputs + 1 : before + 1] = KINDS.index("flip-flop")
    store.nodes["kind"] = kind
    is_output = np.zeros(num_nodes, np.bool_)
    is_output[np.concatenate([aig.outputs, aig.latches]) >> 1] = True
    store.nodes["is_output"] = is_output
    store.edges["inverted"] = (aig.ands & 1).ravel().astype(np.bool_)
    store.attributes["kinds"] = list(KINDS)
    return store
