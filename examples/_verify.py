"""Images that were found, verified: is there one geometry of two cameras that their matches agree with?

Needs OpenCV. A fundamental matrix is estimated from the matches with every image (RANSAC with local optimisation); the
matches within a few pixels of their epipolar lines are its inliers. Images are put in order by how many there are, or
by how much of both pictures they cover: of a raster of square cells, twelve over the longer side, those that hold one,
in the picture that has fewer (compare the effective inliers of Irschara et al., CVPR 2009). An image with fewer than 20
inliers is not verified, and keeps its place among those below. Set of matches, reach, raster and ratio were chosen on
herz-jesus-p25 and kermit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from _scenes import Scene

ENOUGH = 20  # inliers of an image that counts as verified
REACH = 8 / 3072  # of an epipolar line, in widths of the image
RASTER = 12  # cells over the longer side
RATIO = 0.9  # of the distances of the nearest and the second descriptor, for matches of `mutual`

Pairs = tuple[np.ndarray, np.ndarray]  # features of one image, and those of the other that they met
Matched = dict[tuple[int, int], Pairs]


def mutual(one: np.ndarray, other: np.ndarray) -> Pairs:
    """Descriptors that are each other's nearest, and nearer than the second by the ratio; all are compared."""
    one, other = one.astype(np.float32), other.astype(np.float32)
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * (one @ other.T)
    rows, nearest, back = np.arange(len(one)), squared.argmin(axis=1), squared.argmin(axis=0)
    best = squared[rows, nearest]
    squared[rows, nearest] = np.inf
    kept = (back[nearest] == rows) & (best < RATIO**2 * squared.min(axis=1))
    return rows[kept], nearest[kept]


def matched(found: np.ndarray, first: int, pairs: Callable[[int, int], Pairs]) -> Matched:
    """The matches of every image with the first of those found for it; -1 stands for none."""
    return {
        (image, other): pairs(image, other)
        for image, row in enumerate(found[:, :first].tolist())
        for other in row
        if other >= 0
    }


def consistent(scene: Scene, matches: Matched, seed: int) -> Matched:
    """Of the matches of every two images those that agree with one geometry."""
    import cv2

    kept: Matched = {}
    for (image, other), (features, points) in matches.items():
        inside = np.zeros(len(features), bool)
        if len(features) >= ENOUGH:
            rule = cv2.UsacParams()
            rule.threshold, rule.confidence = REACH * float(scene.sizes[image][0]), 0.999
            rule.maxIterations, rule.randomGeneratorState = 2000, seed
            left, right = scene.places[image][features], scene.places[other][points]
            _, mask = cv2.findFundamentalMat(left.astype(np.float64), right.astype(np.float64), rule)
            if mask is not None and np.count_nonzero(mask) >= ENOUGH:
                inside = mask.ravel() > 0
        kept[image, other] = features[inside], points[inside]
    return kept


def cells(scene: Scene, image: int, features: np.ndarray) -> int:
    """How many cells of the raster over an image hold one of some features."""
    side = float(max(scene.sizes[image])) / RASTER
    return len(np.unique((scene.places[image][features] // side).astype(int), axis=0))


def inliers(scene: Scene, image: int, other: int, pairs: Pairs) -> int:
    """How many matches agree."""
    return len(pairs[0])


def coverage(scene: Scene, image: int, other: int, pairs: Pairs) -> int:
    """How much of either picture they cover."""
    return min(cells(scene, image, pairs[0]), cells(scene, other, pairs[1]))


MEASURES = {"inliers": inliers, "coverage": coverage}


def reordered(
    scene: Scene, found: np.ndarray, agreed: Matched, measure: Callable[[Scene, int, int, Pairs], int]
) -> np.ndarray:
    """Images found, those of `agreed` first and in the order of a measure; equal ones, and the others, as they were."""
    told = np.array([
        [-measure(scene, i, j, agreed[i, j]) if (i, j) in agreed else 1 for j in row]
        for i, row in enumerate(found.tolist())
    ])  # fmt: skip
    return np.take_along_axis(found, np.argsort(told, axis=1, kind="stable"), axis=1)


class Verified(NamedTuple):
    """What verification made of images found.

    `found` holds images in their new order, by measure; `agreed` the matches that agree; milliseconds are of processor
    time, per image that asked.
    """

    found: dict[str, np.ndarray]
    agreed: Matched
    matching_ms: float
    verifying_ms: float


def verified(scene: Scene, found: np.ndarray, first: int, pairs: Callable[[int, int], Pairs], seed: int) -> Verified:
    """The first images found for every image, in a new order."""
    begin = time.process_time()
    matches = matched(found, first, pairs)
    between = time.process_time()
    agreed = consistent(scene, matches, seed)
    anew = {name: reordered(scene, found, agreed, measure) for name, measure in MEASURES.items()}
    ended, share = time.process_time(), 1000 / len(scene)
    return Verified(anew, agreed, (between - begin) * share, (ended - between) * share)


__all__ = ["MEASURES", "Verified", "mutual", "verified"]
