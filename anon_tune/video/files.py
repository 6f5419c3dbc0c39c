"""Whole videos in and out, frame by frame in bounded memory; audio goes along as it is.

Shapes: H height, W width, of a frame as it is shown: upright, square pixels or not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
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

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""What a written file may end in, and FFmpeg's name of that container."""

AudioPacket: TypeAlias = "av.Packet[Any]"

_REMEDY = "Repair it, or use another copy"
_UNSPECIFIED, _LIMITED = 2, 1  # FFmpeg's numbers of a colour space and of a range
_KNOWN_COLOURS = (1, 4, 5, 6, 7, 9)  # of those that its scaler converts
_SMALL_CUT = 0.02  # of a video's length: a header rounds, and the last frame may have no length


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video file says of itself.

    Attributes:
        container: FFmpeg's name.
        codec: Of the video stream.
        height: H in pixels.
        width: W in pixels.
        quarters: Quarter turns, against the clock, that show a stored frame upright.
        fps: On average; 0 if unknown.
        num_frames: As declared; 0 if unknown.
        seconds: As declared; 0 if unknown.
        time_base: Seconds of a tick of its time stamps.
        audio: Codecs of its audio streams.
        other: Kinds of its other streams, which are not copied: subtitles, data, pictures.
    """

    container: str
    codec: str
    height: int
    width: int
    quarters: int
    fps: float
    num_frames: int
    seconds: float
    time_base: Fraction
    audio: tuple[str, ...]
    other: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimedFrame:
    """One frame, and when it is shown.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright.
        pts: Ticks of the time base; rises from frame to frame.
        duration: Ticks, 0 if unknown.
    """

    pixels: NDArray[np.uint8]
    pts: int
    duration: int


class VideoReader:
    """Reads a video from its first to its last frame, with the audio packets in between.

    Iterating yields every `TimedFrame` and every audio packet once, in the order of the file. A damaged frame, or a
    video that stops before its declared end, is an error: nothing is skipped silently.

    Args:
        path: The file.
        audio: Yield the packets of audio streams.

    Raises:
        DataError: There is no video in it that can be decoded; also while iterating.
    """

    def __init__(self, path: Path, audio: bool = True) -> None:
        self.path = path
        try:
            if path.is_file() and not path.stat().st_size:  # a pipe has no size either
                raise self._error("is an empty file")
            self._container = av.open(str(path), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise self._error("cannot be read as a video", error) from None
        try:
            streams = self._container.streams
            pictures = {s.index for s in streams.video if s.disposition & av.stream.Disposition.attached_pic}
            shown = [s for s in streams.video if s.index not in pictures]
            if not shown:
                raise self._error("has no video stream", remedy="Give a file that has one")
            self._video = shown[0]
            if self._video.codec_context is None:
                raise self._error("there is no decoder for its video", remedy="Convert it first")
            self._video.thread_type = "AUTO"
            self.audio_streams = list(streams.audio) if audio else []
            self._wanted = {stream.index for stream in self.audio_streams}
            self._reformatter = VideoReformatter()
            self._last_pts: int | None = None
            self._zero = Fraction(max(0, self._container.start_time or 0), av.time_base)  # seconds
            self._items = self._read()
            self._first: list[Any] = []
            for item in self._items:  # a rotation is known with the first frame only
                self._first.append(item)
                if isinstance(item, av.VideoFrame):
                    break
            else:
                raise self._error("has no frames", remedy=_REMEDY)
            self.colour: tuple[int, int, int] = (item.colorspace, item.color_primaries, item.color_trc)
            self.facts = self._facts(item)
            self._shift = self._start(item)
        except BaseException:
            self._container.close()
            raise

    @property
    def sample_aspect_ratio(self) -> Fraction | None:
        """Width over height of a pixel as shown, None if unknown."""
        ratio = self._video.sample_aspect_ratio
        return 1 / ratio if ratio and self.facts.quarters % 2 else ratio

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[TimedFrame | AudioPacket]:
        turns = self.facts.quarters
        size = (self.facts.height, self.facts.width) if turns % 2 else (self.facts.width, self.facts.height)
        for item in itertools.chain(self._first, self._items):
            if isinstance(item, av.Packet):
                yield item
                continue
            # A stream may change its size on the way; what is written cannot.
            rgb = self._reformatter.reformat(item, *size, format="rgb24").to_ndarray()
            yield TimedFrame(np.ascontiguousarray(np.rot90(rgb, turns)), self._next_pts(item), item.duration or 0)

    def _start(self, first: av.VideoFrame) -> int:
        """Return the ticks to take off, so that the file starts at 0 and its streams stay in step."""
        time = self._time(first)
        if time is None:
            return 0
        start = time if self._video.start_time is None else self._video.start_time
        return int(time - start + round(self._zero / self.facts.time_base))

    def _time(self, frame: av.VideoFrame) -> int | None:
        """Return the tick a frame is shown at; AVI has times of decoding only, what FFmpeg makes of them jumps."""
        return frame.dts if self._container.format.name == "avi" else frame.pts

    def _next_pts(self, frame: av.VideoFrame) -> int:
        """Return the frame's time stamp; count on where there is none, or one that does not rise."""
        step = frame.duration or (round(1 / (self.facts.fps * self.facts.time_base)) if self.facts.fps else 1)
        last, time = self._last_pts, self._time(frame)
        if time is not None and (last is None or time - self._shift > last):
            self._last_pts = int(time - self._shift)
        else:
            self._last_pts = 0 if last is None else last + max(1, int(step))
        return self._last_pts

    def _read(self) -> Iterator[av.VideoFrame | AudioPacket]:
        stream, end, heard = self._video, 0.0, 0.0
        try:
            packet: av.Packet[Any]
            for packet in self._container.demux([stream, *self._container.streams.audio]):
                if packet.stream is not stream:
                    if packet.size and packet.pts is not None:
                        heard = max(heard, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                    if packet.size and packet.stream_index in self._wanted:
                        yield self._from_zero(packet)
                    continue
                if packet.is_corrupt:
                    raise self._error(f"is damaged or cut off after {end:.1f} seconds", remedy=_REMEDY)
                for frame in stream.decode(packet):
                    if frame.is_corrupt:
                        raise self._error(f"has a damaged frame after {end:.1f} seconds", remedy=_REMEDY)
                    if frame.time is not None:
                        end = max(end, float(frame.time + (frame.duration or 0) * (frame.time_base or 0)))
                    yield frame
        except (av.FFmpegError, OSError) as error:
            raise self._error(f"cannot be decoded beyond {end:.1f} seconds", error) from None
        start, declared = float((stream.start_time or 0) * (stream.time_base or 0)), self._declared_seconds()
        if not declared:  # only the whole file says how long it is, which its audio may fill
            start, declared, end = float(self._zero), self._file_seconds(), max(end, heard)
        if declared - (end - start) > max(1.0, _SMALL_CUT * declared):
            raise self._error(f"stops after {end - start:.1f} of {declared:.1f} seconds", remedy=_REMEDY)

    def _from_zero(self, packet: AudioPacket) -> AudioPacket:
        ticks = round(self._zero / packet.time_base)
        if packet.pts is not None:
            # Audio is shown in the order it is decoded; MP4's demuxer leaves a late start out of dts.
            packet.pts = packet.dts = packet.pts - ticks
        return packet

    def _declared_seconds(self) -> float:
        return float((self._video.duration or 0) * (self._video.time_base or 0))

    def _file_seconds(self) -> float:
        return (self._container.duration or 0) / av.time_base

    def _facts(self, first: av.VideoFrame) -> VideoFacts:
        turns = round(first.rotation / 90) % 4
        height, width = (first.width, first.height) if turns % 2 else (first.height, first.width)
        chosen = {self._video.index, *(s.index for s in self._container.streams.audio)}
        return VideoFacts(
            container=self._container.format.name,
            codec=self._video.codec_context.name,
            height=height,
            width=width,
            quarters=turns,
            fps=float(self._video.average_rate or self._video.guessed_rate or 0),
            num_frames=self._video.frames,
            seconds=self._declared_seconds() or self._file_seconds(),
            time_base=self._video.time_base or Fraction(1, 1000),
            audio=tuple(_codec_name(s) for s in self._container.streams.audio),
            other=tuple(s.type for s in self._container.streams if s.index not in chosen),
        )

    def _error(self, rule: str, error: Exception | None = None, remedy: str = _REMEDY) -> DataError:
        return DataError(str(self.path), rule, remedy=remedy, cause=why(error) if error else "")


class VideoWriter:
    """Writes H.264 video with the given timestamps, and copies audio packets without encoding them again.

    Metadata of the source file (location, device, time, author) and its other streams are not copied. Frames are given
    upright, so no rotation is written. A frame with an odd side keeps its size by using 4:4:4 colour, because 4:2:0
    needs even sides. Matroska stores timestamps in milliseconds.

    Args:
        path: The file to write; it is there, unfinished, from the start.
        reader: Where audio, time base and colours come from.
        height: H in pixels.
        width: W in pixels.
        crf: Constant rate factor of x264, 0 (finest) to 51.
        suffix: A key of `FORMATS`.

    Raises:
        DataError: The container cannot hold the audio, or the file cannot be written.
    """

    def __init__(self, path: Path, reader: VideoReader, height: int, width: int, crf: int, suffix: str) -> None:
        self._where = str(reader.path)
        try:
            # Bit-exact: neither versions nor times are written.
            options = {"fflags": "+bitexact"}
            self._container = av.open(str(path), "w", format=FORMATS[suffix], container_options=options)
        except (av.FFmpegError, OSError) as error:
            where, remedy = str(path.parent), "Name another place"
            raise DataError(where, "cannot be written", remedy=remedy, cause=error.strerror) from None
        self._time_base = reader.facts.time_base
        self._pixel_format = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        self._reformatter = VideoReformatter()
        rate = Fraction(reader.facts.fps or 25).limit_denominator(100_000)
        stream = self._container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = width, height, self._pixel_format
        stream.time_base = self._time_base
        context = stream.codec_context
        context.time_base = self._time_base
        if reader.sample_aspect_ratio:
            context.sample_aspect_ratio = reader.sample_aspect_ratio
        space, primaries, curve = reader.colour
        self._colour = space if space in _KNOWN_COLOURS else _UNSPECIFIED
        context.color_range, context.colorspace = _LIMITED, self._colour
        context.color_primaries, context.color_trc = primaries, curve
        self._stream = stream
        self._audio: dict[int, Any] = {}
        for source in reader.audio_streams:
            self._audio[source.index] = self._copied(source, suffix)

    def _copied(self, source: av.AudioStream, suffix: str) -> av.AudioStream:
        try:
            return self._container.add_stream_from_template(source)
        except ValueError:
            rule = f"its audio cannot be copied into {suffix}"
            remedy = "Add --drop-audio, or try another ending of .mp4, .mov and .mkv"
            raise DataError(self._where, rule, _codec_name(source), remedy) from None

    def write(self, frame: TimedFrame) -> None:
        """Encode one frame; its pixels must be (H, W, 3) uint8 RGB."""
        picture = av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")
        picture = self._reformatter.reformat(
            picture, format=self._pixel_format, dst_colorspace=self._colour, dst_color_range=_LIMITED
        )
        picture.pts, picture.time_base, picture.duration = frame.pts, self._time_base, frame.duration
        with self._told():
            self._container.mux(self._stream.encode(picture))

    def copy(self, packet: AudioPacket) -> None:
        """Write one audio packet of the reader."""
        packet.stream = self._audio[packet.stream.index]
        with self._told():
            self._container.mux(packet)

    def close(self) -> None:
        """Write what the encoder still holds, and the end of the file."""
        with self._told():
            self._container.mux(self._stream.encode(None))
            self._container.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            remedy = "Free the disk, add --drop-audio, or name another kind of output"
            rule = "the output cannot be written"
            raise DataError(self._where, rule, remedy=remedy, cause=error.strerror) from None


def _codec_name(stream: av.AudioStream) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"
