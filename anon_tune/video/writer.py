"""Write a whole video, frame by frame in bounded memory, with the audio of the input.

Shapes: H height, W width of an upright frame. Its pixels need not be square.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import VideoReformatter

from anon_tune.errors import ExportError
from anon_tune.video.audio import FORMATS, WrittenAudio
from anon_tune.video.opening import as_file
from anon_tune.video.read_back import Promise
from anon_tune.video.reader import AudioPacket, TimedFrame, VideoReader

_UNSPECIFIED, _LIMITED = 2, 1  # FFmpeg's numbers of an unknown colour space and of limited range
_KNOWN_COLOURS = (1, 4, 5, 6, 7, 9)  # FFmpeg's numbers of the colour spaces that its scaler converts


class VideoWriter:
    """Writes H.264 video with the given timestamps, and copies audio packets without encoding them again.

    Metadata of the source file (location, device, time, author) and its other streams are not copied. Frames are given
    upright, so no rotation is written. A frame with an odd side keeps its size by using 4:4:4 colour, because 4:2:0
    needs even sides. Matroska stores timestamps in milliseconds.

    Args:
        path: File to write. It exists, unfinished, from the start.
        reader: The input, for its audio streams, time base and colours.
        height: H in pixels.
        width: W in pixels.
        crf: Constant rate factor of x264, 0 (finest) to 51.
        output: The name that the file will get; its suffix is a key of `FORMATS`.
        encode_audio: Encode audio as AAC if the container cannot hold it, instead of raising an error.

    Attributes:
        encoded_audio: Codecs of the audio that is encoded again.

    Raises:
        DataError: The container cannot hold the audio.
        ExportError: The file cannot be written.
    """

    def __init__(
        self, path: Path, reader: VideoReader, height: int, width: int, crf: int, output: Path, encode_audio: bool
    ) -> None:
        self._path, self._output = path, str(output)
        suffix = output.suffix.lower()
        try:
            # Bit-exact: neither versions nor times are written.
            options = {"fflags": "+bitexact"}
            self._container = av.open(as_file(path), "w", format=FORMATS[suffix], container_options=options)
        except (av.FFmpegError, OSError) as error:
            remedy = "Choose another folder with -o"
            raise ExportError(self._output, "cannot be written", remedy=remedy, cause=error.strerror) from None
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
        self._audio = WrittenAudio(self._container, reader.audio_streams, suffix, encode_audio, str(reader.path))
        self.encoded_audio = self._audio.encoded
        self._promise = Promise(self._time_base)

    def write(self, frame: TimedFrame) -> None:
        """Encode one frame; its pixels must be (H, W, 3) uint8 RGB."""
        picture = av.VideoFrame.from_ndarray(frame.pixels, format="rgb24")
        picture = self._reformatter.reformat(
            picture, format=self._pixel_format, dst_colorspace=self._colour, dst_color_range=_LIMITED
        )
        self._promise.add(frame.pts)
        picture.pts, picture.time_base, picture.duration = frame.pts, self._time_base, frame.duration
        with self._told():
            self._container.mux(self._stream.encode(picture))

    def copy(self, packet: AudioPacket) -> None:
        """Write one audio packet of the reader."""
        with self._told():
            self._audio.write(packet)

    def close(self) -> None:
        """Write the frames and packets that the encoders still hold, close the file, and read it back.

        Raises:
            ExportError: The file cannot be written, or does not have the frames and times that were given.
        """
        with self._told():
            self._container.mux(self._stream.encode(None))
            self._audio.finish()
            self._container.close()
        self._promise.check(self._path, self._output)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                remedy = "Free space"
            elif isinstance(error, OSError):
                remedy = "Choose another folder with -o"
            else:
                remedy = "Name another output, or add --drop-audio"
            raise ExportError(self._output, "cannot be written", remedy=remedy, cause=error.strerror) from None
