"""Encodes clips as H.264 video and decodes them again, in memory, to see what a codec does to them.

Shapes: N clips, T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from anon_tune.clips.clip_set import ClipSet
from anon_tune.errors import DataError
from anon_tune.video.frame_rate import encoded_rate


def round_trip(frames: NDArray[np.uint8], fps: float, crf: int) -> NDArray[np.uint8]:
    """Encode one clip as H.264 with 4:2:0 colour and decode it again. The same input gives the same bytes.

    An odd height or width is made even by repeating the last row or column, which is cut off again afterwards.

    Args:
        frames: (T, H, W, 3) uint8 RGB, T at least 1.
        fps: Frames per second, above 0. The encoder spends fewer bits on frames that are shown for a shorter time.
        crf: Constant rate factor, from 0 (best, although colour still loses half its resolution) to 51 (worst).

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        DataError: The codec does not return every frame.

    Source:
        x264 with its preset ``medium``, the default of most tools. No container is used, as it changes no pixel.
    """
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width, encoder.pix_fmt = even.shape[1], even.shape[2], "yuv420p"
    encoder.framerate = encoded_rate(fps)
    encoder.time_base = 1 / encoder.framerate
    # For small frames, the assembly code of x264 sometimes gives other bytes in the same process; its C code does not.
    encoder.options = {"crf": str(crf), "preset": "medium", "x264-params": "no-asm=1"}
    decoder = av.CodecContext.create("h264", "r")
    encoder.thread_count = decoder.thread_count = 1  # the same bytes on any machine

    packets = []
    for at, image in enumerate(even):
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts = at
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoded = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    if len(decoded) != len(frames):
        rule = f"must return all {len(frames)} frames of a clip"
        raise DataError("codec h264", rule, len(decoded), "Audit without --codec")
    return np.stack([frame.to_ndarray(format="rgb24")[:height, :width] for frame in decoded])


def round_trip_split(
    clips: ClipSet, path: Path, fps: float, crf: int, progress: Callable[[int, int], None] | None = None
) -> ClipSet:
    """Encode and decode every clip of a split.

    Args:
        clips: The split.
        path: The file to write the frames to, (N, T, H, W, 3) uint8. The result maps it, so it must be kept as long.
        fps: As in `round_trip`.
        crf: As in `round_trip`.
        progress: Called after every clip with the number of clips done and the number of all clips.

    Returns:
        The split with the decoded frames.
    """
    frames = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=clips.frames.shape)
    for at, clip in enumerate(clips.frames):
        frames[at] = round_trip(clip, fps, crf)
        if progress:
            progress(at + 1, len(clips))
    return replace(clips, frames=frames)
