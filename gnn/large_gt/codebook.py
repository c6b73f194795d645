"""A codebook of centroids that follow what passes by: k-means by exponential moving averages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...ann.distances.scan import nearest_rows
from ...ann.ivf.kmeans import kmeans
from ...ann.metrics import L2
from ...ann.storage.floats import floats
from ...graphlib.compute.streams import Purpose, generator
from ...graphlib.errors import InvalidInput
from ..threads import kernel_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMOOTH = 1e-5


class Codebook(nn.Module):
    """C centroids in `dim` dimensions, and to which one every node was assigned last.

    Vectors are normalised per dimension by moving averages (a batch norm without weights), assigned to the nearest
    centroid, and each centroid moves towards the mean of what it got:
    n_c <- (1 - m) n_c + m count_c, s_c <- (1 - m) s_c + m sum_c, centroid_c = s_c / n_c with n_c smoothed by Laplace.

    Parameters
    ----------
    num_centroids, dim, num_nodes : int
    momentum : float
        m.
    assigned : bool
        Assign all nodes at random at first, as the released code does; else no node is assigned.
    seed : int

    Notes
    -----
    Assignments are int16 up to 32,767 centroids and int32 beyond. What is learnt depends on the size of batches, since
    a batch's own mean and variance normalise it. No gradient reaches it.
    """

    counts: Tensor
    sums: Tensor
    centroids: Tensor
    assignment: Tensor
    node_counts: Tensor

    def __init__(
        self, num_centroids: int, dim: int, num_nodes: int, *, momentum: float, assigned: bool, seed: int
    ) -> None:
        super().__init__()
        rng = generator(seed, Purpose.CODEBOOK)
        self.momentum, self.seed = momentum, seed
        self.norm = nn.BatchNorm1d(dim, affine=False)
        first = torch.from_numpy(rng.standard_normal((num_centroids, dim), dtype=np.float32))
        kind = torch.int16 if num_centroids <= np.iinfo(np.int16).max else torch.int32
        chosen = torch.full((num_nodes,), -1, dtype=kind)
        if assigned:
            chosen = torch.from_numpy(rng.integers(0, num_centroids, num_nodes)).to(kind)
        self.register_buffer("centroids", first)
        self.register_buffer("sums", first.clone())
        self.register_buffer("counts", torch.ones(num_centroids))
        self.register_buffer("assignment", chosen)
        self.register_buffer("node_counts", self._counted(chosen))

    def _counted(self, assignment: Tensor) -> Tensor:
        known = assignment[assignment >= 0].long()
        return torch.bincount(known, minlength=self.centroids.shape[0])

    def rows(self) -> Tensor:
        """The centroids in the dimensions of the vectors that were given (C, dim)."""
        mean, deviation = self._moments()
        return self.centroids * deviation + mean

    def log_counts(self) -> Tensor:
        """log of the number of nodes of each centroid: -inf for none, and all zero while no node is assigned."""
        counts = self.node_counts.float()
        return torch.where(counts.sum() > 0, torch.log(counts), torch.zeros_like(counts))

    @torch.no_grad()
    def update(self, vectors: Tensor, nodes: Tensor) -> None:
        """Assign the nodes of a batch by their vectors (B, dim), and move the centroids."""
        moved = self._normalised(vectors)
        nearest = self.nearest(moved)
        number = self.centroids.shape[0]
        count = torch.bincount(nearest, minlength=number).to(moved.dtype)
        total = torch.zeros_like(self.sums).index_add_(0, nearest, moved)
        self.counts.mul_(1 - self.momentum).add_(count, alpha=self.momentum)
        self.sums.mul_(1 - self.momentum).add_(total, alpha=self.momentum)
        whole = self.counts.sum()
        smooth = (self.counts + _SMOOTH) / (whole + number * _SMOOTH) * whole
        self.centroids.copy_(self.sums / smooth[:, None])
        self._assign(nodes, nearest)

    @torch.no_grad()
    def fit(self, vectors: Tensor, nodes: Tensor) -> None:
        """Begin with k-means of vectors (n, dim) of some nodes, which are assigned.

        Where there are fewer vectors than centroids, the others keep their random places without nodes.
        """
        if vectors.shape[0] == 0:
            raise InvalidInput("a codebook needs the vectors of at least one node to begin with")
        variance, mean = torch.var_mean(vectors, 0, unbiased=False)
        for average, now in zip(self._averages(), (mean, variance), strict=True):
            average.copy_(now)
        moved = ((vectors - mean) / torch.sqrt(variance + self.norm.eps)).cpu().numpy()
        number = min(self.centroids.shape[0], moved.shape[0])
        rng = generator(self.seed, Purpose.CODEBOOK, "k-means")
        found = kmeans(np.ascontiguousarray(moved), number, rng, kernel_threads())
        self.centroids[:number] = torch.from_numpy(found).to(self.centroids)
        nearest = self.nearest(torch.from_numpy(moved).to(self.centroids))
        count = torch.bincount(nearest, minlength=self.centroids.shape[0]).to(self.centroids)
        self.counts.copy_(count * (self.counts.shape[0] / nodes.shape[0]))  # one per centroid, as without k-means
        self.sums.copy_(self.centroids * self.counts[:, None])
        self._assign(nodes, nearest)

    @torch.no_grad()
    def distortion(self, vectors: Tensor) -> tuple[float, float]:
        """Mean squared distance of normalised vectors from their centroid, and from that of k-means on them."""
        mean, deviation = self._moments()
        moved = (vectors - mean) / deviation
        given = np.ascontiguousarray(moved.cpu().numpy())
        rng = generator(self.seed, Purpose.CODEBOOK, "k-means")
        best = kmeans(given, min(self.centroids.shape[0], given.shape[0]), rng, kernel_threads())
        return float(_nearest(self.centroids.cpu().numpy(), given)[0].mean()), float(_nearest(best, given)[0].mean())

    def nearest(self, vectors: Tensor) -> Tensor:
        """The nearest centroid of each normalised vector, int64 (B,)."""
        if vectors.device.type != "cpu":
            return torch.cdist(vectors, self.centroids).argmin(1)
        return torch.from_numpy(_nearest(self.centroids.numpy(), vectors.contiguous().numpy())[1].astype(np.int64))

    def _moments(self) -> tuple[Tensor, Tensor]:
        """Moving mean and deviation of the vectors."""
        mean, variance = self._averages()
        return mean, torch.sqrt(variance + self.norm.eps)

    def _averages(self) -> tuple[Tensor, Tensor]:
        """Moving mean and variance."""
        return self.norm.get_buffer("running_mean"), self.norm.get_buffer("running_var")

    def _normalised(self, vectors: Tensor) -> Tensor:
        self.norm.train(vectors.shape[0] > 1)
        moved: Tensor = self.norm(vectors)
        return moved

    def _assign(self, nodes: Tensor, nearest: Tensor) -> None:
        named = torch.unique(nodes)  # a batch may name a node twice
        before = self.assignment[named].long()
        number = self.node_counts.shape[0]
        self.node_counts -= torch.bincount(before[before >= 0], minlength=number)
        self.assignment[nodes] = nearest.to(self.assignment.dtype)
        self.node_counts += torch.bincount(self.assignment[named].long(), minlength=number)


def _nearest(
    centroids: NDArray[np.float32], rows: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Squared distances and numbers of the nearest centroids, by the library's exact scan."""
    ones = np.ones(max(1, len(rows)), np.float32)
    near, found, _ = nearest_rows(
        floats(centroids, ones[:1], L2), rows, ones, 1, allowed=None, num_rows=len(centroids), threads=kernel_threads()
    )
    return near[:, 0], found[:, 0]
