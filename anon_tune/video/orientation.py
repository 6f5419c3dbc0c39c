"""How a stored frame is turned and mirrored to be shown upright, from the display matrix that FFmpeg finds in a file.

Shapes: H height, W width, of a stored frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata import sidedata
from numpy.typing import NDArray

from anon_tune.video.opening import UnreadableError

_SLANT = 0.02  # of a quarter turn's matrix: about one degree, which writers of rounded numbers may leave


@dataclass(frozen=True, slots=True)
class Orientation:
    """What makes a stored frame upright.

    Attributes:
        quarters: Quarter turns against the clock, 0 to 3.
        mirrored: Left and right change places after the turn.
    """

    quarters: int
    mirrored: bool

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width after the turn; given those, it returns the stored ones."""
        return (width, height) if self.quarters % 2 else (height, width)

    def upright(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame, (H, W, 3), as it is shown."""
        turned = np.rot90(pixels, self.quarters)
        return turned[:, ::-1] if self.mirrored else turned


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix of a frame: of a container, or of the EXIF data of a photograph.

    FFmpeg's matrix ``a b u, c d v, x y w`` sends the point (X, Y) to ``(aX + cY + x, bX + dY + y)``. A determinant
    below 0 is a mirror. The scale is not applied, as FFmpeg does not apply it either.

    Raises:
        UnreadableError: The matrix turns by something else than quarters.
    """
    found = _side_data(frame).get("DISPLAYMATRIX")
    if found is None:
        return Orientation(0, mirrored=False)
    matrix = np.frombuffer(bytes(found), np.int32)
    a, b, c, d = (float(matrix[at]) for at in (0, 1, 3, 4))
    along, across = max(abs(a), abs(d)), max(abs(b), abs(c))
    if min(along, across) > _SLANT * max(along, across):
        got = f"a matrix of {', '.join(f'{number / 65536:.2f}' for number in (a, b, c, d))}"
        raise UnreadableError("is not shown upright or turned by quarters", got, "Turn it upright first")
    if along >= across:  # x' = a x, y' = d y
        return Orientation(2 if d < 0 else 0, mirrored=(a < 0) != (d < 0))
    return Orientation(1 if b < 0 else 3, mirrored=(b < 0) == (c < 0))  # x' = c y, y' = b x


def _side_data(frame: av.VideoFrame) -> Any:
    """Return the side data of a frame by name; PyAV 18 knows some kinds not, such as EXIF, and then lists none."""
    try:
        return frame.side_data
    except ValueError:
        sidedata.Type._missing_ = classmethod(_unknown)  # type: ignore[assignment]
        return frame.side_data


def _unknown(cls: type[sidedata.Type], value: object) -> Any:
    member: Any = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member
