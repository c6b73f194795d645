"""The encoder without downloads: hashed character 3-grams, learned weights of grams, and a small network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...graphlib.compute.streams import Purpose, generator
from ..ngrams.grams import Grams

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class NGramEncoder(nn.Module):
    """Sums of fixed random vectors of 3-grams, each times a learned weight, and a network that adds to the sum.

    Weights begin as the rarity of the grams in the tables that training sees, and the network as nothing: an encoder
    that has learned nothing yet gives (nearly) the cosines of TF-IDF.
    """

    signs: Tensor
    learning_rate = 1e-3
    batch_size = 64

    def __init__(self, dim: int = 512, hidden: int = 512, bits: int = 16, seed: int = 0) -> None:
        super().__init__()
        self.bits = bits
        self.grams = Grams()
        self.weights = nn.Parameter(torch.zeros(1 << bits))
        last = nn.Linear(hidden, dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), last)
        signs = generator(seed, Purpose.PROJECTION_SIGNS).integers(0, 2, (1 << bits, dim), np.int8) * 2 - 1
        self.register_buffer(
            "signs", torch.from_numpy(signs.astype(np.float32) / np.float32(np.sqrt(dim))), persistent=False
        )

    def prepare(self, texts: list[str]) -> None:
        """Take the rarity of grams in these texts for the weights."""
        buckets, starts = self._buckets(texts)
        rows = np.repeat(np.arange(len(texts)), np.diff(starts))
        once = np.unique(rows * (1 << self.bits) + buckets) & ((1 << self.bits) - 1)
        frequency = np.bincount(once, minlength=1 << self.bits)
        idf = np.log((1 + len(texts)) / (1 + frequency)) + 1
        with torch.no_grad():
            self.weights.copy_(torch.from_numpy(np.log(idf).astype(np.float32)))

    def forward(self, texts: list[str]) -> Tensor:
        """Vectors of length 1, (texts, dim)."""
        buckets, starts = self._buckets(texts)
        which = torch.from_numpy(buckets)
        summed = nn.functional.embedding_bag(
            which, self.signs, torch.from_numpy(starts[:-1].copy()), mode="sum",
            per_sample_weights=self.weights[which].exp(),
        )  # fmt: skip
        plain = nn.functional.normalize(summed, dim=1)
        return nn.functional.normalize(plain + self.network(plain), dim=1)

    def _buckets(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        keys, starts = self.grams._keys(texts, 1)
        return ((keys * _GOLDEN) >> np.uint64(64 - self.bits)).astype(np.int64), starts


__all__ = ["NGramEncoder"]
