"""The audio of a written video: in step with the picture, and without what a player of the source does not play."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anon_tune.export import VideoOptions, anonymize_video, load_method
from anon_tune.video.vorbis import without_comments

RATE = 48_000


def write_video(path: Path, codec: str = "aac", loud_s: tuple[float, float] = (0.5, 1.5), start_s: float = 0.0) -> Path:
    """Write two seconds of grey frames from time 0, and audio from `start_s` on with a tone at `loud_s`."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream(codec, rate=RATE)
        sound.layout = "mono"
        for at in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * at, np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        times = np.arange(round(start_s * RATE), 2 * RATE) / RATE
        wave = np.where((times >= loud_s[0]) & (times < loud_s[1]), np.sin(2000 * times) / 2, 0).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), round(start_s * RATE)
        resampler = av.AudioResampler(sound.format, "mono", RATE, frame_size=sound.codec_context.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))
    return path


def anonymize(source: Path, target: Path) -> Path:
    anonymize_video(source, target, load_method("identity").anonymizer, VideoOptions())
    return target


def first_loud_s(path: Path, **options: str) -> float:
    """Return when a player first hears something; infinity if never."""
    with av.open(str(path), options=options) as container:
        for frame in container.decode(audio=0):
            levels = np.abs(frame.to_ndarray().reshape(-1, frame.samples).astype(float)).max(axis=0)
            if levels.max() > 0.02:
                return float(frame.time) + float(np.argmax(levels > 0.02)) / RATE
    return float("inf")


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "libopus"])
def test_audio_that_starts_before_0_fits_into_matroska(tmp_path: Path, codec: str) -> None:
    """The encoders of most codecs give some sound before time 0, which MP4 hides."""
    source = write_video(tmp_path / "in.mp4", codec)
    with av.open(str(source)) as container:
        assert next(container.demux(container.streams.audio[0])).pts < 0
    written = anonymize(source, tmp_path / "out.mkv")
    with av.open(str(written)) as container:
        assert container.streams.video[0].start_time == 0
    assert first_loud_s(written) == pytest.approx(first_loud_s(source), abs=2e-3)


@pytest.mark.parametrize(
    ("codec", "ending"),
    [("aac", ".mp4"), ("aac", ".mov"), ("aac", ".mkv"), ("libopus", ".mp4"), ("libopus", ".mkv")],
)
def test_sound_that_was_cut_away_is_not_written(tmp_path: Path, codec: str, ending: str) -> None:
    """A trimmed recording keeps the sound before its beginning, which no player plays."""
    source = write_video(tmp_path / "in.mp4", codec, loud_s=(-1.0, -0.2), start_s=-1.0)
    assert first_loud_s(source) == float("inf")
    assert first_loud_s(source, ignore_editlist="1") < float("inf")
    written = anonymize(source, tmp_path / f"out{ending}")
    with av.open(str(written), options={"ignore_editlist": "1"} if ending != ".mkv" else {}) as container:
        levels = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.abs(levels).max() < 0.02
    assert 2.0 <= levels.shape[1] / RATE < 2.13


def test_sound_after_a_cut_starts_as_in_a_player(tmp_path: Path) -> None:
    """The packet before time 0 stays, because the sound of the next one overlaps with it."""
    source = write_video(tmp_path / "in.mp4", loud_s=(-0.5, 0.5), start_s=-1.0)
    written = anonymize(source, tmp_path / "out.mp4")
    waves = []
    for path in (source, written):
        with av.open(str(path)) as container:
            frames = [frame for frame in container.decode(audio=0) if frame.time >= 0]
            waves.append(np.concatenate([frame.to_ndarray() for frame in frames], axis=1)[:, : RATE // 4])
    assert np.abs(waves[0]).max() > 0.3
    np.testing.assert_allclose(*waves, atol=1e-3)


def laced(*packets: bytes) -> bytes:
    sizes = b"".join(b"\xff" * (len(one) // 255) + bytes([len(one) % 255]) for one in packets[:-1])
    return bytes([len(packets) - 1]) + sizes + b"".join(packets)


def vorbis_headers(path: Path) -> list[bytes]:
    """Encode some Vorbis and return its three header packets."""
    with av.open(str(path), "w") as container:
        sound: Any = container.add_stream("vorbis", rate=RATE, options={"strict": "experimental"})
        sound.layout = "stereo"
        container.start_encoding()
        headers = bytes(sound.codec_context.extradata)
    assert headers[0] == 2
    first, second, at = headers[1], headers[2], 3
    assert 255 not in (first, second)
    return [headers[at : at + first], headers[at + first : at + first + second], headers[at + first + second :]]


def comment(*lines: str) -> bytes:
    parts = [b"vendor", *map(str.encode, lines)]
    sized = [len(one).to_bytes(4, "little") + one for one in parts]
    return b"\x03vorbis" + sized[0] + len(lines).to_bytes(4, "little") + b"".join(sized[1:]) + b"\x01"


def write_vorbis(path: Path, headers: bytes) -> Path:
    """Write a video with Vorbis audio whose headers are given, as tools keep them that do not write them anew."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("vorbis", rate=RATE, options={"strict": "experimental"})
        sound.layout = "stereo"
        sound.codec_context.open(strict=False)
        sound.codec_context.extradata = headers
        for at in range(50):
            container.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
            wave = np.sin(np.arange(1920 * at, 1920 * (at + 1)) / 20).astype(np.float32) / 2
            frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, 1920 * at
            container.mux(sound.encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def sound_of(path: Path) -> Any:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_comments_in_the_headers_of_vorbis_are_not_written(tmp_path: Path, ending: str) -> None:
    head, _, setup = vorbis_headers(tmp_path / "headers.mkv")
    said = comment("ARTIST=Jane Doe", "LOCATION=" + "Elm Street " * 30)
    source = write_vorbis(tmp_path / "in.mkv", laced(head, said, setup))
    assert b"Jane Doe" in source.read_bytes()
    written = anonymize(source, tmp_path / f"out{ending}")
    assert b"Jane Doe" not in written.read_bytes()
    assert b"Elm Street" not in written.read_bytes()
    wanted = sound_of(source)
    np.testing.assert_array_equal(sound_of(written)[:, : wanted.shape[1]], wanted)


def test_headers_of_vorbis_in_either_form_lose_their_comments(tmp_path: Path) -> None:
    head, _, setup = vorbis_headers(tmp_path / "headers.mkv")
    packets = head, comment("ARTIST=Jane Doe"), setup
    wanted = laced(head, b"\x03vorbis" + bytes(8) + b"\x01", setup)
    assert without_comments(laced(*packets)) == wanted
    assert without_comments(b"".join(len(one).to_bytes(2, "big") + one for one in packets)) == wanted
    for other in (b"", b"\x02", b"\x02\xff", b"\x00\x1e", b"something else"):
        assert without_comments(other) is None
