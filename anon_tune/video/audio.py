"""Write the audio of a video: packets are copied, or encoded again if the container cannot hold them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import av
from av.container import OutputContainer

from anon_tune.errors import DataError
from anon_tune.folder import why
from anon_tune.video.reader import AudioPacket, codec_name
from anon_tune.video.vorbis import without_comments

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffixes that a written file may have, each with FFmpeg's name of the container."""

_SILENCE_BYTES = 2_880  # whole samples of 1 to 6 channels with 1 to 8 bytes each
_AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)


class WrittenAudio:
    """Writes the audio streams of a source into a container.

    Args:
        container: The container that is written.
        sources: The audio streams of the input.
        suffix: The suffix of the output, a key of `FORMATS`.
        encode: Encode audio as AAC if the container cannot hold it as it is.
        where: The input, for errors.

    Attributes:
        encoded: Codecs of the streams that are encoded again.

    Raises:
        DataError: The container cannot hold a stream, and `encode` is not given.
    """

    def __init__(
        self, container: OutputContainer, sources: Sequence[av.AudioStream], suffix: str, encode: bool, where: str
    ) -> None:
        self._container, self._where = container, where
        self._is_matroska = FORMATS[suffix] == "matroska"
        self._copied: dict[int, Any] = {}
        self._encoders: dict[int, Any] = {}
        self._earliest = {source.index: -_delay(source) for source in sources}
        for source in sources:
            if _holds(suffix, source):
                self._copied[source.index] = _copy(container, source)
            elif encode and source.codec_context is not None:
                self._encoders[source.index] = _aac(container, source)
            else:
                raise _refused(sources, source, suffix, where)
        self.encoded = tuple(codec_name(one) for one in sources if one.index in self._encoders)

    def write(self, packet: AudioPacket) -> None:
        """Write one packet of an audio stream.

        Raises:
            DataError: The packet is damaged.
        """
        encoder = self._encoders.get(packet.stream_index)
        try:
            if encoder is None:
                if self._ends_before_0(packet):
                    return
                packet.stream = self._copied[packet.stream_index]
                self._container.mux(packet)
                return
            frames = packet.decode()
        except av.InvalidDataError as error:
            rule, remedy = "its audio is damaged", "Leave it out with --drop-audio, or use another copy"
            raise DataError(self._where, rule, remedy=remedy, cause=why(error)) from None
        for frame in frames:
            self._container.mux(encoder.encode(frame))

    def _ends_before_0(self, packet: AudioPacket) -> bool:
        """True for a packet of which Matroska can show nothing; one that reaches beyond time 0 is moved to it.

        Matroska has no times below 0, and FFmpeg would move the video with the audio.
        """
        if not self._is_matroska or packet.pts is None or packet.pts >= self._earliest[packet.stream_index]:
            return False
        ends = packet.pts + (packet.duration or 0)
        packet.pts = packet.dts = 0
        return ends <= 0

    def finish(self) -> None:
        """Write the packets that the encoders still hold."""
        for encoder in self._encoders.values():
            self._container.mux(encoder.encode(None))


def _delay(source: av.AudioStream) -> int:
    """Return the ticks before time 0 that Matroska can hold: it stores what a decoder must discard, if it is told."""
    context = source.codec_context
    if context is None or not context.sample_rate:
        return 0
    return math.ceil(context.delay / (context.sample_rate * (source.time_base or 1)))


def _aac(container: OutputContainer, source: av.AudioStream) -> Any:
    rate = source.codec_context.sample_rate
    encoder = container.add_stream("aac", rate=rate if rate in _AAC_RATES else 48_000)
    encoder.layout = "mono" if source.codec_context.channels == 1 else "stereo"
    return encoder


def _copy(container: OutputContainer, source: av.AudioStream) -> Any:
    """Add a stream for the packets of a source, without the comments that its headers may hold.

    Raises:
        ValueError: The container or FFmpeg does not know the codec, or it is unknown what the headers hold.
    """
    stream: Any = container.add_stream_from_template(source)
    if codec_name(source) == "vorbis":
        headers = without_comments(bytes(source.codec_context.extradata or b""))
        if headers is None:
            raise ValueError("unknown form of headers")
        stream.codec_context.extradata = headers
    return stream


def _holds(suffix: str, source: av.AudioStream) -> bool:
    """True if a container can hold the packets of a stream. Some refuse them only when the header is written.

    MP4 refuses plain samples even later, if it is not known which channels they are of.
    """
    try:
        container = av.open(io.BytesIO(), "w", format=FORMATS[suffix])
        stream = _copy(container, source)
        container.start_encoding()
        if codec_name(source).startswith("pcm_"):
            silence = av.Packet(bytes(_SILENCE_BYTES))
            silence.stream, silence.pts, silence.dts = stream, 0, 0
            container.mux(silence)
            container.close()
    except (ValueError, av.FFmpegError):
        return False
    return True


def _refused(sources: Sequence[av.AudioStream], source: av.AudioStream, suffix: str, where: str) -> DataError:
    endings = [ending for ending in FORMATS if all(_holds(ending, one) for one in sources)]
    other = f"let the output end in {' or '.join(endings)}, " if endings else ""
    remedy = f"To keep it, {other}{'or ' if other else ''}add --encode-audio; or leave it out with --drop-audio"
    return DataError(where, f"its audio cannot be copied into {suffix}", codec_name(source), remedy)
