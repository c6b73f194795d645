"""NAT: links of a temporal network predicted from joint neighbourhoods that N-caches remember."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...graphlib.checks import unmasked
from ...graphlib.errors import InvalidInput
from ...graphlib.scalars import integer, is_finite
from ...sampling.arguments import node_positions
from ...sampling.ncache.cache import NCache
from ..threads import steady
from .config import NATConfig
from .inputs import event_ids, event_times, features
from .layers import PairReadout, SlotUpdate, TimeEncoding, drop, keep_torch_threads, there
from .memory import HostMemory, memory_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from .memory import Slots


@dataclass
class _Read:
    """What one batch read from the memory at a time: it serves the scores, and then the write of the same batch."""

    now: float
    slots: Slots
    value: Tensor
    self_rep: Tensor


class NAT(nn.Module):
    """Neighbourhood-aware temporal network: scores of links between nodes that N-caches describe.

    Every node has a vector of its own (`self_dim` wide) and an `NCache` of recent neighbours. Events are not applied
    when they happen but when what they wrote is read: value' = GRU(W [self_rep(neighbour); T(time); edge features],
    value), so that gradients reach the recurrent weights through the read. A pair is scored from its joint
    neighbourhood: each key that either cache holds gives a row of its distance encoding (at which hops of which node it
    stands) and its summed values; attention pools the rows, and a two-layer perceptron sees the pool and both vectors.

    Parameters
    ----------
    num_nodes : int
    config : NATConfig, optional
        Or its fields by name:

        sizes : ints, default (1, 32, 16)
            Slots per hop; (1,) leaves out the neighbourhood.
        value_dim, self_dim, code_dim, hidden_dim : int, default 4, 72, 16, 64
            Width of a slot's value (F), of a node's vector, of the distance encoding (0 leaves it out), of the readout.
        dropout, replace_prob : float, default 0.1, 0.9
            Of the readout; and the chance that a neighbour takes a slot that another holds, as in `NCache`.
        compat : {"paper", "released"}, default "paper"
            Presets for the following five, which may also be given one by one.
        readout : {"attention", "sum"}
            How the rows of a joint neighbourhood are pooled.
        time_encoding : {"since", "absolute"}
            T of the time since the event, measured at the first event of the batch that reads it; or of its time stamp.
        time_dim : int
            Frequencies; 4, or 1 for "released".
        second_hop : {"copy", "update"}
            Whether values copied to hop 2 stay as they are, or take the recurrent step at every read.
        hash : {"prime", "quadratic"}
            As in `NCache`.
        cache_device : {"model", "host"}, default "model"
            Where the caches lie when the model is moved to a GPU: there, or still in host memory, which may be larger.
        seed : int, default 0
            Of the cache's draws and of dropout. Initial weights come from torch's global generator.
    node_features : float array (num_nodes, d), optional
        Added to the rows of the keys they belong to.
    edge_features : float array (num_edges, d), optional
        Row e belongs to the event with edge id e. Features are finite.

    Attributes
    ----------
    cache : NCache
        The caches; a copy of them while they lie on a GPU.
    self_rep : float32 tensor (num_nodes, self_dim)
        Vectors as of each node's last event but one; `vectors` applies the last.

    Notes
    -----
    Cost per event is O(sum of sizes), whatever the length of the stream. On the processor the recurrent step, the join
    and the attention run in compiled kernels with gradients of their own, and torch's own operations on one thread, so
    that scores and what is remembered are the same bits at any number of threads. So are gradients inside
    `gnn.threads.steady()`, as in `TemporalTrainer`; a plain `backward` adds up in as many parts as torch has threads.
    On a GPU the caches are read, joined and written by CUDA kernels and the layers run in plain torch, whose sums there
    are not bit-reproducible.

    Differences from the paper: T has one cosine per frequency; by default it encodes the time since an event rather
    than its time stamp, which float32 cannot hold and which says nothing about how long ago it was; the layer after the
    pool is the classifier's. `compat="released"` follows the released code instead where that differs from the
    paper: the pool is a plain sum (its attention weights are computed and not used), values copied to hop 2 are updated
    again at every read, the hash is quadratic, and time is the raw stamp through one cosine. Not reproduced from it:
    racing writes, ids and times in float32, time zero as emptiness, and random initial values, which it masks.

    References
    ----------
    Y. Luo and P. Li, "Neighborhood-aware scalable temporal network representation learning", LoG 2022,
    arXiv:2209.01084, equations 1-3 and algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from nearhop.gnn import NAT
    >>> _ = torch.manual_seed(0)
    >>> model = NAT(10, sizes=(1, 8, 4), self_dim=8, hidden_dim=8)
    >>> positive, negative = model([0, 1], [2, 3], [[4], [5]], time=[1.0, 2.0])     # scores before the sigmoid
    >>> positive.shape, negative.shape
    (torch.Size([2]), torch.Size([2, 1]))
    >>> model.observe([0, 1], [2, 3], time=[1.0, 2.0], edge_ids=[0, 1])
    >>> model.cache
    NCache(10 nodes, sizes (1, 8, 4), values of 4, 2 events, 0.0 MiB)
    """

    def __init__(
        self,
        num_nodes: int,
        *,
        config: NATConfig | None = None,
        node_features: ArrayLike | None = None,
        edge_features: ArrayLike | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        unknown = set(options) - {field.name for field in fields(NATConfig)}
        if unknown:
            raise InvalidInput(f"NAT has no option {sorted(unknown)[0]!r}; see nearhop.gnn.NATConfig")
        self.config = made = replace(config, **options) if config is not None else NATConfig(**options)
        cache = NCache(
            num_nodes,
            made.sizes,
            value_dim=made.value_dim,
            replace_prob=made.replace_prob,
            seed=made.seed,
            hash=str(made.hash),
        )
        self.memory: Any = HostMemory(cache, torch.device("cpu"))
        self.node_features: Tensor | None
        self.edge_features: Tensor | None
        self.register_buffer("node_features", features("node_features", node_features, num_nodes), persistent=False)
        self.register_buffer("edge_features", features("edge_features", edge_features, None), persistent=False)
        node_dim, edge_dim = (0 if part is None else part.shape[1] for part in (self.node_features, self.edge_features))
        time_dim, width = int(made.time_dim or 1), made.self_dim
        self.time = TimeEncoding(time_dim)
        self.self_update = SlotUpdate(width, time_dim, edge_dim, width)
        self.slot_update = SlotUpdate(width, time_dim, edge_dim, made.value_dim)
        self.readout = PairReadout(
            made.value_dim, made.code_dim, node_dim, made.hidden_dim, str(made.readout), made.dropout
        )
        joined = made.hidden_dim + 2 * width
        self.classify = nn.Sequential(nn.Linear(joined, joined), nn.ReLU(), nn.Linear(joined, 1))
        for layer in (self.classify[0], self.classify[2]):
            nn.init.xavier_normal_(layer.weight)  # type: ignore[arg-type]
        self.register_buffer("self_rep", torch.zeros(num_nodes, width), persistent=False)
        self.self_rep: Tensor
        self.last_other = np.zeros(num_nodes, np.int64)
        self.generator = torch.Generator()
        self._read: _Read | None = None
        self.reset()
        self.generator.manual_seed(made.seed)
        keep_torch_threads()

    @property
    def cache(self) -> NCache:
        """The N-cache; a copy of it while it lies on a GPU."""
        return self.memory.cache

    @property
    def _num_events(self) -> int | None:
        """Events that have features, where there are any."""
        return None if self.edge_features is None else self.edge_features.shape[0]

    def _apply(self, fn: Any, recurse: bool = True) -> NAT:
        """What `to`, `cuda` and `cpu` call: the caches follow the parameters."""
        super()._apply(fn, recurse)
        if self.self_rep.device != self.memory.device:
            self._read = None
            self.memory = memory_on(self.cache, self.self_rep.device, host=self.config.cache_device == "host")
        return self

    def reset(self) -> None:
        """Forget all events; weights and the state of the generators stay."""
        self.memory.reset()
        self.self_rep.zero_()
        self.last_other[:] = 0
        self._read = None

    @steady()
    def forward(
        self, src: ArrayLike, dst: ArrayLike, negatives: ArrayLike, *, time: ArrayLike
    ) -> tuple[Tensor, Tensor]:
        """Score a batch of links against links to other destinations, from what was observed before the batch.

        Parameters
        ----------
        src, dst : int arrays (n,)
        negatives : int array (n, q)
            Destinations to compare with `dst`.
        time : array (n,)
            Finite. Only the earliest is used, as the moment at which the caches are read.

        Returns
        -------
        float32 tensors (n,), (n, q): scores before the sigmoid.
        """
        count = self.memory.like.num_nodes
        one, two = (node_positions(name, ids, count) for name, ids in (("src", src), ("dst", dst)))
        others: NDArray[Any] = unmasked("negatives", negatives)
        if others.ndim != 2 or others.shape[0] != one.shape[0] or two.shape != one.shape:
            raise InvalidInput(
                f"src and dst must have shape (n,) and negatives (n, q); got {one.shape}, {two.shape}, {others.shape}"
            )
        far = node_positions("negatives", others.ravel(), count)
        nodes, number = self.memory.like.distinct(one, two, far)
        time = event_times(time, one.shape[0])
        read = self._read = self._recall(nodes, _first(time))
        pairs = one.shape[0]
        first = np.concatenate([number[:pairs], np.repeat(number[:pairs], others.shape[1])])
        scores = self._score(read, first, number[pairs:])
        return scores[:pairs], scores[pairs:].view(pairs, others.shape[1])

    @steady()
    def observe(self, src: ArrayLike, dst: ArrayLike, *, time: ArrayLike, edge_ids: ArrayLike, epoch: int = 0) -> None:
        """Write a batch of events to the memory.

        What the scores of the same batch read is used again; without a read of these nodes at the earliest of these
        times, one is made without gradients: scores of other batches change nothing.

        Parameters
        ----------
        src, dst : int arrays (n,)
        time : array (n,)
            Finite.
        edge_ids : int array (n,)
            Of each event, >= 0; with `edge_features` they are its rows.
        epoch : int, default 0
            Draws of the caches differ between epochs.

        Raises
        ------
        InvalidInput, InvalidType
            Nodes, times or ids that do not fit, or an event without a row of features. The memory is as it was.
        """
        count = self.memory.like.num_nodes
        ends = [node_positions(name, ids, count) for name, ids in (("src", src), ("dst", dst))]
        times = event_times(time, ends[0].shape[0])
        names = event_ids(edge_ids, ends[0].shape[0], self._num_events)
        if ends[1].shape != ends[0].shape:
            raise InvalidInput(f"src and dst must have shape (n,); got {ends[0].shape} and {ends[1].shape}")
        if ends[0].shape[0] == 0:
            return
        touched, _ = self.memory.like.distinct(*ends)
        read, now = self._read, _first(times)
        self._read = None
        fits = read is not None and read.now == now
        rows = self.memory.like.rows_of(read.slots.read, touched) if read is not None and fits else None
        if read is None or rows is None or rows.min() < 0:
            with torch.no_grad():
                read = self._recall(touched, now)
            rows = np.arange(touched.shape[0])
        self.memory.insert(*ends, read.slots, read.value, time=times, edge_ids=names, epoch=epoch)
        device = self.self_rep.device
        vectors = read.self_rep.detach().index_select(0, there(rows, device))
        self.self_rep[there(touched, device)] = vectors
        order = np.lexsort((names, times))
        both, others = (np.stack(pair, axis=1)[order].ravel() for pair in (ends, ends[::-1]))
        self.last_other[both] = others  # of several events of a node, the last is assigned last

    @steady()
    @torch.no_grad()
    def vectors(self, nodes: ArrayLike | None = None, *, now: float, batch_size: int = 4096) -> NDArray[np.float32]:
        """Each node's own vector with its last event applied, float32 (n, self_dim), read at time `now`.

        As a column of a store's nodes, an index can search it.
        """
        batch_size = integer("batch_size", batch_size, 1)
        if not is_finite(now):
            raise InvalidInput(f"now must be a finite number, in the unit of the events' times; got {now!r:.50}")
        total = self.memory.like.num_nodes
        chosen = np.arange(total) if nodes is None else node_positions("nodes", nodes, total)
        out = np.empty((chosen.shape[0], self.config.self_dim), np.float32)
        for start in range(0, chosen.shape[0], batch_size):
            part = chosen[start : start + batch_size]
            out[start : start + batch_size] = self._own(part, float(now), *self.memory.stamps(part)).cpu().numpy()
        return out

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of everything that changes while a stream is read: caches, vectors, the generator of dropout."""
        found = {f"cache.{name}": value for name, value in self.memory.snapshot().items()}
        found["self_rep"] = self.self_rep.cpu().numpy().copy()
        found["last_other"] = self.last_other.copy()
        found["generator"] = self.generator.get_state().numpy().copy()
        return found

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `state` returned.

        Raises
        ------
        InvalidInput
            It is not of a model of these sizes, or holds nodes or events that do not exist. All of it is checked first,
            so the model is as it was.
        """
        cache = {name[6:]: value for name, value in state.items() if name.startswith("cache.")}
        self._check_state(state, cache)
        generator = torch.Generator()
        try:
            generator.set_state(torch.from_numpy(np.array(state["generator"])))
        except (RuntimeError, TypeError) as error:
            raise InvalidInput(f"load_state: the state of the generator is not one ({error})") from error
        self.memory.restore(cache)
        self.self_rep.copy_(torch.from_numpy(np.array(state["self_rep"])))
        self.last_other[:] = state["last_other"]
        self.generator = generator
        self._read = None

    def _check_state(self, state: Mapping[str, NDArray[Any]], cache: Mapping[str, NDArray[Any]]) -> None:
        for name, shape, dtype in (
            ("self_rep", tuple(self.self_rep.shape), np.float32),
            ("last_other", self.last_other.shape, np.int64),
            ("generator", tuple(self.generator.get_state().shape), np.uint8),
        ):
            given = state.get(name)
            if given is None or given.shape != shape or given.dtype != dtype:
                told = "missing" if given is None else f"{given.dtype} {given.shape}"
                raise InvalidInput(f"load_state: {name} must be {np.dtype(dtype)} {shape}; it is {told}")
        self.memory.like.check_snapshot(cache)
        others, events = state["last_other"], cache["edge_ids"]
        if others.size and (others.min() < 0 or others.max() >= others.shape[0]):
            raise InvalidInput(f"load_state: last_other must hold nodes 0..{others.shape[0] - 1}")
        rows = self._num_events
        if rows is not None and events.size and events.max() >= rows:
            raise InvalidInput(f"load_state: event {events.max()} has no row among the {rows} edge features")

    def _recall(self, nodes: NDArray[np.int64], now: float) -> _Read:
        """Read the memory of distinct nodes and apply what was written since it was last read."""
        slots = self.memory.lookup(nodes)
        value = self.slot_update(
            self.self_rep.index_select(0, slots.neighbours),
            slots.row,
            self._encode(slots.time, now),
            self._edges(slots.edge_id),
            slots.value,
            slots.live,
        )
        if self.config.second_hop == "copy" and len(self.config.sizes) > 2:
            value = torch.where(slots.far[:, None], slots.value, value)
        own = self._own(nodes, now, slots.edge_id[slots.own], slots.time[slots.own])
        return _Read(now, slots, value, own)

    def _own(self, nodes: NDArray[np.int64], now: float, edge_ids: Tensor, times: Tensor) -> Tensor:
        """The nodes' own vectors with their last events applied."""
        device = self.self_rep.device
        return self.self_update(
            self.self_rep.index_select(0, there(self.last_other[nodes], device)),
            None,
            self._encode(times, now),
            self._edges(edge_ids),
            self.self_rep.index_select(0, there(nodes, device)),
            edge_ids >= 0,
        )

    def _encode(self, times: Tensor, now: float) -> Tensor:
        if self.config.time_encoding == "since":
            times = now - times
        return self.time(times.float())

    def _edges(self, edge_ids: Tensor) -> Tensor | None:
        return None if self.edge_features is None else self.edge_features.index_select(0, edge_ids.clamp(min=0))

    def _score(self, read: _Read, first: NDArray[np.int64], second: NDArray[np.int64]) -> Tensor:
        joint = self.memory.join(read.slots, first, second)
        pooled = self.readout(joint, read.value, self.node_features, self.generator)
        if self.readout.score is not None:
            pooled = drop(pooled, self.config.dropout, self.training, self.generator)
        ends = (there(rows, read.value.device) for rows in (first, second))
        sides = (read.self_rep.index_select(0, rows) for rows in ends)
        return self.classify(torch.cat([pooled, *sides], dim=1)).squeeze(1)


def _first(times: NDArray[np.float64]) -> float:
    """The earliest, at which a batch reads the memory; of none, any."""
    return float(times.min()) if times.size else 0.0
