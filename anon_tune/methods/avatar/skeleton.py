"""Figures that move by key points.

Shapes: T frames, P people in a frame; key points are (T,P,17,3) as in `anon_tune.clips.keypoints`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anon_tune.methods.avatar.figure import HEAD, Figure, Point

Array = NDArray[np.float32]

_TORSO = 3.3  # height of a figure, as a multiple of the length from its neck to its hips
_SHOULDERS, _HIPS = 0.09, 0.05  # half widths as a share of the figure's height: the same for everyone
# Numbers of the key points: the left one and the right one.
_SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _ANKLE = ((at, at + 1) for at in range(5, 17, 2))
_FACE = slice(0, 5)


def figures_of(keypoints: Array, size: tuple[int, int], neutral: bool = True) -> list[list[Figure]]:
    """Return the figures of every frame of a clip, those of the people whose shoulders and hips are known.

    Arms and legs keep their length and direction, and begin at shoulders and hips that are equally wide for everyone. A
    limb whose points are not all known ends earlier. How thick a figure is follows from the median length of its torso
    over the clip.

    Args:
        keypoints: The key points of a clip, (T,P,17,3).
        size: Height and width of a frame in pixels.
        neutral: False to let limbs begin where they really do.
    """
    scale = np.array([size[1], size[0]], np.float32)
    places, known = keypoints[..., :2] * scale - 0.5, keypoints[..., 2] > 0
    whole: NDArray[np.bool_] = np.all(known[..., [*_SHOULDER, *_HIP]], axis=-1)  # (T,P)
    necks, hips = (places[..., pair, :].mean(axis=-2) for pair in (_SHOULDER, _HIP))
    torsos = np.hypot(*np.moveaxis(necks - hips, -1, 0))
    heights = [_TORSO * float(np.median(torsos[seen, at])) if seen.any() else 0.0 for at, seen in enumerate(whole.T)]
    return [
        [_figure(places[t, at], known[t, at], height, neutral) for at, height in enumerate(heights) if whole[t, at]]
        for t in range(len(keypoints))
    ]


def _figure(places: Array, known: NDArray[np.bool_], height: float, neutral: bool) -> Figure:
    neck, hip = (places[list(pair)].mean(axis=0) for pair in (_SHOULDER, _HIP))
    limbs = [(_point(neck), _point(hip))]
    for ends, middle, half in (((_SHOULDER, _ELBOW, _WRIST), neck, _SHOULDERS), ((_HIP, _KNEE, _ANKLE), hip, _HIPS)):
        across = places[ends[0][0]] - places[ends[0][1]]  # from the right one to the left one
        along = across / max(float(np.hypot(*across)), 1e-6) * half * height
        for side, joints in enumerate(zip(*ends, strict=True)):
            start = middle + (along if side == 0 else -along) if neutral else places[joints[0]]
            seen = [places[at] + start - places[joints[0]] for at in joints if known[at]]
            limbs.append((_point(middle), _point(seen[0])))
            limbs += [(_point(a), _point(b)) for a, b in pairwise(seen)]
    face = places[_FACE][known[_FACE]]
    upwards = (neck - hip) / max(float(np.hypot(*(neck - hip))), 1e-6)
    head = face.mean(axis=0) if len(face) else neck + upwards * 1.5 * HEAD * height
    return Figure((*limbs, (_point(neck), _point(head))), _point(head), height)


def _point(place: Array) -> Point:
    return float(place[0]), float(place[1])
