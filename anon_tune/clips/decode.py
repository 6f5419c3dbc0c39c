"""From a video file to the frames of one clip.

Shapes: T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

# A header's duration is rounded, and a last frame may lack one; a cut file misses more.
_WHOLE = 0.9


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """The frames of one file.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        fps: Of these frames, T over the file's seconds.
        num_frames: In the whole file.
        size: Height and width of a frame of the file, upright, in pixels.
    """

    frames: NDArray[np.uint8]
    fps: float
    num_frames: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be decoded.

    Attributes:
        file: Path relative to the imported folder.
        frame: Frames that were decoded before it failed.
        reason: Why, in one line.
    """

    file: str
    frame: int
    reason: str


def shown_frames(count: int, num_frames: int) -> NDArray[np.int64]:
    """Return which of a video's `count` frames make a clip, (T,).

    Clip frame i is frame ``floor((i + 1/2) count / num_frames)``: the middle one of num_frames equal stretches.
    """
    return ((np.arange(num_frames) + 0.5) * count / num_frames).astype(np.int64)


def decode_clip(folder: Path, file: str, num_frames: int, height: int, width: int) -> DecodedClip | BadFile:
    """Decode frames evenly spread over a whole video.

    Which ones is said at `shown_frames`. A video of fewer frames repeats some. Frames are turned upright,
    then resized without regard to the aspect ratio, averaging where they shrink.

    Args:
        folder: Where the file lies.
        file: Path relative to it.
        num_frames: T, at least 1.
        height: H in pixels.
        width: W in pixels.

    Returns:
        The clip, or what is wrong with the file: not a video, damaged, or cut off.
    """
    seen, size = 0, (0, 0)
    try:
        with av.open(str(folder / file), metadata_errors="replace") as container:
            if not container.streams.video:
                return BadFile(file, 0, "has no video stream")
            count = sum(1 for packet in container.demux(container.streams.video[0]) if packet.size)
        # Packets may hold no frame, or several; a second look knows the true number.
        while seen != count or not count:
            count, seen = seen or count, 0
            wanted = shown_frames(count, num_frames)
            clip = np.zeros((num_frames, height, width, 3), np.uint8)
            with av.open(str(folder / file), metadata_errors="replace") as container:
                for frame in _frames(container):
                    hits = wanted == seen
                    if hits.any():
                        clip[hits] = _upright(frame, height, width)
                        size = (frame.width, frame.height) if _quarters(frame) % 2 else (frame.height, frame.width)
                    seen += 1
                fps = float(container.streams.video[0].average_rate or 25) * num_frames / max(seen, 1)
            if not seen:
                return BadFile(file, 0, "has no frames")
    except (av.FFmpegError, _DamagedError) as error:
        return BadFile(file, seen, (getattr(error, "strerror", None) or str(error)).splitlines()[0])
    return DecodedClip(clip, fps, seen, size)


class _DamagedError(Exception):
    pass


def _frames(container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
    """Yield every frame; raise if one is damaged or the video stops long before its header says."""
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise _DamagedError("there is no decoder for its codec")
    stream.codec_context.thread_count = 1  # files are decoded side by side instead
    if stream.codec_context.name == "mjpeg":
        # It would fill up what is missing of a cut photograph with gray, and say nothing.
        stream.codec_context.options = {"err_detect": "explode"}
    end = None
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise _DamagedError("the data is damaged or cut off")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise _DamagedError("the frame is damaged")
            if frame.time is not None:
                end = max(end or 0.0, frame.time)
            yield frame
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    declared = float((stream.duration or 0) * (stream.time_base or 0))
    if not declared and len(container.streams) == 1:
        declared = (container.duration or 0) / av.time_base
    # Half a second of grace: a few frames more or less are no cut, however short the file.
    if end is not None and end - start < _WHOLE * declared - 0.5:
        raise _DamagedError(f"the video stops after {end - start:.1f} of {declared:.1f} seconds")


def _quarters(frame: av.VideoFrame) -> int:
    return round(frame.rotation / 90) % 4


def _upright(frame: av.VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
    quarters = _quarters(frame)
    size = (height, width) if quarters % 2 else (width, height)
    rgb = frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
    return np.rot90(rgb, quarters)
