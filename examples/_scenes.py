"""Scenes of photographs with known cameras: features, poses, and which feature sees which point in space."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Scene:
    """Images with features and cameras; a point X appears at K R (X - C).

    `sees[i]` holds, per feature of image i, the number of the point in space that it shows, or -1. Images of `apart`
    had no part in making these points.
    """

    name: str
    names: list[str]
    descriptors: list[np.ndarray]  # uint8 (features, 128)
    places: list[np.ndarray]  # float (features, 2), in pixels
    K: np.ndarray
    R: np.ndarray
    C: np.ndarray
    sizes: np.ndarray  # width and height
    points: np.ndarray
    sees: list[np.ndarray]
    apart: np.ndarray
    photos: list[Path | None]

    def __len__(self) -> int:
        return len(self.names)


def strecha(folder: Path, name: str, most: int | None = None) -> Scene:
    """Herz-Jesus-P25 or entry-P10 (Strecha et al., CVPR 2008) as an .npz of SIFT features and true cameras."""
    kept = np.load(folder / f"{name}.npz", allow_pickle=False)
    bounds = kept["kp_offset"]
    parts = [slice(a, b if most is None else min(b, a + most)) for a, b in itertools.pairwise(bounds)]
    sees = [np.full(part.stop - part.start, -1) for part in parts]
    for point, image, feature in zip(kept["obs_point"], kept["obs_image"], kept["obs_kp"], strict=True):
        if feature < len(sees[image]):
            sees[image][feature] = point
    return Scene(
        name, [str(one) for one in kept["names"]], [kept["desc"][part] for part in parts],
        [kept["kp_xy"][part] for part in parts], kept["K"], kept["R"], kept["C"], kept["wh"], kept["points3D"], sees,
        kept["is_query"], [None] * len(parts),
    )  # fmt: skip


def kermit(folder: Path, most: int | None = None) -> Scene:
    """The photographs of the toy that have a camera in its Bundler model; SIFT features are taken with OpenCV."""
    import cv2

    words = iter((folder / "kermit" / "bundle.out").read_text().split("\n", 1)[1].split())
    number = lambda count: np.array([float(next(words)) for _ in range(count)])  # noqa: E731
    cameras, points = int(next(words)), int(next(words))
    flip, K, R, C = np.diag([1.0, -1, -1]), [], [], []
    photos = [folder / "kermit" / f"kermit{i:03d}.jpg" for i in range(cameras)]
    pictures = [_grey(photo) for photo in photos]
    sizes = np.array([picture.shape[::-1] for picture in pictures])
    for width, height in sizes:
        focal, rotation, shift = number(3)[0], number(9).reshape(3, 3), number(3)
        K.append([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        R.append(flip @ rotation)
        C.append(-rotation.T @ shift)
    space = np.empty((points, 3))
    seen: list[list[tuple[float, float, int]]] = [[] for _ in photos]
    for point in range(points):
        space[point] = number(3)
        number(3)  # its colour
        for _ in range(int(next(words))):
            camera, _, x, y = number(4)
            seen[int(camera)].append((sizes[int(camera)][0] / 2 + x, sizes[int(camera)][1] / 2 - y, point))
    descriptors, places, sees = [], [], []
    for picture, known in zip(pictures, seen, strict=True):
        spots, found = cv2.SIFT.create(most or 2500).detectAndCompute(picture, None)
        places.append(np.array([spot.pt for spot in spots], np.float32))
        descriptors.append(found.astype(np.uint8))
        table = np.array([(-99, -99, -1), *known])  # a camera may see none
        far = np.linalg.norm(places[-1][:, None] - table[None, :, :2], axis=2)
        near = far.argmin(axis=1)
        sees.append(np.where(far.min(axis=1) < 2, table[near, 2], -1).astype(int))
    kept = [i for i in range(cameras) if K[i][0][0] > 0]  # Bundler writes zeros for a camera that it did not find
    some = lambda parts: [parts[i] for i in kept]  # noqa: E731
    return Scene(
        "kermit", [photo.stem for photo in some(photos)], some(descriptors), some(places), np.array(K)[kept],
        np.array(R)[kept], np.array(C)[kept], sizes[kept], space, some(sees), np.zeros(len(kept), bool), some(photos),
    )  # fmt: skip


def _grey(photo: Path) -> np.ndarray:
    import cv2

    picture = cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise SystemExit(f"{photo} is no photograph that OpenCV can read")
    return picture


def overlaps(scene: Scene, angle: float = 45) -> np.ndarray:
    """How much of what either of two cameras has in view both have, from directions at most `angle` degrees apart."""
    count = len(scene)
    views, toward = np.zeros((count, len(scene.points)), bool), np.zeros((count, len(scene.points), 3))
    for i in range(count):
        ahead = scene.points - scene.C[i]
        inside = ahead @ scene.R[i].T @ scene.K[i].T
        pixel = inside[:, :2] / np.where(inside[:, 2:] == 0, 1, inside[:, 2:])
        views[i] = (inside[:, 2] > 0) & (pixel >= 0).all(axis=1) & (pixel < scene.sizes[i]).all(axis=1)
        toward[i] = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    shared = np.zeros((count, count))
    for a in range(count):
        for b in range(count):
            alike = np.einsum("ij,ij->i", toward[a], toward[b]) > np.cos(np.radians(angle))
            shared[a, b] = (views[a] & views[b] & alike).sum() / max(1, (views[a] | views[b]).sum())
    np.fill_diagonal(shared, 0)
    return shared
