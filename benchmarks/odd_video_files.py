"""Write videos that are odd, with frames that a reader can tell apart; for `odd_videos.py`.

Shapes: F frames, H height, W width.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

Frames = NDArray[np.int64]
HEIGHT, WIDTH, RATE, NUM = 48, 64, 25, 10
_SOUND_RATE, _SAMPLES = 48_000, 960
_QUALITY = {"libx264": {"crf": "8"}, "libx265": {"crf": "8", "x265-params": "log-level=0"}, "libsvtav1": {"crf": "8"}}


@dataclass(frozen=True)
class Form:
    """How a video is written.

    Attributes:
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        size: H and W.
        times: Seconds at which the frames are shown.
        container: FFmpeg's name of the container; None for the one of the file's suffix.
        container_options: Options of the container.
        matrix: Display matrix: a b u, c d v, x y w.
        flags: Flags of the encoder.
        options: Options of the encoder.
        colour: FFmpeg's numbers of colour space, primaries and transfer function.
        audio: Encoders of audio streams; a minus in front puts the stream before the video.
        audio_start: Seconds at which audio starts.
        audio_s: Seconds of audio; None for the length of the video.
    """

    codec: str = "libx264"
    pixels: str = "yuv420p"
    size: tuple[int, int] = (HEIGHT, WIDTH)
    times: Sequence[float] = tuple(at / RATE for at in range(NUM))
    container: str | None = None
    container_options: Mapping[str, str] = field(default_factory=dict)
    matrix: Sequence[int] | None = None
    flags: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    colour: tuple[int, int, int] | None = None
    audio: Sequence[str] = ()
    audio_start: float = 0.0
    audio_s: float | None = None


def pictures(form: Form) -> Frames:
    """Return the frames of a video, (F,H,W,3), of which no two, and no two corners, are the same."""
    height, width = form.size
    rows, columns = np.mgrid[:height, :width]
    down, right = rows * 200 // max(height - 1, 1), columns * 200 // max(width - 1, 1)
    levels = [rows * 0 + 20 * at % 256 for at in range(len(form.times))]
    return np.stack([np.stack([down, right, level], axis=2) for level in levels]).astype(np.int64)


def write(form: Form, path: Path) -> None:
    """Write a video whose colours change from side to side and from frame to frame."""
    made = {"format": form.container, "options": dict(form.container_options)}
    with av.open(f"file:{path}", "w", **made) as container:
        first = [container.add_stream(name[1:], rate=_SOUND_RATE) for name in form.audio if name.startswith("-")]
        options = dict(_QUALITY.get(form.codec, {})) | dict(form.options)
        stream: Any = container.add_stream(form.codec, rate=RATE, options=options)
        stream.height, stream.width = form.size
        stream.pix_fmt = form.pixels
        if "crf" not in options:
            stream.bit_rate = 4_000_000
        context = stream.codec_context
        context.flags |= form.flags
        if any(abs(at * RATE - round(at * RATE)) > 1e-6 for at in form.times):
            context.time_base = Fraction(1, 90_000)
        if form.colour:
            context.colorspace, context.color_primaries, context.color_trc = form.colour
        if form.matrix:
            stream.set_display_matrix(form.matrix)
        rest = [container.add_stream(name, rate=_SOUND_RATE) for name in form.audio if not name.startswith("-")]
        unit = context.time_base or Fraction(1, RATE)
        for at, pixels in zip(form.times, pictures(form), strict=True):
            picture = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24").reformat(format=form.pixels)
            picture.pts, picture.time_base = round(Fraction(at) / unit), unit
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        for sound in (*first, *rest):
            _write_silence(container, sound, form)


def _write_silence(container: Any, sound: Any, form: Form) -> None:
    sound.bit_rate = 128_000
    kind = sound.codec_context.format
    seconds = form.times[-1] - form.times[0] + 1 / RATE if form.audio_s is None else form.audio_s
    for at in range(round(seconds * _SOUND_RATE / _SAMPLES)):
        wave = av.AudioFrame(format=kind.name, layout="stereo", samples=_SAMPLES)
        for plane in wave.planes:
            plane.update(bytes(plane.buffer_size))
        wave.rate, wave.pts = _SOUND_RATE, round(form.audio_start * _SOUND_RATE) + at * _SAMPLES
        container.mux(sound.encode(wave))
    container.mux(sound.encode(None))


def write_sound(path: Path) -> None:
    """Write a file with sound and no video."""
    with av.open(str(path), "w") as container:
        _write_silence(container, container.add_stream("aac", rate=_SOUND_RATE), Form())


def write_cover(path: Path, is_first: bool) -> None:
    """Write an MP4 with a cover picture, which tagging tools put before the tracks."""
    plain = path.with_name(".plain.mp4")
    write(Form(), plain)
    with av.open(str(plain)) as source, av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream_from_template(source.streams[0])
        picture: Any = container.add_mux_stream("mjpeg", width=WIDTH, height=HEIGHT)
        picture.disposition = Disposition.attached_pic
        _mux(container, source, stream)
        still: Any = av.CodecContext.create("mjpeg", "w")
        still.width, still.height, still.pix_fmt, still.time_base = WIDTH, HEIGHT, "yuvj420p", Fraction(1, RATE)
        (data,) = [*still.encode(av.VideoFrame(WIDTH, HEIGHT, "yuvj420p")), *still.encode(None)]
        data.stream, data.pts, data.dts = picture, 0, 0
        container.mux(data)
    plain.unlink()
    if is_first:
        path.write_bytes(b"".join(_tags_first(path.read_bytes())))


def _mux(container: Any, source: Any, stream: Any) -> None:
    for packet in source.demux(source.streams[0]):
        if packet.size:
            packet.stream = stream
            container.mux(packet)


def _tags_first(data: bytes) -> Iterator[bytes]:
    for kind, box in _boxes(data):
        if kind == b"moov":
            parts = sorted(_boxes(box[8:]), key=lambda part: (b"mvhd", b"udta", part[0]).index(part[0]))
            yield box[:8] + b"".join(part for _, part in parts)
        else:
            yield box


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at : at + size]
        at += size


def write_subtitle(path: Path, seconds: int) -> None:
    """Write a Matroska file with a subtitle that is shown from 0 to so many seconds."""
    text, plain = path.with_name(".text.srt"), path.with_name(".plain.mkv")
    text.write_text(f"1\n00:00:00,000 --> 00:{seconds // 60:02}:{seconds % 60:02},500\nhello\n")
    write(Form(), plain)
    with av.open(str(plain)) as video, av.open(str(text)) as words, av.open(str(path), "w") as container:
        streams = [container.add_stream_from_template(source.streams[0]) for source in (words, video)]
        for source, stream in zip((words, video), streams, strict=True):
            _mux(container, source, stream)
    text.unlink()
    plain.unlink()


def write_joined(path: Path, second: float, form: Form = Form()) -> None:
    """Put two MPEG-TS segments together, the second of which starts at so many seconds."""
    parts = []
    for start in (0.0, second):
        write(Form(form.codec, times=[start + at for at in Form.times], container="mpegts", flags=form.flags), path)
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))


def write_torn(form: Form, how: str, seed: int, path: Path) -> None:
    """Write a video and damage it.

    Args:
        form: The whole video.
        how: Its end is ``cut``, a part is filled with ``zeros`` or ``noise`` or is ``lost``, its ``head`` is hit, or it
            has ``more`` at its end.
        seed: Decides where.
        path: The file.
    """
    write(form, path)
    draw, data = random.Random(f"{how} {seed} {path.suffix}"), bytearray(path.read_bytes())
    at = draw.randrange(len(data) // 8, len(data))
    long = min(draw.randrange(20, 400), len(data) - at)
    match how:
        case "cut":
            del data[at:]
        case "zeros":
            data[at : at + long] = bytes(long)
        case "noise":
            data[at : at + long] = draw.randbytes(long)
        case "lost":
            del data[at : at + long]
        case "more":
            data += draw.randbytes(long)
        case "head":
            for _ in range(3):
                data[draw.randrange(min(300, len(data)))] = draw.randrange(256)
    path.write_bytes(data)
