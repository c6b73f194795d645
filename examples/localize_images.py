"""Where was a photograph taken? Images that show the same place are found by their descriptors, and tell the camera.

Every image of a scene asks for the others, itself left out: CANN ranks them, and is compared with exact scores and
with VLAD and ASMK (aggregated descriptors). Recall@k is the share of the k images of largest true overlap (from the
cameras' poses) among the k found. The pose is guessed by the barycentre of the three best images (EWB), and, where
OpenCV is installed (`pip install nearhop[images]`), computed by PnP from the points that matched features show.

`python examples/localize_images.py --html found.html`. Scenes: herz-jesus-p25 and entry-p10 (Strecha et al., CVPR 2008)
and kermit (photographs, needs OpenCV), in the folder `cann` of `--folder`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from _aggregation import Asmk, Vlad
from _localize_page import page
from _report import Row, note, parser, show
from _scenes import Scene, kermit, overlaps, strecha

from nearhop.ann import CANN
from nearhop.ann.ivf.kmeans import kmeans

K = 5
LEVELS = ((0.05, 0.5), (0.25, 2.0), (0.5, 5.0), (5.0, 10.0))  # metres and degrees; the first is for small scenes


def recall(found: np.ndarray, overlap: np.ndarray, k: int) -> float:
    """The mean share of the k images of largest overlap among the k found."""
    best = np.argsort(-overlap, axis=1, kind="stable")[:, :k]
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(found[:, :k].tolist(), best.tolist(), strict=True)]))


def aggregated(scene: Scene, seed: int, short: bool) -> dict[str, np.ndarray]:
    """Images by VLAD and by ASMK over vocabularies of the scene, itself left out."""
    rows = np.concatenate(scene.descriptors).astype(np.float32)
    rng = np.random.default_rng(seed)
    sample = rows[rng.choice(len(rows), min(len(rows), 20_000), replace=False)]
    few, many = (8, 32) if short else (64, 1024)
    table = Vlad(kmeans(sample, few, rng, None)).table(scene.descriptors)
    form = Asmk(kmeans(sample, many, rng, None)).index(scene.descriptors)
    alike = {"VLAD": table @ table.T, "ASMK": np.stack([form.scores(part) for part in scene.descriptors])}
    for scores in alike.values():
        np.fill_diagonal(scores, -np.inf)
    return {name: np.argsort(-scores, axis=1, kind="stable")[:, :K] for name, scores in alike.items()}


def barycentre(scene: Scene, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of some cameras: centres, and the rotation nearest to the mean of rotations."""
    left, _, right = np.linalg.svd(scene.R[found].mean(axis=0))
    return left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right, scene.C[found].mean(axis=0)


def solved(scene: Scene, image: int, result, place: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The pose by PnP from all matches with the images found; None without enough of them."""
    import cv2

    flat, space = [], []
    for i, other in enumerate(result.colors[place].tolist()):
        features, points, _ = result.matches[place, i]
        shown = scene.sees[other][points] if other >= 0 else np.empty(0, int)
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


def run(scene: Scene, radius: float, seeds: int, threads: int | None, short: bool) -> tuple[list[Row], Any]:
    truth, others = overlaps(scene), ~np.eye(len(scene), dtype=bool)
    rows: list[Row] = []
    result: Any = None
    for method in ("exact", "range", "grids"):
        tops = []
        for seed in range(1 if method != "grids" else seeds):
            index = CANN("l2", radius, method=method, seed=seed, threads=threads)
            index.add(scene.descriptors, colors=np.arange(len(scene)))
            result = index.search(scene.descriptors, K, filter=others)
            tops.append(result.colors)
        rows += [Row.of(scene.name, f"CANN {method}, recall@{k}", [recall(top, truth, k) for top in tops])
                 for k in (3, 5)]  # fmt: skip
    words = [aggregated(scene, seed, short) for seed in range(seeds)]
    rows += [Row.of(scene.name, f"{name}, recall@{k}", [recall(tops[name], truth, k) for tops in words])
             for name in words[0] for k in (3, 5)]  # fmt: skip
    rows += located("EWB of 3", scene, [barycentre(scene, top[:3]) for top in result.colors])
    try:
        import cv2  # noqa: F401
    except ImportError:
        note("OpenCV is not installed: no PnP (pip install nearhop[images])")
    else:
        rows += located("PnP", scene, [solved(scene, image, result, image) for image in range(len(scene))])
    return rows, result


def main() -> None:
    arguments = parser(
        __doc__, datasets=["herz-jesus-p25", "entry-p10"], choices=["herz-jesus-p25", "entry-p10", "kermit"], seeds=3
    )
    arguments.add_argument("--folder", type=Path, default=Path(os.environ.get("NEARHOP_DATA", "../shared/data")))
    arguments.add_argument(
        "--radius", type=float, default=200, help="distance from which descriptors count for nothing"
    )
    arguments.add_argument("--html", type=Path, help="write a page of queries, images found and matches")
    given = arguments.parse_args()
    rows, pages, most = [], [], 150 if given.short else None
    for name in given.datasets:
        folder = given.folder / "cann"
        scene = kermit(folder, most) if name == "kermit" else strecha(folder, name, most)
        found, result = run(scene, given.radius, given.seeds, given.threads, given.short)
        rows += found
        pages.append((scene, result))
    if given.html is not None:
        given.html.write_text(page(pages), encoding="utf-8")
        note(f"wrote {given.html}")
    show(rows, as_json=given.json)


if __name__ == "__main__":
    main()
