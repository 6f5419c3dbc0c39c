"""Short videos without sound that a page plays again and again.

Shapes: T frames, H height, W width.
"""

from __future__ import annotations

import io

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from anon_tune.video.frame_rate import encoded_rate

_CODEC = "libvpx-vp9"  # plays in every browser, and an encoder is part of PyAV
_QUALITY = {"crf": "33", "b": "0", "deadline": "good", "cpu-used": "4", "threads": "1"}
_MOST_BYTES = 500_000  # so that a page with ten of them stays well below 15 MB, also with long or noisy clips


def can_loop() -> bool:
    """True if this build of PyAV has the encoder."""
    return _CODEC in av.codecs_available


def looping_webm(frames: NDArray[np.uint8], fps: float) -> bytes:
    """Encode frames as a small WebM file. Long and noisy ones get fewer bits a second, so that they stay small too.

    Args:
        frames: (T, H, W, 3) RGB. An odd height or width loses its last row or column, because the colours need even
            sides.
        fps: Frames per second.
    """
    webm = _encoded(frames, fps, _QUALITY)
    if len(webm) <= _MOST_BYTES:
        return webm
    bits_a_second = round(_MOST_BYTES * 8 * fps / len(frames))
    return _encoded(frames, fps, _QUALITY | {"b": str(bits_a_second), "maxrate": str(bits_a_second)})


def _encoded(frames: NDArray[np.uint8], fps: float, quality: dict[str, str]) -> bytes:
    height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2
    file = io.BytesIO()
    with av.open(file, "w", format="webm", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(_CODEC, rate=encoded_rate(fps), options=quality)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def as_gif(webm: bytes) -> tuple[bytes, int, int]:
    """Turn a video into an animated GIF, for TensorBoard, which shows no other moving pictures.

    Returns:
        The GIF, its height and its width.
    """
    from PIL import Image

    with av.open(io.BytesIO(webm), "r") as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or 10)
        pictures = [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
    file = io.BytesIO()
    first, *others = pictures
    first.save(file, "GIF", save_all=True, append_images=others, duration=round(1000 / rate), loop=0)
    return file.getvalue(), first.height, first.width
