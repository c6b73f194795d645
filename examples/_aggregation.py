"""Images as aggregates of their descriptors over a vocabulary: what searches by descriptor are compared with."""

from __future__ import annotations

import numba
import numpy as np

_TINY = 1e-12


class Vocabulary:
    """Words, and what an image's descriptors leave over beside their nearest ones."""

    def __init__(self, words: np.ndarray) -> None:
        self.words, self.half = words, (words**2).sum(axis=1) / 2

    def residuals(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The words that are met, ascending, and per word the sum of its residuals, of length 1."""
        rows = rows.astype(np.float32)
        nearest = np.argmax(rows @ self.words.T - self.half, axis=1)
        met, place = np.unique(nearest, return_inverse=True)
        sums = np.zeros((len(met), rows.shape[1]), np.float32)
        np.add.at(sums, place, rows - self.words[nearest])
        return met, sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _TINY)


class Vlad(Vocabulary):
    """Vectors of locally aggregated descriptors (Jegou et al., CVPR 2010): the residuals of all words as one vector.

    Words are normalised one by one, then square roots are taken.
    """

    def of(self, rows: np.ndarray) -> np.ndarray:
        met, sums = self.residuals(rows)
        flat = np.zeros_like(self.words)
        flat[met] = np.sign(sums) * np.sqrt(np.abs(sums))
        return flat.ravel() / max(float(np.linalg.norm(flat)), _TINY)

    def table(self, images: list[np.ndarray]) -> np.ndarray:
        return np.stack([self.of(rows) for rows in images])


class Asmk(Vocabulary):
    """The aggregated selective match kernel (Tolias, Avrithis and Jegou, IJCV 2016) over an inverted file.

    Two images score the sum over the words of both of max(0, cosine of their residuals)^3, over the root of their
    numbers of words. Residuals are kept as they are, and every descriptor goes to one word.
    """

    def index(self, images: list[np.ndarray]) -> Asmk:
        """Take these images for those that are found."""
        parts = [self.residuals(rows) for rows in images]
        words = np.concatenate([part[0] for part in parts])
        of = np.repeat(np.arange(len(images)), [len(part[0]) for part in parts])
        order = np.argsort(words, kind="stable")
        self.starts = np.searchsorted(words[order], np.arange(len(self.words) + 1))
        self.of_entry, self.entries = of[order], np.concatenate([part[1] for part in parts])[order]
        self.sizes = np.sqrt(np.bincount(of, minlength=len(images)))
        return self

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Of every indexed image."""
        met, sums = self.residuals(rows)
        out = np.zeros(len(self.sizes))
        _matched(met, sums, self.starts, self.of_entry, self.entries, out)
        return out / np.maximum(self.sizes * np.sqrt(len(met)), _TINY)


@numba.njit(cache=True, fastmath=True)
def _matched(met, sums, starts, of_entry, entries, out):
    for i in range(len(met)):
        own = sums[i]
        for entry in range(starts[met[i]], starts[met[i] + 1]):
            other, cosine = entries[entry], np.float32(0)
            for j in range(own.shape[0]):
                cosine += own[j] * other[j]
            if cosine > 0:
                out[of_entry[entry]] += cosine * cosine * cosine


__all__ = ["Asmk", "Vlad", "Vocabulary"]
