"""Write frames that are in memory to a video file, without loss, for other programs to read.

Shapes: T frames, H height, W width.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_lossless(frames: NDArray[np.uint8], file: Path, fps: int) -> None:
    """Write frames (T,H,W,3) uint8 RGB as H.264 with 4:4:4 colour, which takes any size.

    Only the conversion of colours and their rounding change pixels, by a few levels.

    Args:
        frames: The frames, T at least 1.
        file: File to write, with the suffix of a container such as .mp4.
        fps: Frames per second.
    """
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"qp": "0", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv444p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode(None))
