"""A circuit's store as the tensors that a timing model reads, scaled once and for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...graphlib.errors import NotFound
from .encoding import level_encoding
from .plan import LevelPlan

if TYPE_CHECKING:
    from ...graphlib.store.store import GraphStore
    from .partition import DagPart

ARRIVAL_PS, SLEW_PS, DELAY_PS = 100.0, 20.0, 20.0  # what is 1 to the model
_NET, _CELL = ("pin", "net", "pin"), ("pin", "cell", "pin")
_SENSES = 5


@dataclass(frozen=True, eq=False, repr=False)
class TimingBatch:
    """One circuit, or a part of one.

    Attributes
    ----------
    name : str
    plan : LevelPlan
        With relations "net" and "cell".
    x : float32 (pins, f)
        Features of the store, raw and wave-encoded levels, and pre-trained columns where there are some.
    tables : float32 (cell edges, 8, 1 + 2 points)
        Of each cell edge's tables: whether it is there, keys, values.
    sense : float32 (cell edges, 5)
        Which transition of the input causes which of the output, one-hot.
    net_x : float32 (net edges, 2)
    state : float32 (pins, 8)
        True arrival times and slews at the four corners, in units of 100 ps and 20 ps; 0 where `known` is false.
    known : bool (pins,)
        Every corner has an arrival time.
    net_delay, cell_delay : float32 (edges, 4)
        log(0.1 + ps) of wires, and units of 20 ps of cells.
    required : float32 (pins, 4)
        In units of 100 ps; NaN where nothing is required.
    core : bool (pins,)
        Pins that count for the loss; all but a part's halo.
    """

    name: str
    plan: LevelPlan
    x: Tensor
    tables: Tensor
    sense: Tensor
    net_x: Tensor
    state: Tensor
    known: Tensor
    net_delay: Tensor
    cell_delay: Tensor
    required: Tensor
    core: Tensor

    @classmethod
    def from_store(cls, store: GraphStore, *, columns: tuple[str, ...] = ()) -> TimingBatch:
        """The tensors of a circuit as `nearhop.datasets.load("tau2015-...")` gives it.

        columns : names of further node columns to be read, such as a pre-trained latent.
        """
        if "pin" not in store.node_types or _CELL not in store.edge_types:
            raise NotFound(f"the store has no pins with net and cell edges; its node types are {store.node_types}")
        pins = store.nodes("pin")
        plan = LevelPlan.from_store(store, [_NET, _CELL])
        arrival, slew = pins["arrival"], pins["slew"]
        state = np.concatenate([arrival / ARRIVAL_PS, slew / SLEW_PS], axis=1)
        known = np.isfinite(state).all(axis=1)
        extra = [pins[name].reshape(plan.num_nodes, -1) for name in columns]
        encoded = level_encoding(plan.levels.level)
        encoded[:, 0] /= 100
        cells, nets = store.edges(_CELL), store.edges(_NET)
        delays = {"net": np.log(0.1 + nets["delay"]), "cell": cells["delay"] / DELAY_PS}
        sense = np.eye(_SENSES)[store.nodes("table")["sense"][cells["table"]]]
        return cls(
            name=str(store.attributes.get("circuit", "")),
            plan=plan,
            x=_tensor(np.concatenate([pins["x"], encoded, *extra], axis=1)),
            tables=_tensor(_tables(store)[cells["table"]]),
            sense=_tensor(sense),
            net_x=_tensor(nets["x"]),
            state=_tensor(np.where(known[:, None], state, 0)),
            known=torch.from_numpy(known),
            net_delay=_tensor(delays["net"]),
            cell_delay=_tensor(delays["cell"]),
            required=_tensor(pins["required"] / ARRIVAL_PS),
            core=torch.ones(plan.num_nodes, dtype=torch.bool),
        )

    def part(self, part: DagPart) -> TimingBatch:
        """What belongs to a part of the circuit; `core` is the part's."""
        nodes, cells, nets = part.nodes, part.edges["cell"], part.edges["net"]
        return replace(
            self,
            plan=part.plan,
            core=part.core,
            **{name: getattr(self, name)[nodes] for name in ("x", "state", "known", "required")},
            **{name: getattr(self, name)[cells] for name in ("tables", "sense", "cell_delay")},
            **{name: getattr(self, name)[nets] for name in ("net_x", "net_delay")},
        )

    def __repr__(self) -> str:
        return f"TimingBatch({self.name!r}, {self.plan!r})"


def _tables(store: GraphStore) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(rows, 8, 1 + 2 points): validity, products of coordinates, and values, each about 0 to 1."""
    rows = store.nodes("table")
    slews = store.attributes["table_shape"][0]
    axes = rows["axes"].astype(np.float64)
    scale = axes.max(axis=(0, 1), keepdims=True)
    scale[..., :slews], scale[..., slews:] = scale[..., :slews].max(), scale[..., slews:].max()
    axes = axes / scale
    keys = (axes[..., :slews, None] * axes[..., None, slews:]).reshape(*axes.shape[:2], -1)
    valid = rows["valid"].astype(np.float64)[..., None]
    return np.concatenate([valid, keys * valid, rows["values"] / DELAY_PS * valid], axis=2)


def _tensor(values: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
