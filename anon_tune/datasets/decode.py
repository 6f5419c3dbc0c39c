"""From a video file to the frames of one clip.

Shapes: T frames of a clip, F frames of a file, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from anon_tune.errors import UsageError

# A header's duration is rounded, and a last frame may lack one; a cut file misses more.
_WHOLE = 0.9
_HELD_BYTES = 2**26  # a file up to this size is read once and held in memory; a larger file is read twice
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class ClipForm:
    """The form that every video is converted to.

    Attributes:
        num_frames: T, at least 1.
        height: H in pixels, at least 1.
        width: W in pixels, at least 1.
        frame_step: Frames of the file from one frame of the clip to the next; None spreads the clip over
            the whole video. See `shown_frames`.
        gray: Set all three channels to the luma (ITU-R BT.601); networks take three.

    Raises:
        UsageError: If a number is below 1.
    """

    num_frames: int
    height: int
    width: int
    frame_step: int | None = None
    gray: bool = False

    def __post_init__(self) -> None:
        given = {"--num-frames": self.num_frames, "--frame-step": self.frame_step}
        for name, value in (*given.items(), ("--size", self.height), ("--size", self.width)):
            if value is not None and value < 1:
                raise UsageError(name, "must be at least 1", value, "Choose a larger number")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of one clip, (T, H, W, 3)."""
        return self.num_frames, self.height, self.width, 3


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """The frames of one file.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        fps: Of these frames.
        num_frames: F.
        size: Height and width of a frame of the file, upright, in pixels.
        shown: Which frames of the file they are, T numbers from 0; a short video repeats some.
    """

    frames: NDArray[np.uint8]
    fps: float
    num_frames: int
    size: tuple[int, int]
    shown: tuple[int, ...]


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


def shown_frames(edges: int | NDArray[np.int64], num_frames: int, frame_step: int | None = None) -> NDArray[np.int64]:
    """Return which frames of a video make a clip, (T,).

    Without a step, clip frame i is the one on screen at ``(i + 1/2) / T`` of the video's time: the middle of
    T equal stretches. At a constant rate that is frame ``floor((i + 1/2) F / T)``. With a step, the clip is
    the middle of the video, counted in frames; where it is longer than the video, the first and the last
    frame are repeated.

    Args:
        edges: (F + 1,) rising: when each frame appears, and when the last one goes. Or F, for a constant rate.
        num_frames: T, at least 1.
        frame_step: At least 1, or None.
    """
    edges = np.arange(edges + 1) if isinstance(edges, int) else edges
    num, steps = len(edges) - 1, np.arange(num_frames)
    if frame_step is not None:
        first = (num - 1 - (num_frames - 1) * frame_step) // 2
        return np.minimum(np.maximum(first + frame_step * steps, 0), num - 1)
    since = edges - edges[0]  # integers: no rounding decides between two frames
    chosen: NDArray[np.int64] = (
        np.searchsorted(since[:-1] * 2 * num_frames, (2 * steps + 1) * since[-1], side="right") - 1
    )
    return chosen


def decode_clip(folder: Path, form: ClipForm, file: str, shown: Sequence[int] | None = None) -> DecodedClip | BadFile:
    """Decode the frames of a clip out of a whole video.

    Frames are rotated upright as the file says. Then they are resized without keeping the aspect ratio; shrinking
    averages pixels. Colours follow the file's matrix and range, so full-range video (yuvj420p) keeps its black and
    white. In a video with a variable frame rate, frames are chosen by their times.

    Args:
        folder: Where the file lies.
        form: What it becomes.
        file: Path relative to the folder.
        shown: Take these frames of the file instead, T numbers.

    Returns:
        The clip, or what is wrong with the file: not a video, damaged, or cut off.
    """
    path, reformatter = folder / file, VideoReformatter()
    times: list[int | None] | None = None
    seen: list[int | None] = []
    try:
        num_bytes = path.stat().st_size
        if not num_bytes:
            return BadFile(file, 0, "an empty file")
        # Packets may hold no frame, or several; a second look knows the true number.
        while times is None or len(seen) != len(times):
            with av.open(str(path), metadata_errors="replace") as container:
                if not container.streams.video:
                    return BadFile(file, 0, "no video stream")
                packets: Iterable[av.Packet[Any]] = container.demux(container.streams.video[0])
                if times is None:
                    packets = list(packets) if num_bytes <= _HELD_BYTES else packets
                    times, last = _times(packets)
                    if num_bytes > _HELD_BYTES:
                        continue
                times, seen = seen or times, []
                wanted = np.array(shown or shown_frames(_edges(times, last), form.num_frames, form.frame_step))
                chosen = set(wanted.tolist())
                clip = np.zeros(form.shape, np.uint8)
                for frame in _frames(container, packets):
                    if len(seen) in chosen:
                        clip[wanted == len(seen)] = _upright(frame, form, reformatter)
                    if not seen:  # not only of a shown frame: the file may end before the first of these
                        size = (frame.width, frame.height) if _quarters(frame) % 2 else (frame.height, frame.width)
                    seen.append(frame.pts)
                rate = float(container.streams.video[0].average_rate or 25)
            if not seen:
                return BadFile(file, 0, "no frames")
    except (av.FFmpegError, OSError, _DamagedError) as error:
        return BadFile(file, len(seen), (getattr(error, "strerror", None) or str(error)).splitlines()[0])
    fps = rate / form.frame_step if form.frame_step else rate * form.num_frames / len(seen)
    return DecodedClip(clip, fps, len(seen), size, tuple(wanted.tolist()))


def _times(packets: Iterable[av.Packet[Any]]) -> tuple[list[int | None], int | None]:
    """Return when the packets of a video are shown, sorted, and for how long the last is; they come as decoded."""
    timed = sorted((packet.pts or 0, packet.duration) for packet in packets if packet.size)
    return [time for time, _ in timed], timed[-1][1] if timed else None


def _edges(times: Sequence[int | None], last: int | None) -> int | NDArray[np.int64]:
    """Return when frames appear and the last one goes, or their number where times do not rise from each to the next.

    They do not in AVI files of MPEG-4 with B-frames, for example, whose frames are evenly timed.
    """
    known = np.array([time for time in times if time is not None], np.int64)
    gaps = np.diff(known)
    if len(known) < max(2, len(times)) or (gaps <= 0).any():
        return len(times)
    return np.append(known, known[-1] + (last or int(np.median(gaps))))


class _DamagedError(Exception):
    pass


def _frames(container: av.container.InputContainer, packets: Iterable[av.Packet[Any]]) -> Iterator[av.VideoFrame]:
    """Yield every frame of the packets; raise if one is damaged or the video stops long before its header says."""
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise _DamagedError("there is no decoder for its codec")
    stream.codec_context.thread_count = 1  # files are decoded side by side instead
    if stream.codec_context.name == "mjpeg":
        # It would fill up what is missing of a cut photograph with gray, and say nothing.
        stream.codec_context.options = {"err_detect": "explode"}
    last, frame = None, None
    for packet in packets:
        if packet.is_corrupt:
            raise _DamagedError("the data is damaged or cut off")
        for frame in packet.decode():
            if frame.is_corrupt:
                raise _DamagedError("the frame is damaged")
            if frame.pts is not None and (last is None or frame.pts > last):
                last = frame.pts
            yield frame
    end = None if frame is None or last is None else float(last * (frame.time_base or 0))
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    declared = float((stream.duration or 0) * (stream.time_base or 0))
    if not declared and len(container.streams) == 1:
        declared = (container.duration or 0) / av.time_base
    # Half a second of grace: a few frames more or less are no cut, however short the file.
    if end is not None and end - start < _WHOLE * declared - 0.5:
        raise _DamagedError(f"the video stops after {end - start:.1f} of {declared:.1f} seconds")


def _quarters(frame: av.VideoFrame) -> int:
    return round(frame.rotation / 90) % 4


def _upright(frame: av.VideoFrame, form: ClipForm, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    """Return one frame, (H, W, 3)."""
    quarters = _quarters(frame)
    width, height = (form.height, form.width) if quarters % 2 else (form.width, form.height)
    small = reformatter.reformat(frame, width, height, format="rgb24", interpolation="AREA", threads=1)
    rgb: NDArray[np.uint8] = np.rot90(small.to_ndarray(), quarters)
    if form.gray:
        rgb = np.repeat(np.rint(rgb @ _LUMA).astype(np.uint8)[..., None], 3, axis=2)
    return rgb
