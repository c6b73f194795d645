"""LargeGT: node classification from sampled tokens, with attention among them and to a codebook of all nodes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, scaled_dot_product_attention

from ...graphlib.checks import kind_of
from ...graphlib.errors import InvalidInput, InvalidType
from ...sampling.arguments import check_count, node_positions
from ..training.evaluating import evaluating
from .codebook import Codebook
from .config import LargeGTConfig
from .inputs import first_layer
from .local import LocalAttention
from .tokens import TokenLoader

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .tokens import TokenBatch


class _Norm(nn.BatchNorm1d):
    """Batch norm; a batch of one node, which has no variance, is normalised by the moving averages."""

    def forward(self, given: Tensor) -> Tensor:
        if self.training and given.shape[0] == 1:
            return batch_norm(given, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(given)


class GlobalAttention(nn.Module):
    """What a node learns from the codebook (B, heads * width), by its features and its positional encoding.

    q = Wq [p ; pos], p = Wp x; keys Wk mu and values Wv mu[:g] of the centroids mu; softmax of q k / sqrt(width) + log
    of the number of nodes of each centroid.
    """

    def __init__(self, config: LargeGTConfig, num_nodes: int) -> None:
        super().__init__()
        width, heads, g = config.hidden, config.heads, config.global_dim
        self.width, self.heads, self.g = width, heads, g
        self.project = nn.Linear(width, g)
        self.query, self.key = nn.Linear(2 * g, heads * width), nn.Linear(2 * g, heads * width)
        self.value = nn.Linear(g, heads * width)
        self.codebook = Codebook(
            config.num_centroids,
            2 * g,
            num_nodes,
            momentum=config.momentum,
            assigned=config.compat == "released",
            seed=config.seed,
        )

    def vectors(self, x: Tensor, position: Tensor) -> Tensor:
        """[Wp x ; pos]."""
        return torch.cat([self.project(x), position], 1)

    def forward(self, x: Tensor, position: Tensor, nodes: Tensor) -> Tensor:
        given = self.vectors(x, position)
        rows = self.codebook.rows()
        query, key, value = (
            layer(part).view(part.shape[0], self.heads, self.width).transpose(0, 1)[None]
            for layer, part in ((self.query, given), (self.key, rows), (self.value, rows[:, : self.g]))
        )
        weight = self.codebook.log_counts()[None, None, None].expand(1, self.heads, given.shape[0], -1)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=weight, scale=1 / math.sqrt(self.width))
        if self.training:
            self.codebook.update(given.detach(), nodes)
        return attended[0].transpose(0, 1).reshape(given.shape[0], -1)


class LargeGT(nn.Module):
    """Large Graph Transformer: local attention among a node's tokens, global attention to a codebook, fused.

    Parameters
    ----------
    tokens : TokenLoader
        What batches are made by; with `position` for the global module.
    num_classes : int
    config : LargeGTConfig, optional

    Raises
    ------
    InvalidInput
        The global module without positional encodings, or with encodings of another width than `global_dim`.

    Notes
    -----
    Trained by `nearhop.gnn.nodes.NodeTrainer`, which selects by validation and reads the test once. Call `prepare` with
    the training nodes first, so that the codebook begins with their k-means. Everything that training changes is in
    `state_dict()`; checkpoints resume to the same bits. An epoch costs O(nodes * T * (T + W) * W) for T = 3 K tokens
    and W = heads * hidden: the number of edges does not matter.

    Differences from the paper's code: counts are those of assigned nodes alone (`compat="released"` for a random
    initial assignment); the codebook may begin with k-means; parameters that cancel in a softmax (the bias of keys,
    what the readout makes of the node itself) are left out; node sets may be drawn afresh per epoch; the third power of
    the adjacency is not made.

    References
    ----------
    V. P. Dwivedi et al., "Graph Transformers for Large Graphs", arXiv:2312.11109. The global module: K. Kong et al.,
    "GOAT: A Global Transformer on Large-scale Graphs", ICML 2023.

    Examples
    --------
    >>> import numpy as np, nearhop
    >>> from nearhop.gnn.large_gt import LargeGT, LargeGTConfig, TokenLoader
    >>> from nearhop.graphlib.sparse import hop_contexts
    >>> from nearhop.sampling import NodeSets
    >>> store = nearhop.GraphStore.from_edges(np.arange(30), (np.arange(30) * 7 + 1) % 30)
    >>> store.nodes["x"] = np.eye(30, 8, dtype=np.float32)
    >>> names, column = hop_contexts(store), NodeSets(store, 6).write()
    >>> model = LargeGT(TokenLoader(store), 3, LargeGTConfig(hidden=16, mode="local"))
    >>> model(model.batch(np.arange(5))).shape
    torch.Size([5, 3])
    """

    def __init__(self, tokens: TokenLoader, num_classes: int, config: LargeGTConfig | None = None) -> None:
        super().__init__()
        if not isinstance(tokens, TokenLoader) or not isinstance(config, LargeGTConfig | None):
            raise InvalidType(
                f"LargeGT takes a TokenLoader and a LargeGTConfig; got {kind_of(tokens)} and {kind_of(config)}"
            )
        check_count("num_classes", num_classes, 1)
        self.config = made = config or LargeGTConfig()
        self.tokens = tokens
        width, wide = made.hidden, made.heads * made.hidden
        self.token_input = nn.Linear(tokens.width, width)
        self.local = LocalAttention(width, made.heads, token_dropout=made.dropout, dropout=made.attention_dropout)
        self.node_input: nn.Sequential | None = None
        self.attend: GlobalAttention | None = None
        if made.mode == "full":
            if tokens.position_width != made.global_dim:
                found = "none" if tokens.position_width is None else f"{tokens.position_width} wide"
                raise InvalidInput(
                    f'mode="full" needs positional encodings of global_dim = {made.global_dim}; the loader has {found}'
                    '. Give TokenLoader position=, the name of such a column, or use mode="local"'
                )
            self.node_input = nn.Sequential(
                nn.Linear(tokens.width, width),
                _Norm(width),
                nn.ReLU(),
                nn.Dropout(made.dropout),
                nn.Linear(width, width),
            )
            self.attend = GlobalAttention(made, tokens.num_nodes)
        self.head = nn.Sequential(
            *_layer(wide if self.attend is None else 2 * wide, wide, made.dropout),
            *_layer(wide, width, made.dropout),
            nn.Linear(width, num_classes),
        )

    @property
    def num_scored(self) -> int:
        """Nodes that can be scored: those of the loader."""
        return self.tokens.num_nodes

    def batch(self, nodes: NDArray[np.int64], *, epoch: int = 0) -> TokenBatch:
        """As `TokenLoader.batch`."""
        return self.tokens.batch(nodes, epoch=epoch)

    def forward(self, batch: TokenBatch, *, plain: bool = False) -> Tensor:
        """Scores (B, num_classes). `plain` runs the local module in torch's operations, for comparison."""
        table = first_layer(batch.tables, self.token_input.weight, self.token_input.bias)
        out = self.local(table, batch.index, plain=plain)
        if self.attend is not None and self.node_input is not None:
            if batch.position is None:
                raise InvalidInput(
                    'mode="full" needs positional encodings and the batch has none: make batches with `model.batch`'
                )
            nodes = self.node_input(batch.tables[0][batch.index[:, 0]].float())
            out = torch.cat([out, self.attend(nodes, batch.position, batch.nodes)], 1)
        scores: Tensor = self.head(out)
        return scores

    def prepare(self, nodes: ArrayLike, *, batch_size: int = 4096) -> None:
        """Begin the codebook with the library's k-means of what these nodes are at first; without effect on "local"."""
        if self.attend is not None:
            vectors = self.vectors(nodes, batch_size=batch_size)
            given = torch.as_tensor(node_positions("nodes", nodes, self.tokens.num_nodes)).to(vectors.device)
            self.attend.codebook.fit(vectors, given)

    def distortion(self, nodes: ArrayLike) -> tuple[float, float]:
        """Mean squared distance of the nodes' vectors from the codebook, and from a fresh k-means of them."""
        if self.attend is None:
            raise InvalidInput('mode="local" has no codebook')
        vectors = self.vectors(nodes)
        if not vectors.shape[0]:
            raise InvalidInput("distortion is a mean over nodes; give at least one")
        return self.attend.codebook.distortion(vectors)

    @torch.no_grad()
    def vectors(self, nodes: ArrayLike, *, batch_size: int = 4096) -> Tensor:
        """What the codebook is asked with, [Wp x ; pos], of some nodes (n, 2 g)."""
        check_count("batch_size", batch_size, 1)
        if self.attend is None or self.node_input is None:
            raise InvalidInput('mode="local" has no codebook')
        chosen, made = node_positions("nodes", nodes, self.tokens.num_nodes), []
        with evaluating(self):
            for at in range(0, chosen.shape[0], batch_size):
                x, position = self.tokens.seeds(chosen[at : at + batch_size])
                made.append(self.attend.vectors(self.node_input(x.float()), position))
        return torch.cat(made) if made else torch.empty(0, 2 * self.config.global_dim)


def _layer(given: int, made: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.Linear(given, made), _Norm(made), nn.ReLU(), nn.Dropout(dropout)


__all__ = ["GlobalAttention", "LargeGT"]
