"""Read a whole video, frame by frame in bounded memory, with the audio packets in between.

Shapes: H height, W width of an upright frame. Its pixels need not be square.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from anon_tune.errors import DataError
from anon_tune.folder import why
from anon_tune.video.damage import DamageWatch, file_seconds, stream_seconds
from anon_tune.video.deinterlace import Deinterlacer
from anon_tune.video.opening import HOLD_DECODING_TIMES, UnreadableError, open_video
from anon_tune.video.orientation import Orientation, orientation_of

AudioPacket: TypeAlias = "av.Packet[Any]"

_REMEDY = "Repair it, or use another copy"
_PRIMING_S = 0.15  # most seconds before time 0 at the start of audio, which its decoder discards
_OPUS_PREROLL_S = Fraction(80, 1000)  # RFC 7845, section 4.6
_HDR = {16: "PQ", 18: "HLG"}  # FFmpeg's numbers of transfer functions


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """Properties of a video file.

    Attributes:
        container: FFmpeg's name of the container.
        codec: FFmpeg's name of the video codec.
        height: H in pixels.
        width: W in pixels.
        orientation: The turn and the mirroring that make a stored frame upright.
        fps: Average frame rate; 0 if unknown.
        num_frames: Declared number of frames; 0 if unknown.
        seconds: Declared length; 0 if unknown.
        time_base: Seconds per tick of its timestamps.
        audio: Codecs of its audio streams.
        other: Kinds of its other streams, which are not copied: subtitles, data, pictures.
        bits: Bits per sample.
        hdr: Transfer function, PQ or HLG, if the video has a high dynamic range, else empty.
        alpha: True if pixels may be transparent.
    """

    container: str
    codec: str
    height: int
    width: int
    orientation: Orientation
    fps: float
    num_frames: int
    seconds: float
    time_base: Fraction
    audio: tuple[str, ...]
    other: tuple[str, ...]
    bits: int
    hdr: str
    alpha: bool


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """One frame and its time.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright.
        pts: When it is shown, in ticks of the time base; rises from frame to frame.
        duration: How long it is shown, in ticks; 0 if unknown.
    """

    pixels: NDArray[np.uint8]
    pts: int
    duration: int


class VideoReader:
    """Reads a video from its first to its last frame, with the audio packets in between.

    Iterating yields every `TimedFrame` and every audio packet once, in the order of the file, from time 0. Interlaced
    frames are deinterlaced. A damaged frame, or a video that stops before its declared end, is an error: nothing is
    skipped silently.

    Args:
        path: The file.
        audio: Yield the packets of audio streams.
        accept_damage: Continue if damage is only suspected; see `DamageWatch`.

    Raises:
        DataError: The file holds no video that can be decoded. Iterating may raise it too.
    """

    def __init__(self, path: Path, audio: bool = True, accept_damage: bool = False) -> None:
        self.path = path
        try:
            self._container, self._video = open_video(path)
        except UnreadableError as error:
            raise self._unfit(error) from None
        except (av.FFmpegError, OSError) as error:
            raise self._error("cannot be read as a video", error) from None
        try:
            self.audio_streams = list(self._container.streams.audio) if audio else []
            self._wanted = {stream.index for stream in self.audio_streams}
            self._reformatter = VideoReformatter()
            self._last_pts: int | None = None
            self._last_heard: dict[int, tuple[int, int]] = {}
            self._watch = DamageWatch(self._container, self._video, accept_damage)
            self._deinterlacer = Deinterlacer()
            self._zero = self._first_time()
            self._items = self._read()
            self._first: list[Any] = []
            for item in self._items:  # the orientation is known only with the first frame
                self._first.append(item)
                if isinstance(item, av.VideoFrame):
                    break
            else:
                raise self._error("has no frames", remedy=_REMEDY)
            self.colour: tuple[int, int, int] = (item.colorspace, item.color_primaries, item.color_trc)
            self.facts = self._facts(item)
            self._shift = self._start(item)
        except UnreadableError as error:
            self._container.close()
            raise self._unfit(error) from None
        except BaseException:
            self._container.close()
            raise

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """Width of an upright pixel divided by its height; None if unknown."""
        ratio = self._video.sample_aspect_ratio
        return 1 / ratio if ratio and self.facts.orientation.quarters % 2 else ratio

    @property
    def damage(self) -> tuple[str, ...]:
        """The damage that was suspected and accepted so far, in words."""
        return self._watch.found

    @property
    def interlaced(self) -> bool:
        """True once a frame was deinterlaced."""
        return self._deinterlacer.worked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[TimedFrame | AudioPacket]:
        for item in itertools.chain(self._first, self._items):
            if isinstance(item, av.Packet):
                yield item
                continue
            for frame, time, duration in self._deinterlacer.push(item, self._time(item)):
                yield self._timed(frame, time, duration)
        for frame, time, duration in self._deinterlacer.flush():
            yield self._timed(frame, time, duration)

    def _timed(self, frame: av.VideoFrame, time: int | None, duration: int) -> TimedFrame:
        # The size may change within a stream, but not within the output.
        height, width = self.facts.orientation.size(self.facts.height, self.facts.width)
        rgb: Any = self._reformatter.reformat(frame, width, height, format="rgb24").to_ndarray()
        pixels = np.ascontiguousarray(self.facts.orientation.upright(rgb))
        return TimedFrame(pixels, self._next_pts(time, duration), duration)

    def _first_time(self) -> Fraction:
        """Return the seconds to subtract from all times, so that the file starts at 0 and its streams stay in step.

        Frames before time 0 would not be shown. Such times come from a clock that wraps, or from the start of audio
        that its decoder discards.
        """
        start = Fraction(self._container.start_time or 0, av.time_base)
        if -_PRIMING_S <= start < 0 and (self._video.start_time or 0) >= 0:
            return Fraction(0)
        return start

    def _start(self, first: av.VideoFrame) -> int:
        """Return the ticks to subtract from the times of frames."""
        time = self._time(first)
        if time is None:
            return 0
        if self._video.start_time is None and self._container.start_time is None:
            return time  # the file tells nothing of its start
        if self._container.format.name not in HOLD_DECODING_TIMES:
            # The first decoded frame may be later than the start, if the file was cut before a key frame.
            return round(self._zero / self.facts.time_base)
        start = time if self._video.start_time is None else self._video.start_time
        return int(time - start + round(self._zero / self.facts.time_base))

    def _time(self, frame: av.VideoFrame) -> int | None:
        """Return the tick at which a frame is shown. AVI and ASF hold decoding times, and FFmpeg guesses."""
        return frame.dts if self._container.format.name in HOLD_DECODING_TIMES else frame.pts

    def _next_pts(self, time: int | None, duration: int) -> int:
        """Return a frame's timestamp. If it has no time, or one that does not rise, add a step to the last one."""
        step = duration or (round(1 / (self.facts.fps * self.facts.time_base)) if self.facts.fps else 1)
        last = self._last_pts
        if time is not None and (last is None or time - self._shift > last):
            self._last_pts = int(time - self._shift)
        else:
            self._last_pts = 0 if last is None else last + max(1, int(step))
        return self._last_pts

    def _read(self) -> Iterator[av.VideoFrame | AudioPacket]:
        try:
            for packet in self._watch.packets():
                if packet.stream.index == self._video.index:
                    yield from self._watch.decode(packet)
                elif packet.size and packet.stream.index in self._wanted and not self._was_cut_away(packet):
                    yield self._from_zero(packet)
            self._watch.finish()
        except UnreadableError as error:
            raise self._unfit(error) from None
        except (av.FFmpegError, OSError) as error:
            raise self._error(f"cannot be decoded beyond {self._watch.end:.1f} seconds", error) from None

    def _was_cut_away(self, packet: AudioPacket) -> bool:
        """True for sound that an edit list hides, as of a trimmed recording, and that no decoder needs.

        FFmpeg marks such packets. A decoder needs the last one before time 0; Opus needs more.
        """
        if not packet.is_discard:
            return False
        needed = packet.duration or 0
        if codec_name(packet.stream) == "opus":
            needed = max(needed, round(_OPUS_PREROLL_S / packet.time_base))
        ends = (packet.pts or 0) - round(self._zero / packet.time_base) + (packet.duration or 0)
        return not -needed < ends <= 0

    def _from_zero(self, packet: AudioPacket) -> AudioPacket:
        ticks = round(self._zero / packet.time_base)
        if packet.pts is not None:
            time, last = packet.pts - ticks, self._last_heard.get(packet.stream_index)
            if last is not None and time <= last[0]:  # segments were joined: continue as for frames
                time = last[0] + max(1, last[1])
            self._last_heard[packet.stream_index] = time, packet.duration or 0
            # Audio plays in decoding order. MP4's demuxer omits a late start from dts, but not from pts.
            packet.pts = packet.dts = time
        return packet

    def _facts(self, first: av.VideoFrame) -> VideoFacts:
        turn = orientation_of(first)
        height, width = turn.size(first.height, first.width)
        chosen = {self._video.index, *(s.index for s in self._container.streams.audio)}
        components = first.format.components
        return VideoFacts(
            container=self._container.format.name,
            codec=self._video.codec_context.name,
            height=height,
            width=width,
            orientation=turn,
            fps=float(self._video.average_rate or self._video.guessed_rate or 0),
            num_frames=self._video.frames,
            seconds=stream_seconds(self._container, self._video) or file_seconds(self._container),
            time_base=self._video.time_base or Fraction(1, 1000),
            audio=tuple(codec_name(s) for s in self._container.streams.audio),
            other=tuple(s.type for s in self._container.streams if s.index not in chosen),
            bits=max(component.bits for component in components),
            hdr=_HDR.get(first.color_trc, ""),
            # WebM stores alpha beside the frames, and its decoder does not report it.
            alpha=any(one.is_alpha for one in components) or self._video.metadata.get("alpha_mode", "0") != "0",
        )

    def _unfit(self, error: UnreadableError) -> DataError:
        return DataError(str(self.path), error.rule, error.got, error.remedy)

    def _error(self, rule: str, error: Exception | None = None, remedy: str = _REMEDY) -> DataError:
        return DataError(str(self.path), rule, remedy=remedy, cause=why(error) if error else "")


def codec_name(stream: av.AudioStream) -> str:
    """Return FFmpeg's name of an audio stream's codec."""
    return stream.codec_context.name if stream.codec_context else "unknown"
