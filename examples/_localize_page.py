"""A page of queries, the images found for them, and lines between features that met."""

from __future__ import annotations

import base64
import html
from typing import Any

import numpy as np
from _scenes import Scene, overlaps
from _verify import Verified

WIDTH, QUERIES, LINES = 320, 6, 60
STYLE = """:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:1360px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.7rem;line-height:1.25}h2{margin:2.2rem 0 0;border-bottom:1px solid #8886}
h3{margin:1.2rem 0 .4rem;font-size:1rem}
p{max-width:46rem}
.found{display:grid;gap:.8rem 1rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,23rem),1fr))}
figure{margin:0}figcaption{font-size:13px}svg{display:block;width:100%;height:auto;background:#8882;border-radius:3px}
line{stroke:#e8590c;stroke-opacity:.55}circle{fill:#1c7ed6}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#16181c}line{stroke:#ff922b}circle{fill:#74c0fc}}"""


def page(found: list[tuple[Scene, Any, Verified | None]]) -> str:
    """HTML with everything inside: the results of CANN, verified by inliers where they were."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
             f"<title>Images found by their descriptors</title><style>{STYLE}</style>"]  # fmt: skip
    verified = any(one is not None for _, _, one in found)
    told = ("First is the image of most inliers: matches that agree with one geometry of the two cameras"
            if verified else "First is the image of highest score")  # fmt: skip
    parts.append("<h1>Images found by their descriptors</h1><p>Left of each pair is the query, right an image found. "
                 f"{told}. Lines join {'inliers' if verified else 'features that met'}, the {LINES} nearest of them. "
                 "Without photographs, grey dots are the features. Overlap is the share of what either camera has in "
                 "view that both have.</p>")  # fmt: skip
    for scene, result, checked in found:
        overlap = overlaps(scene)
        shown = result.colors if checked is None else checked.found["inliers"]
        parts.append(f"<h2>{html.escape(scene.name)}</h2>")
        for image in np.linspace(0, len(scene) - 1, min(QUERIES, len(scene))).astype(int):
            parts.append(f"<h3>Query {html.escape(scene.names[image])}</h3><div class=found>")
            parts += [
                pair(scene, image, other, result, checked, overlap[image, other])
                for other in shown[image, :3].tolist() if other >= 0
            ]  # fmt: skip
            parts.append("</div>")
    return "".join([*parts, "</html>"])


def pair(scene: Scene, image: int, other: int, result: Any, checked: Verified | None, overlap: float) -> str:
    """The two images side by side and their matches, or those that agree."""
    place = result.colors[image].tolist().index(other)
    features, points, _ = result.pairs(other, image)
    told = f"{scene.names[other]}: score {result.scores[image, place]:.3f}"
    if checked is None or (image, other) not in checked.agreed:
        told += f", {len(features):,} matches"
    else:
        met, (features, points) = len(features), checked.agreed[image, other]
        told += f" (place {place + 1}), {len(features):,} inliers of {met:,} matches"
    told += f", overlap {overlap:.2f}"
    scales = [WIDTH / scene.sizes[which][0] for which in (image, other)]
    heights = [scale * scene.sizes[which][1] for scale, which in zip(scales, (image, other), strict=True)]
    left = scene.places[image][features[:LINES]] * scales[0]
    right = scene.places[other][points[:LINES]] * scales[1] + [WIDTH + 10, 0]
    drawn = "".join(
        f'<line x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}"/><circle cx="{a:.1f}" cy="{b:.1f}" r="2"/>'
        f'<circle cx="{c:.1f}" cy="{d:.1f}" r="2"/>'
        for (a, b), (c, d) in zip(left, right, strict=True)
    )
    frames = "".join(
        photo(scene, which, at, height)
        for which, at, height in ((image, 0, heights[0]), (other, WIDTH + 10, heights[1]))
    )
    return (
        f'<figure><svg role="img" aria-label="{html.escape(told)}" viewBox="0 0 {2 * WIDTH + 10} {max(heights):.0f}">'
        f"{frames}{drawn}</svg><figcaption>{html.escape(told)}</figcaption></figure>"
    )


def photo(scene: Scene, which: int, at: float, height: float) -> str:
    """The photograph, twice as wide as it is shown; where there is none, its frame and where its features are."""
    path = scene.photos[which]
    if path is None:
        spots = np.rint(scene.places[which][::2] * (WIDTH / scene.sizes[which][0])).astype(int)
        dots = "".join(f"M{x + at:.0f} {y}h0" for x, y in np.unique(spots, axis=0))
        frame = f'<rect x="{at}" y="0" width="{WIDTH}" height="{height:.0f}" fill="none" stroke="#888"/>'
        return f'{frame}<path d="{dots}" stroke="#888" stroke-width="1.5" stroke-linecap="round"/>'
    data = base64.b64encode(_smaller(str(path))).decode()
    return f'<image x="{at}" y="0" width="{WIDTH}" height="{height:.0f}" href="data:image/jpeg;base64,{data}"/>'


def _smaller(path: str) -> bytes:
    import cv2

    picture = cv2.imread(path)
    if picture is None:
        raise SystemExit(f"{path} is no photograph that OpenCV can read")
    size = (2 * WIDTH, round(2 * WIDTH * picture.shape[0] / picture.shape[1]))
    smaller = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
