"""Decode the frames of one clip from a video file.

Shapes: T frames of a clip, F frames of a file, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from anon_tune.clips.manifest import WindowForm
from anon_tune.clips.windows import middle_window
from anon_tune.errors import UsageError
from anon_tune.video.damage import DamageWatch
from anon_tune.video.deinterlace import Deinterlacer
from anon_tune.video.opening import UnreadableError, open_video
from anon_tune.video.orientation import Orientation, orientation_of

DECODED_AS = 2
"""Rises if a file may give another clip than before, so that no interrupted import of another version is continued."""

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
        gray: Set all three channels to the luma (ITU-R BT.601), because networks take three channels.
        accept_damage: Use what can be decoded of a video whose damage is only suspected; see `DamageWatch`.
        num_windows: Windows of `num_frames` frames that are stored of each video.
        keep_frames: Store up to so many frames of a video instead, from its middle; any `num_frames` of them that
            follow each other are a window.

    Raises:
        UsageError: A number is below 1, both kinds of windows are asked for, or a window has more frames than are kept.
    """

    num_frames: int
    height: int
    width: int
    frame_step: int | None = None
    gray: bool = False
    accept_damage: bool = False
    num_windows: int = 1
    keep_frames: int | None = None

    def __post_init__(self) -> None:
        given = {"--num-frames": self.num_frames, "--frame-step": self.frame_step, "--windows": self.num_windows}
        given |= {"--keep-frames": self.keep_frames}
        for name, value in (*given.items(), ("--size", self.height), ("--size", self.width)):
            if value is not None and value < 1:
                raise UsageError(name, "must be at least 1", value, "Choose a larger number")
        if self.keep_frames is not None and self.num_windows > 1:
            raise UsageError("--keep-frames", "cannot go with --windows", remedy="Leave one of them out")
        if self.keep_frames is not None and self.keep_frames < self.num_frames:
            rule = f"must be at least the {self.num_frames} frames of a clip"
            raise UsageError(
                "--keep-frames", rule, self.keep_frames, "Choose a larger number, or a smaller --num-frames"
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one clip, (T, H, W, 3)."""
        return self.num_frames, self.height, self.width, 3

    @property
    def windows(self) -> WindowForm | None:
        """How several windows of each video are stored; None if a clip is all that is stored."""
        if self.keep_frames is not None:
            return WindowForm(self.keep_frames, 1)
        return WindowForm(self.num_windows * self.num_frames, self.num_frames) if self.num_windows > 1 else None

    @property
    def num_stored(self) -> int:
        """F, the number of frames that are stored of each video."""
        return self.num_frames if self.windows is None else self.windows.stored_frames

    def taken(self, edges: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices of the frames of a video that are stored, (F,); `edges` are as in `shown_frames`.

        Windows without a step share out the video: each spreads over its own part of the time. With a step, they begin
        at even distances, the first at the first frame and the last so that it ends with the last frame.
        """
        if self.keep_frames is not None:
            return shown_frames(edges, self.keep_frames, self.frame_step or 1)
        if self.num_windows == 1 or self.frame_step is None:
            return shown_frames(edges, self.num_stored, self.frame_step)
        num = edges if isinstance(edges, int) else len(edges) - 1
        room = num - 1 - (self.num_frames - 1) * self.frame_step
        if room <= 0:
            return np.tile(_stepped(num, self.num_frames, self.frame_step), self.num_windows)
        begins = [room * k // (self.num_windows - 1) for k in range(self.num_windows)]
        steps = np.array(begins)[:, None] + self.frame_step * np.arange(self.num_frames)
        return steps.ravel()

    def kept(self, taken: NDArray[np.int64]) -> tuple[int, int]:
        """Return which of the frames taken of a video windows may show; see `ClipEntry`."""
        if self.windows is None:
            return 0, 0
        if self.keep_frames is None:
            return 0, self.num_stored
        own = np.flatnonzero(np.diff(taken))  # the video is short if its first and its last frame are repeated
        begin, end = (int(own[0]), int(own[-1]) + 2) if len(own) else (0, 0)
        middle = middle_window(self.windows, self.num_frames)
        return min(begin, middle) if end else middle, max(end, middle + self.num_frames)

    def repeats(self, taken: NDArray[np.int64]) -> bool:
        """True if a video is so short that a window must show a frame twice."""
        begin, end = self.kept(taken)
        length = self.num_frames if self.keep_frames is None else (end - begin)
        windows = taken[begin : end or None].reshape(-1, length)
        return any(len(np.unique(window)) < len(window) for window in windows)


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """The frames of one file.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        fps: Frame rate of these frames.
        num_frames: F, the number of frames of the file.
        size: Height and width of a frame of the file, upright, in pixels.
        shown: Indices of these frames in the file, T numbers from 0; a short video repeats some. F numbers if
            several windows are stored, and as many frames.
        damage: Description of damage that was suspected and accepted; empty if there was none.
        kept: `begin` and `end` of its entry in the manifest.
        repeats: True if the video is so short that a clip shows a frame twice.
    """

    frames: NDArray[np.uint8]
    fps: float
    num_frames: int
    size: tuple[int, int]
    shown: tuple[int, ...]
    damage: str = ""
    kept: tuple[int, int] = (0, 0)
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that cannot be decoded, or to which its frame truth does not belong.

    Attributes:
        file: Path relative to the imported folder.
        frame: Number of frames that were decoded before it failed.
        reason: Cause of the failure, in one line.
    """

    file: str
    frame: int
    reason: str


def shown_frames(edges: int | NDArray[np.int64], num_frames: int, frame_step: int | None = None) -> NDArray[np.int64]:
    """Return the indices of the frames of a video that form a clip, (T,).

    Without a step, clip frame i is the one on screen at ``(i + 1/2) / T`` of the video's time: the middle of
    T equal stretches. At a constant rate that is frame ``floor((i + 1/2) F / T)``. With a step, the clip is
    taken from the middle of the video, counted in frames. If it is longer than the video, the first and the last of the
    frames that the steps reach are repeated, so that neighbours are a step apart or the same.

    Args:
        edges: (F + 1,), rising: the times at which frames appear, then the time at which the last one disappears. Or F,
            for a constant frame rate.
        num_frames: T, at least 1.
        frame_step: At least 1, or None.
    """
    edges = np.arange(edges + 1) if isinstance(edges, int) else edges
    num, steps = len(edges) - 1, np.arange(num_frames)
    if frame_step is not None:
        return _stepped(num, num_frames, frame_step)
    since = edges - edges[0]  # integers: no rounding decides between two frames
    chosen: NDArray[np.int64] = (
        np.searchsorted(since[:-1] * 2 * num_frames, (2 * steps + 1) * since[-1], side="right") - 1
    )
    return chosen


def _stepped(num: int, num_frames: int, frame_step: int) -> NDArray[np.int64]:
    """Return the indices of frames a step apart, (T,), from the middle of `num` frames; see `shown_frames`."""
    num_fitting = min(num_frames, (num - 1) // frame_step + 1)
    first = (num - 1 - (num_fitting - 1) * frame_step) // 2
    num_repeated = (num_frames - num_fitting + 1) // 2  # before the first one
    return first + frame_step * np.clip(np.arange(num_frames) - num_repeated, 0, num_fitting - 1)


def decode_clip(folder: Path, form: ClipForm, file: str, shown: Sequence[int] | None = None) -> DecodedClip | BadFile:
    """Decode the frames of a clip from a video.

    Interlaced frames are deinterlaced, as `VideoReader` does, so that studies measure what is anonymized later. Frames
    are turned and mirrored upright as the file says. Then they are resized without keeping the aspect ratio;
    shrinking averages pixels. Colours follow the file's matrix and range, so full-range video (yuvj420p) keeps its
    black and white. In a video with a variable frame rate, frames are chosen by their times.

    Args:
        folder: Folder that `file` is relative to.
        form: Form of the clip.
        file: Path relative to the folder.
        shown: Indices of the frames to take instead, T numbers.

    Returns:
        The clip, or why the file cannot be used: it is not a video, is damaged, or is cut off.
    """
    path, reformatter = folder / file, VideoReformatter()
    times: list[int | None] | None = None
    seen: list[int | None] = []
    try:
        num_bytes = path.stat().st_size
        # A packet may hold no frame, or several. If so, decode again with the true number of frames.
        while times is None or len(seen) != len(times):
            container, stream = open_video(path)
            with container:
                watch = DamageWatch(container, stream, form.accept_damage)
                packets: Iterable[av.Packet[av.VideoStream]] = (one for one in watch.packets() if one.stream is stream)
                if times is None:
                    packets = list(packets) if num_bytes <= _HELD_BYTES else packets
                    times, last = _times(packets)
                    if num_bytes > _HELD_BYTES:
                        continue
                times, seen = seen or times, []
                wanted = np.array(shown or form.taken(_edges(times, last)))
                chosen = set(wanted.tolist())
                clip = np.zeros((form.num_stored, *form.shape[1:]), np.uint8)
                for at, frame in enumerate(_deinterlaced(watch, packets, seen)):
                    if not at:  # of the first frame, because the file may end before the clip begins
                        orientation = orientation_of(frame)
                        size = orientation.size(frame.height, frame.width)
                    if at in chosen:
                        clip[wanted == at] = _upright(frame, orientation, form, reformatter)
                watch.finish()
                rate = float(stream.average_rate or 25)
            if not seen:
                return BadFile(file, 0, "no frames")
    except (av.FFmpegError, OSError, UnreadableError) as error:
        return BadFile(file, len(seen), (getattr(error, "strerror", None) or str(error)).splitlines()[0])
    step = form.frame_step or (1 if form.keep_frames else None)
    fps = rate / step if step else rate * form.num_stored / len(seen)
    told = tuple(wanted.tolist()), "; ".join(watch.found), form.kept(wanted), form.repeats(wanted)
    return DecodedClip(clip, fps, len(seen), size, *told)


def _deinterlaced(
    watch: DamageWatch, packets: Iterable[av.Packet[av.VideoStream]], seen: list[int | None]
) -> Iterator[av.VideoFrame]:
    """Yield the frames of packets, in order, and add the time of each to `seen` when it is decoded."""
    deinterlacer = Deinterlacer()
    for packet in packets:
        for frame in watch.decode(packet):
            seen.append(frame.pts)
            yield from (one for one, *_ in deinterlacer.push(frame, frame.pts))
    yield from (one for one, *_ in deinterlacer.flush())


def _times(packets: Iterable[av.Packet[av.VideoStream]]) -> tuple[list[int | None], int | None]:
    """Return the sorted times at which packets are shown, and how long the last one is. They come in decoding order."""
    timed = sorted((packet.pts or 0, packet.duration) for packet in packets if packet.size)
    return [time for time, _ in timed], timed[-1][1] if timed else None


def _edges(times: Sequence[int | None], last: int | None) -> int | NDArray[np.int64]:
    """Return the edges for `shown_frames`, or the number of frames if their times do not rise.

    They do not rise in AVI files of MPEG-4 with B-frames, for example, whose frames are evenly timed.
    """
    known = np.array([time for time in times if time is not None], np.int64)
    gaps = np.diff(known)
    if len(known) < max(2, len(times)) or (gaps <= 0).any():
        return len(times)
    return np.append(known, known[-1] + (last or int(np.median(gaps))))


def _upright(
    frame: av.VideoFrame, orientation: Orientation, form: ClipForm, reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    """Return one frame upright and resized, (H, W, 3)."""
    height, width = orientation.size(form.height, form.width)
    small = reformatter.reformat(frame, width, height, format="rgb24", interpolation="AREA", threads=1)
    rgb: NDArray[np.uint8] = orientation.upright(np.asarray(small.to_ndarray(), np.uint8))
    if form.gray:
        rgb = np.repeat(np.rint(rgb @ _LUMA).astype(np.uint8)[..., None], 3, axis=2)
    return rgb
