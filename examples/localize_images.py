"""Where was a photograph taken? Images that show the same place are found by their descriptors, and tell the camera.

Every image of a scene asks for the others, itself left out: CANN ranks them, and is compared with exact scores and
with VLAD and ASMK (aggregated descriptors). Recall@k is the share of the k images of largest true overlap (from the
cameras' poses) among the k found; images without overlap are not looked for. The pose is guessed by the barycentre of
the three best images (EWB), and, where OpenCV is installed (`pip install nearhop[images]`), computed by PnP from the
points that matched features show. With OpenCV the first images are also verified: put in a new order by how many of
their matches agree with one geometry, and by how much of the pictures these cover. CANN tells the matches; for VLAD and
ASMK all descriptors of either image are compared. With `--elsewhere` all that is tuned or learned, CANN's radius and
shape and the words of VLAD and ASMK, comes from the other scenes named; else radius and shape are given, and words the
scene's own. Milliseconds are of processor time, per image that asks.

`python examples/localize_images.py --html found.html`. Scenes: herz-jesus-p25 and entry-p10 (Strecha et al., CVPR 2008)
and kermit (photographs, needs OpenCV), in the folder `cann` of `--folder`.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _aggregation import Asmk, Vlad
from _localize_page import page
from _report import Row, note, parser, positive, show
from _scenes import Scene, kermit, overlaps, strecha
from _verify import MEASURES, Verified, mutual, verified

from nearhop.ann import CANN
from nearhop.ann.cann.scoring import DEFAULT_SHAPE
from nearhop.ann.ivf.kmeans import kmeans

K = 5
LEVELS = ((0.05, 0.5), (0.25, 2.0), (0.5, 5.0), (5.0, 10.0))  # metres and degrees; the first is for small scenes


def largest(overlap: np.ndarray, k: int) -> list[np.ndarray]:
    """Per image the k that overlap with it most; fewer where fewer do at all."""
    best = np.argsort(-overlap, axis=1, kind="stable")[:, :k]
    return [row[overlap[image, row] > 0] for image, row in enumerate(best)]


def recall(found: np.ndarray, overlap: np.ndarray, k: int) -> float:
    """The mean share of the k images of largest overlap among the k found; images that overlap with none are not asked
    for."""
    pairs = zip(found[:, :k].tolist(), largest(overlap, k), strict=True)
    return float(np.mean([len(set(top) & set(best.tolist())) / len(best) for top, best in pairs if len(best)]))


def tuned_on(scenes: list[Scene], threads: int | None) -> tuple[float, float]:
    """Radius and shape that put the K images of largest overlap first in these scenes, each among its own images."""
    index, queries, answers, allowed = CANN("l2", method="exact", threads=threads), [], [], []
    first, total = 0, sum(map(len, scenes))
    for scene in scenes:
        index.add(scene.descriptors, colors=np.arange(first, first + len(scene)))
        for image, best in enumerate(largest(overlaps(scene), K)):
            if len(best):
                mask = np.zeros(total, bool)
                mask[first : first + len(scene)] = True
                mask[first + image] = False
                queries.append(scene.descriptors[image])
                answers.append(best + first)
                allowed.append(mask)
        first += len(scene)
    told = index.tune(queries, answers, filter=np.stack(allowed))
    return told.radius, told.shape


def aggregated(
    scene: Scene, taught_by: list[Scene], words: tuple[int, int], seed: int, most: int
) -> dict[str, tuple[np.ndarray, float]]:
    """Images by VLAD and by ASMK over vocabularies of some scenes, itself left out, and milliseconds a query."""
    rows = np.concatenate([part for one in taught_by for part in one.descriptors]).astype(np.float32)
    rng = np.random.default_rng(seed)
    sample = rows[rng.choice(len(rows), min(len(rows), 20_000), replace=False)]
    few, many = words
    vlad = Vlad(kmeans(sample, few, rng, None))
    table = vlad.table(scene.descriptors)
    asmk = Asmk(kmeans(sample, many, rng, None)).index(scene.descriptors)
    asmk.scores(scene.descriptors[0])  # compiles
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "VLAD": lambda rows: table @ vlad.of(rows),
        "ASMK": asmk.scores,
    }
    found = {}
    for name, scores_of in ways.items():
        begin = time.process_time()
        scores = np.stack([scores_of(part) for part in scene.descriptors])
        milliseconds = (time.process_time() - begin) * 1000 / len(scene)
        np.fill_diagonal(scores, -np.inf)
        order = np.argsort(-scores, axis=1, kind="stable")
        found[name] = order[:, : min(most, len(scene) - 1)], milliseconds
    return found


def barycentre(scene: Scene, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of some cameras: centres, and the rotation nearest to the mean of rotations."""
    left, _, right = np.linalg.svd(scene.R[found].mean(axis=0))
    return left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right, scene.C[found].mean(axis=0)


def solved(scene: Scene, image: int, result, place: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The pose by PnP from all matches with the K best images; None without enough of them."""
    import cv2

    flat, space = [], []
    for i, other in enumerate(result.colors[place, : min(K, result.counts[place])].tolist()):
        features, points, _ = result.matches[place, i]
        shown = scene.sees[other][points]
        flat.append(scene.places[image][features[shown >= 0]])
        space.append(scene.points[shown[shown >= 0]])
    pixels, points_seen = np.concatenate(flat).astype(np.float64), np.concatenate(space)
    if len(pixels) < 6:
        return None
    cv2.setRNGSeed(0)
    reach = 8 * scene.sizes[image][0] / 3072  # pixels
    good, turn, shift, inliers = cv2.solvePnPRansac(
        points_seen, pixels, scene.K[image], None, iterationsCount=5000, reprojectionError=reach,
        confidence=0.9999, flags=cv2.SOLVEPNP_EPNP,
    )  # fmt: skip
    if not good or inliers is None or len(inliers) < 6:
        return None
    kept = inliers.ravel()
    turn, shift = cv2.solvePnPRefineLM(points_seen[kept], pixels[kept], scene.K[image], None, turn, shift)
    rotation = cv2.Rodrigues(turn)[0]
    return rotation, (-rotation.T @ shift).ravel()


def errors(scene: Scene, image: int, pose: tuple[np.ndarray, np.ndarray] | None) -> tuple[float, float]:
    """Metres and degrees between a pose and the true one; infinite where there is none."""
    if pose is None:
        return np.inf, np.inf
    angle = np.degrees(np.arccos(np.clip((np.trace(pose[0] @ scene.R[image].T) - 1) / 2, -1, 1)))
    return float(np.linalg.norm(pose[1] - scene.C[image])), float(angle)


def located(name: str, scene: Scene, poses: list) -> list[Row]:
    """Shares of images within each level, and the median errors."""
    off = np.array([errors(scene, image, pose) for image, pose in enumerate(poses)])
    rows = [
        Row(scene.name, f"{name}, within {metres:g} m and {degrees:g} degrees",
            float(((off[:, 0] <= metres) & (off[:, 1] <= degrees)).mean()))
        for metres, degrees in LEVELS
    ]  # fmt: skip
    if scene.apart.any():
        strict = (off[:, 0] <= LEVELS[0][0]) & (off[:, 1] <= LEVELS[0][1])
        what = f"{name}, images that no point was made from, within {LEVELS[0][0]:g} m and {LEVELS[0][1]:g} degrees"
        rows.append(Row(scene.name, what, float(strict[scene.apart].mean())))
    median = np.median(off, axis=0)
    return [*rows, Row(scene.name, f"{name}, median metres", float(median[0])),
            Row(scene.name, f"{name}, median degrees", float(median[1]))]  # fmt: skip


def with_recall(scene: Scene, name: str, runs: list[np.ndarray], truth: np.ndarray) -> list[Row]:
    """Rows of recall at 3 and at 5, over runs with seeds of their own."""
    return [Row.of(scene.name, f"{name}, recall@{k}", [recall(found, truth, k) for found in runs]) for k in (3, 5)]


def with_verified(scene: Scene, name: str, runs: list[Verified], truth: np.ndarray) -> list[Row]:
    """Rows of images verified by either measure, and of what that took."""
    rows = []
    for measure in MEASURES:
        rows += with_recall(scene, f"{name}, verified by {measure}", [run.found[measure] for run in runs], truth)
    return [
        *rows,
        Row.of(scene.name, f"{name}, matching, ms", [run.matching_ms for run in runs]),
        Row.of(scene.name, f"{name}, verifying, ms", [run.verifying_ms for run in runs]),
    ]


def searched(
    scene: Scene, method: str, seed: int, rule: tuple[float, float], most: int, given: Any
) -> tuple[Any, float]:
    """What an index of CANN finds for every image, itself left out, and milliseconds a query."""
    index = CANN(
        "l2", rule[0], shape=rule[1], method=method, num_grids=given.num_grids, candidates=given.candidates,  # type: ignore[arg-type]
        seed=seed, threads=given.threads,
    )  # fmt: skip
    index.add(scene.descriptors, colors=np.arange(len(scene)))
    index.search(scene.descriptors[0], 1)  # compiles
    begin = time.process_time()
    result = index.search(scene.descriptors, min(most, len(scene) - 1), filter=~np.eye(len(scene), dtype=bool))
    return result, (time.process_time() - begin) * 1000 / len(scene)


def run(scene: Scene, elsewhere: list[Scene], given: Any) -> tuple[list[Row], Any, Verified | None]:
    """Everything about one scene; what is learned comes from the scenes `elsewhere`, if any."""
    truth, seeds, most = overlaps(scene), range(given.seeds), max(K, given.verify)
    verifies = given.verify > 0 and has_opencv()
    rows: list[Row] = []
    result: Any = None
    checked: list[Verified] = []
    rule = given.radius, given.shape
    if elsewhere:
        rule = tuned_on(elsewhere, given.threads)
        rows += [
            Row(scene.name, "radius, tuned elsewhere", rule[0]),
            Row(scene.name, "shape, tuned elsewhere", rule[1]),
        ]

    def of_result(result: Any, image: int, other: int) -> tuple[np.ndarray, np.ndarray]:
        return result.pairs(other, image, one_to_one=given.pairs == "one-to-one")[:2]

    def compared(image: int, other: int) -> tuple[np.ndarray, np.ndarray]:
        return mutual(scene.descriptors[image], scene.descriptors[other])

    for method in ("exact", "range", "grids"):
        found = [searched(scene, method, seed, rule, most, given) for seed in (seeds if method == "grids" else [0])]
        result = found[-1][0]
        rows += with_recall(scene, f"CANN {method}", [one.colors for one, _ in found], truth)
        rows.append(Row.of(scene.name, f"CANN {method}, search, ms", [taken for _, taken in found]))
        if verifies:
            checked = [
                verified(scene, one.colors, given.verify, functools.partial(of_result, one), seed)
                for seed, one in zip(seeds, itertools.cycle(one for one, _ in found))
            ]
            rows += with_verified(scene, f"CANN {method}", checked, truth)
    words = (8, 32) if given.short else tuple(given.words)
    aggregates = [aggregated(scene, elsewhere or [scene], words, seed, most) for seed in seeds]
    for name in aggregates[0]:
        rows += with_recall(scene, name, [one[name][0] for one in aggregates], truth)
        rows.append(Row.of(scene.name, f"{name}, search, ms", [one[name][1] for one in aggregates]))
        if verifies:
            those = [verified(scene, one[name][0], given.verify, compared, s) for s, one in enumerate(aggregates)]
            rows += with_verified(scene, name, those, truth)
    rows += located("EWB of 3", scene, [barycentre(scene, top[:3]) for top in result.colors])
    if has_opencv():
        rows += located("PnP", scene, [solved(scene, image, result, image) for image in range(len(scene))])
    return rows, result, checked[-1] if checked else None


def has_opencv() -> bool:
    return importlib.util.find_spec("cv2") is not None


def main() -> None:
    arguments = parser(
        __doc__, datasets=["herz-jesus-p25", "entry-p10"], choices=["herz-jesus-p25", "entry-p10", "kermit"], seeds=3
    )
    arguments.add_argument("--folder", type=Path, default=Path(os.environ.get("NEARHOP_DATA", "../shared/data")))
    arguments.add_argument(
        "--radius", type=float, default=200, help="distance from which descriptors count for nothing"
    )
    arguments.add_argument("--shape", type=float, default=DEFAULT_SHAPE, help="how the score falls up to the radius")
    arguments.add_argument("--num-grids", type=positive, default=40)
    arguments.add_argument(
        "--candidates", type=positive, default=64, help="points that grids look at per feature and grid"
    )
    arguments.add_argument("--words", type=positive, nargs=2, default=(64, 1024), help="of VLAD and of ASMK")
    arguments.add_argument("--elsewhere", action="store_true", help="learn and tune on the other scenes named")
    arguments.add_argument("--verify", type=int, default=10, help="how many of the images found; 0 for none")
    arguments.add_argument(
        "--pairs", choices=["one-to-one", "all"], default="one-to-one",
        help="matches of CANN that are verified: of those that met one point the nearest, or all",
    )  # fmt: skip
    arguments.add_argument("--html", type=Path, help="write a page of queries, images found and matches")
    given = arguments.parse_args()
    rows, pages, most, folder = [], [], 150 if given.short else None, given.folder / "cann"
    scenes = [kermit(folder, most) if name == "kermit" else strecha(folder, name, most) for name in given.datasets]
    if given.elsewhere and len(scenes) < 2:
        raise SystemExit("--elsewhere needs another scene to learn from: --datasets herz-jesus-p25 entry-p10")
    if not has_opencv():
        note("OpenCV is not installed: nothing is verified, and no PnP (pip install nearhop[images])")
    for scene in scenes:
        found, *shown = run(scene, [one for one in scenes if given.elsewhere and one is not scene], given)
        rows += found
        pages.append((scene, *shown))
    if given.html is not None:
        given.html.write_text(page(pages), encoding="utf-8")
        note(f"wrote {given.html}")
    show(rows, as_json=given.json)


if __name__ == "__main__":
    main()
