"""Detect damage while a video is decoded: places that the demuxer or decoder marks, and an end that comes too early."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import av
from av.container import InputContainer

from anon_tune.video.opening import HOLD_DECODING_TIMES, UnreadableError

_SMALL_CUT = 0.02  # fraction of a video's length; headers round it
_GRACE_S = 0.5
_MOST_LATE = 1.5  # frames from the start of the stream to the first decoded frame
_MOST_NAMED = 10
_REMEDY = "Use another copy, or add --accept-damage to take what can be decoded"
_HINT = "--accept-damage takes what can be decoded"


class DamageWatch:
    """Checks every packet and frame of a file for damage.

    The damage is only suspected: joined segments look the same, and so does a header that declares too many seconds.
    With `accept`, damage is recorded and no error is raised; frames that cannot be decoded are left out.

    Args:
        container: The open file, from which nothing was decoded yet.
        stream: The video stream of the file. Its decoder is set up to report errors.
        accept: Record damage instead of raising an error.

    Attributes:
        end: Seconds at which the last decoded frame ends.
        found: Descriptions of the recorded damage; only the first ten, then the number of the others.
    """

    def __init__(self, container: InputContainer, stream: av.VideoStream, accept: bool = False) -> None:
        self._container, self._stream, self._accept = container, stream, accept
        self.end = 0.0
        self._has_begun = False
        self._reached = 0.0  # seconds that another stream reaches
        self._notes: list[str] = []
        self._num_more = 0
        context = stream.codec_context
        # Threads of FFmpeg drop the errors of the last frames, and mark a damaged frame in one run and not in the next.
        context.thread_count = 1
        # Otherwise a decoder fills in what is missing, often without a mark.
        context.options = {"err_detect": "explode"}

    @property
    def found(self) -> tuple[str, ...]:
        more = (f"{self._num_more} more places are marked as damaged",) if self._num_more else ()
        return (*self._notes, *more)

    def packets(self) -> Iterator[av.Packet[Any]]:
        """Yield the packets of the video and the audio. Those of other streams only tell how far the file reaches."""
        wanted = {self._stream.index, *(stream.index for stream in self._container.streams.audio)}
        for packet in self._container.demux():
            if packet.stream.index != self._stream.index and packet.size and packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._reached = max(self._reached, end)
            if packet.stream.index in wanted:
                yield packet

    def decode(self, packet: av.Packet[Any]) -> Iterator[av.VideoFrame]:
        """Yield the frames of a packet of the video."""
        if packet.is_corrupt:
            at = self.end if packet.pts is None else float(packet.pts * packet.time_base)
            self._suspect(f"is damaged, or was cut or joined, after {self._after_start(at):.1f} seconds")
        try:
            frames = self._stream.decode(packet)
        except av.InvalidDataError:
            self._suspect(f"has a frame that cannot be decoded, after {self._after_start(self.end):.1f} seconds")
            return
        for frame in frames:
            if not self._has_begun:
                self._has_begun = True
                self._check_begin(frame)
            if frame.is_corrupt:
                self._suspect(f"has a damaged frame after {self._after_start(self.end):.1f} seconds")
            if frame.time is not None:
                self.end = max(self.end, float(frame.time + (frame.duration or 0) * (frame.time_base or 0)))
            yield frame

    def _check_begin(self, first: av.VideoFrame) -> None:
        """Find frames that the decoder left out without an error, because the file was cut between two key frames."""
        stream = self._stream
        if first.time is None or stream.start_time is None or self._container.format.name in HOLD_DECODING_TIMES:
            return
        lost = float(first.time) - float(self._start())
        if lost > _MOST_LATE * float(1 / (stream.average_rate or 25)):
            self._suspect(f"cannot be decoded in its first {lost:.1f} seconds, before its first key frame")

    def finish(self) -> None:
        """Compare the end of the video with what the file declares.

        Raises:
            UnreadableError: The video stops well before its declared end.
        """
        start, end, declared = float(self._start()), self.end, stream_seconds(self._container, self._stream)
        grace = _GRACE_S
        if not declared:  # only the file declares a length, which may be that of another stream
            start, declared = (self._container.start_time or 0) / av.time_base, file_seconds(self._container)
            end, grace = max(end, self._reached), 2 * _GRACE_S
        frame = 1 / (self._stream.average_rate or 25)  # the last frame may have no duration
        if declared - (end - start) > max(grace, _SMALL_CUT * declared) + frame:
            self._suspect(f"stops after {end - start:.1f} of {declared:.1f} seconds")

    def _start(self) -> Any:
        return (self._stream.start_time or 0) * (self._stream.time_base or 0)

    def _after_start(self, seconds: float) -> float:
        return max(0.0, seconds - float(self._start()))

    def _suspect(self, what: str) -> None:
        if not self._accept:
            raise UnreadableError(what, remedy=_REMEDY, noun=f"the video {what}; {_HINT}")
        if len(self._notes) < _MOST_NAMED:
            self._notes.append(what)
        else:
            self._num_more += 1


def stream_seconds(container: InputContainer, stream: av.VideoStream) -> float:
    """Return the declared length of a video stream in seconds; 0 if only the file declares a length, or nothing does.

    Matroska declares one length for the file, that of its longest stream. Most writers add one per stream as a tag.
    """
    if stream.duration:
        return float(stream.duration * (stream.time_base or 0))
    tags = [text for name, text in stream.metadata.items() if re.fullmatch(r"DURATION(-\w+)?", name, re.IGNORECASE)]
    if not (tags and (parts := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tags[0].strip()))):
        return 0.0
    end = int(parts[1]) * 3600 + int(parts[2]) * 60 + float(parts[3])
    start = max(0.0, float((stream.start_time or 0) * (stream.time_base or 0)))
    # A tool that cuts a file may leave the old tag, so the length of the file is the limit.
    return max(0.0, min(end, file_seconds(container) or end) - start)


def file_seconds(container: InputContainer) -> float:
    """Return the declared length of a file in seconds; 0 if it declares none."""
    return (container.duration or 0) / av.time_base
