"""The vectors that the benchmarks of nearest neighbours search."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np

from nearhop.tests.support import data_folder

K = 10


def dataset(name: str, rows: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Vectors, queries and metric."""
    if name == "generated":
        made = generated(rows + 2000)
        return made[2000:], made[:2000], "l2"
    folder = data_folder()
    if folder is None:
        raise SystemExit(f"{name} needs the data folder: set NEARHOP_DATA")
    if name == "mnist":
        train, test = (_images(folder / f"ann/mnist-{part}-images-idx3-ubyte.gz") for part in ("train", "t3k"))
        return train, test, "l2"
    if name in ("minilm", "minilm-ood"):
        held = np.load(folder / "ann/minilm-100k.npz")
        asked = held["queries" if name == "minilm" else "ood"]
        return held["base"].astype(np.float32), asked.astype(np.float32), "l2"
    if name == "sift":
        points, held = np.load(folder / "cann/herz-jesus-p25.npz")["desc"].astype(np.float32), 2500
    else:
        with gzip.open(folder / "ann/glove-twitter-25d.txt.gz", "rt") as lines:
            points, held = np.array([line.split()[-25:] for line in lines], np.float32), 1000
    order = np.random.default_rng(0).permutation(len(points))
    return points[order[held:]], points[order[:held]], "cosine" if name == "glove" else "l2"


def _images(path: Any) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype(np.float32)


def mnist_labels() -> np.ndarray:
    """The digit of every row of `mnist`."""
    folder = data_folder()
    assert folder is not None
    raw = gzip.decompress((folder / "ann/mnist-train-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(raw, np.uint8, offset=8)


def generated(rows: int, dim: int = 128, latent: int = 16, hidden: int = 256) -> np.ndarray:
    """A smooth surface of `latent` dimensions, folded by a random network, with noise."""
    rng = np.random.default_rng(0)
    inner = (4 * rng.normal(size=(latent, hidden)) / np.sqrt(latent)).astype(np.float32)
    outer = (rng.normal(size=(hidden, dim)) / np.sqrt(hidden)).astype(np.float32)
    out = np.empty((rows, dim), np.float32)
    for start in range(0, rows, 50_000):
        part = out[start : start + 50_000]
        inside = rng.normal(size=(len(part), latent)).astype(np.float32)
        part[:] = np.tanh(inside @ inner) @ outer + 0.02 * rng.normal(size=part.shape).astype(np.float32)
    return out


def local_dimension(distances: np.ndarray) -> float:
    """Levina and Bickel's estimate from squared distances to the nearest rows."""
    radii = np.sqrt(np.maximum(distances, 1e-12))
    return float(np.mean(-1 / np.log(radii[:, :-1] / radii[:, -1:]).mean(axis=1)))
