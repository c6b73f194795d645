"""PreRoutGNN: arrival times and slews of a circuit that is not routed yet, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...graphlib.errors import InvalidInput
from .circuit import TimingBatch
from .lut import TableAttention
from .propagation import LevelPropagation, LevelRule
from .reduce import segment_reduce, spread, take_sources

if TYPE_CHECKING:
    from .plan import Slice

RESIDUALS = ("none", "nets", "all")
_STATE = 8
_OTHER = [1, 0, 3, 2]  # the same mode, the other transition
_WORSE = (-1.0, -1.0, 1.0, 1.0) * 2  # early corners merge by the smallest, late ones by the largest

__all__ = ["PreRoutGNN", "Predicted", "TimingBatch"]


def _mlp(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class NetConv(nn.Module):
    """A residual layer over nets: sinks read their driver, drivers the gated sum and maximum of their sinks."""

    def __init__(self, dim: int, hidden: int, edge_dim: int) -> None:
        super().__init__()
        self.each = dim // 2
        self.to_sink = _mlp(2 * dim + edge_dim, hidden, dim)
        self.to_driver = _mlp(2 * dim + edge_dim, hidden, 1 + 2 * self.each)
        self.join = _mlp(dim + 2 * self.each, hidden, dim)

    def forward(self, h: Tensor, along: Slice, against: Slice, along_x: Tensor, against_x: Tensor) -> Tensor:
        sinks = torch.cat([take_sources(h, along), spread(h.index_select(0, along.rows), along), along_x], 1)
        new = h.index_add(0, along.rows, segment_reduce(self.to_sink(sinks), along, "mean"))
        drivers = h.index_select(0, against.rows)
        read = torch.cat([take_sources(h, against), spread(drivers, against), against_x], 1)
        reduced = segment_reduce(self.to_driver(read), against, "gated")
        return new.index_add(0, against.rows, self.join(torch.cat([drivers, reduced], 1)))


class NetMessage(nn.Module):
    """State behind a wire: the driver's, plus what the wire changes."""

    def __init__(self, dim: int, hidden: int, residual: bool) -> None:
        super().__init__()
        self.layers = _mlp(_STATE + 2 * dim, hidden, _STATE)
        self.residual = residual

    def forward(self, state_src: Tensor, x_src: Tensor, x_dst: Tensor, attr: Tensor | None) -> Tensor:
        change: Tensor = self.layers(torch.cat([state_src, x_src, x_dst], 1))
        return state_src + change if self.residual else change


class CellMessage(nn.Module):
    """What an input of a cell does to its output, from a soft look-up in the cell's tables."""

    worse: Tensor

    def __init__(self, dim: int, hidden: int, residual: bool, attention: bool, points: int) -> None:
        super().__init__()
        self.residual = residual
        width = 32
        self.queries = _mlp(_STATE + 2 * dim, hidden, 8 * width) if attention else nn.Identity()
        self.attention = TableAttention(width) if attention else None
        self.fixed = nn.Identity() if attention else nn.Linear(8 * (1 + 2 * points), 8 * width)
        reduced = _STATE if residual else 1 + 2 * hidden
        self.layers = _mlp(8 * width + _STATE + 2 * dim + 5, hidden, reduced + 4)
        self.register_buffer("worse", torch.tensor(_WORSE))

    def forward(self, state_src: Tensor, x_src: Tensor, x_dst: Tensor, attr: Tensor) -> Tensor:
        tables, sense = attr[:, :-5], attr[:, -5:]
        given = torch.cat([state_src, x_src, x_dst], 1)
        if self.attention is None:
            found = self.fixed(tables)
        else:
            tables = tables.unflatten(1, (8, -1))
            points = tables.shape[2] // 2
            valid, keys, values = tables[..., 0], tables[..., 1 : 1 + points], tables[..., 1 + points :]
            found = self.attention(self.queries(given).unflatten(1, (8, -1)), keys, values, valid).flatten(1)
        out: Tensor = self.layers(torch.cat([found, given, sense], 1))
        if not self.residual:
            return out
        delay = out[:, -4:]
        before = self._causes(state_src[:, :4], sense)
        arrival = before + delay * (DELAY / ARRIVAL) + out[:, :4]
        return torch.cat([torch.cat([arrival, out[:, 4:8]], 1) * self.worse, delay], 1)

    def _causes(self, arrival: Tensor, sense: Tensor) -> Tensor:
        """Arrival times of the transitions that cause the output's, by the arc's sense."""
        other, worse = arrival[:, _OTHER], self.worse[:4]
        either = torch.maximum(arrival * worse, other * worse) * worse
        rise, fall = arrival[:, [0, 0, 2, 2]], arrival[:, [1, 1, 3, 3]]
        stacked = torch.stack([arrival, other, either, rise, fall], 1)
        return (stacked * sense[..., None]).sum(1)


ARRIVAL, DELAY = 100.0, 20.0  # units of circuit.TimingBatch


class CellUpdate(nn.Module):
    """The output pin's state from what its inputs sent."""

    worse: Tensor

    def __init__(self, dim: int, hidden: int, residual: bool) -> None:
        super().__init__()
        self.layers = None if residual else _mlp(2 * hidden + dim, hidden, _STATE)
        self.register_buffer("worse", torch.tensor(_WORSE))

    def forward(self, reduced: Tensor, x_dst: Tensor) -> Tensor:
        if self.layers is None:
            return reduced * self.worse
        result: Tensor = self.layers(torch.cat([reduced, x_dst], 1))
        return result


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a pass predicts, in the units of `TimingBatch`: states by pin, delays by edge."""

    state: Tensor
    net_delay: Tensor
    cell_delay: Tensor


class PreRoutGNN(nn.Module):
    """Timing before routing.

    Features go through layers over nets; then arrival times and slews travel from the inputs along nets and cells in
    topological order, a cell's delay being looked up softly in its tables.

    Parameters
    ----------
    in_dim : int
        Columns of `TimingBatch.x`.
    dim, hidden : int, default 64 and 64
        Widths of pins and within layers.
    net_layers : int, default 4
    residual : "none", "nets" or "all", default "all"
        Edges that learn the local delay, which is added to the state before them: none, nets alone as in the paper, or
        cells too, which then merge by the earliest and the latest instead of by gates.
    attention : bool, default True
        Look up tables by attention; otherwise a linear layer reads them whole, whatever the state.
    table_points : int, default 56
        Grid points of a table, 7 x 8 in the TAU library; only the linear layer needs to know.
    checkpoint : bool, default True
        See `LevelPropagation`.

    Differences from the paper
    --------------------------
    `residual="all"`; nets merge over their one driver alone; times are in linear units rather than logarithms of
    nanoseconds for slews; widths.

    References
    ----------
    Zhong et al., "PreRoutGNN for timing prediction with order preserving partition: global circuit pre-training, local
    delay learning and attentional cell modeling", AAAI 2024, arXiv:2403.00012.
    """

    def __init__(
        self,
        in_dim: int,
        *,
        dim: int = 64,
        hidden: int = 64,
        net_layers: int = 4,
        residual: str = "all",
        attention: bool = True,
        table_points: int = 56,
        checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if residual not in RESIDUALS:
            raise InvalidInput(f"PreRoutGNN: residual must be one of {', '.join(RESIDUALS)}; got {residual!r}")
        cells = residual == "all"
        self.into = nn.Sequential(nn.Linear(in_dim, dim), nn.LeakyReLU(0.2))
        self.net_layers = nn.ModuleList([NetConv(dim, 2 * hidden, 2) for _ in range(net_layers)])
        self.net_head = _mlp(dim, hidden, 4)
        net = LevelRule(NetMessage(dim, hidden, residual != "none"))
        cell = LevelRule(
            CellMessage(dim, hidden, cells, attention, table_points),
            reduce="max" if cells else "gated",
            update=CellUpdate(dim, hidden, cells),
            emit=4,
        )
        self.propagation = LevelPropagation({"net": net, "cell": cell}, checkpoint=checkpoint)

    def forward(self, batch: TimingBatch, *, teacher: bool = False) -> Predicted:
        """Predict; with `teacher`, edges read the true states, and all levels are computed at once.

        Pins where paths begin take their true state, which the surroundings of a circuit determine.
        """
        plan, device = batch.plan, batch.x.device
        order, places = plan.order_on(device)
        nets = plan.relation("net")
        along, against = nets.slice(-1, device), nets.reversed().slice(-1, device)
        h = self.into(batch.x).index_select(0, order)
        if along is not None and against is not None:
            along_x = batch.net_x.index_select(0, nets.orders_on(device)[0])
            against_x = along_x.index_select(0, nets.reversed().orders_on(device)[0])
            for layer in self.net_layers:
                h = layer(h, along, against, along_x, against_x)
        h = h.index_select(0, places)
        sinks = torch.as_tensor(plan.edges["net"][1], device=device)
        attr = {"cell": torch.cat([batch.tables.flatten(1), batch.sense], 1)}
        out = self.propagation(plan, batch.state, h, attr, teacher=batch.state if teacher else None)
        return Predicted(out.state, self.net_head(h.index_select(0, sinks)), out.edges["cell"])

    def loss(self, batch: TimingBatch, predicted: Predicted) -> Tensor:
        """The sum of four mean squared errors over what is known and in the core: arrival, slew, net and cell delay."""
        totals, counts = squared_errors(batch, predicted)
        return (totals / counts.clamp(min=1)).sum()


def squared_errors(batch: TimingBatch, predicted: Predicted) -> tuple[Tensor, Tensor]:
    """Sums of squared errors of arrival, slew, net and cell delay, and how many there are; sums over parts add up."""
    device = batch.x.device
    pins = batch.known & batch.core & ~_starts(batch)
    ends = {name: torch.as_tensor(batch.plan.edges[name][1], device=device) for name in ("net", "cell")}
    nets, cells = (batch.core[ends[name]] & batch.known[ends[name]] for name in ("net", "cell"))
    finite = torch.isfinite(batch.net_delay), torch.isfinite(batch.cell_delay)
    pairs = (
        (predicted.state[:, :4], batch.state[:, :4], pins[:, None].expand(-1, 4)),
        (predicted.state[:, 4:], batch.state[:, 4:], pins[:, None].expand(-1, 4)),
        (predicted.net_delay, batch.net_delay, nets[:, None] & finite[0]),
        (predicted.cell_delay, batch.cell_delay, cells[:, None] & finite[1]),
    )
    totals = [((guess - truth)[mask] ** 2).sum() for guess, truth, mask in pairs]
    return torch.stack(totals), torch.stack([mask.sum() for _, _, mask in pairs])


def _starts(batch: TimingBatch) -> Tensor:
    """Pins that take their state instead of predicting it."""
    return torch.as_tensor(batch.plan.levels.level == 0, device=batch.x.device)
