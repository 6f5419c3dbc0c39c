"""Turn and mirror stored frames so that they are upright, as the display matrix that FFmpeg finds in a file says.

Shapes: H height, W width of a stored frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata import sidedata
from numpy.typing import NDArray

from anon_tune.video.opening import UnreadableError

_SLANT = 0.02  # accepted deviation from a quarter turn, about one degree: some writers round the matrix


@dataclass(frozen=True, slots=True)
class Orientation:
    """The turn and the mirroring that make a stored frame upright.

    Attributes:
        quarters: Number of quarter turns counterclockwise, 0 to 3.
        mirrored: True if left and right are exchanged after the turn.
    """

    quarters: int
    mirrored: bool

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width after the turn. From the size after the turn, it returns the stored size."""
        return (width, height) if self.quarters % 2 else (height, width)

    def upright(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a stored frame (H,W,3) upright: (H,W,3), or (W,H,3) if the number of quarter turns is odd."""
        turned = np.rot90(pixels, self.quarters)
        return turned[:, ::-1] if self.mirrored else turned


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix of a frame. It comes from the container, or from the EXIF data of a photograph.

    FFmpeg's matrix ``a b u, c d v, x y w`` maps the point (X, Y) to ``(aX + cY + x, bX + dY + y)``. A determinant
    below 0 means mirroring. The scale is ignored, as FFmpeg ignores it.

    Raises:
        UnreadableError: The matrix does not turn by a multiple of 90 degrees.
    """
    found = _side_data(frame).get("DISPLAYMATRIX")
    if found is None:
        return Orientation(0, mirrored=False)
    matrix = np.frombuffer(bytes(found), np.int32)
    a, b, c, d = (float(matrix[at]) for at in (0, 1, 3, 4))
    along, across = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(along, across) > _SLANT * max(along, across):
        got = f"a matrix of {', '.join(f'{number / 65536:.2f}' for number in (a, b, c, d))}"
        raise UnreadableError("is not turned by a multiple of 90 degrees", got, "Turn it upright first")
    if along >= across:  # x' = a x, y' = d y
        return Orientation(2 if d < 0 else 0, mirrored=(a < 0) != (d < 0))
    return Orientation(1 if b < 0 else 3, mirrored=(b < 0) == (c < 0))  # x' = c y, y' = b x


def _side_data(frame: av.VideoFrame) -> Any:
    """Return the side data of a frame by name. PyAV 18 lists none if it does not know one kind, such as EXIF."""
    try:
        return frame.side_data
    except ValueError:
        sidedata.Type._missing_ = classmethod(_unknown)  # type: ignore[assignment]
        return frame.side_data


def _unknown(cls: type[sidedata.Type], value: object) -> Any:
    member: Any = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member
