"""Videos that are not as most are come out right, or the line and the report say what was done."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from PIL import Image

from anon_tune.datasets.decode import BadFile, ClipForm, DecodedClip, decode_clip
from anon_tune.errors import DataError, ExportError
from anon_tune.video.reader import TimedFrame, VideoReader
from anon_tune.video.writer import VideoWriter

HEIGHT, WIDTH = 48, 64
TS_PACKET = 188  # bytes


def pictures(num_frames: int) -> Iterator[np.ndarray]:
    """Yield frames of which no two, and no two corners, are the same."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for at in range(num_frames):
        yield np.stack([rows * 5, columns * 3, 0 * rows + 9 * at % 256], axis=2).astype(np.uint8)


def write_video(
    path: Path,
    num_frames: int = 10,
    start_s: float = 0.0,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    matrix: Sequence[int] | None = None,
    flags: int = 0,
    options: dict[str, str] | None = None,
    colour: tuple[int, int, int] | None = None,
    audio: str = "",
    form: str | None = None,
) -> Path:
    """Write a moving gradient at 10 frames per second, and silence if audio is asked for."""
    with av.open(f"file:{path}", "w", format=form) as container:
        made = {"crf": "10"} if codec == "libx264" else {}
        stream: Any = container.add_stream(codec, rate=10, options=made | (options or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.codec_context.flags |= flags
        if codec == "libx264":
            stream.codec_context.time_base = Fraction(1, 90_000)
        if colour:
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc = colour
        if matrix:
            stream.set_display_matrix(matrix)
        sound: Any = container.add_stream(audio, rate=16_000) if audio else None
        if sound:
            sound.bit_rate = 32_000
        unit = stream.codec_context.time_base or Fraction(1, 10)
        start, step = round(Fraction(start_s) / unit), round(Fraction(1, 10) / unit)
        for at, pixels in enumerate(pictures(num_frames)):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)
            picture.pts, picture.time_base = start + step * at, unit
            container.mux(stream.encode(picture))
            if sound:
                silence = np.zeros((1, 1600), np.int16 if sound.format.name == "s16" else np.float32)
                wave = av.AudioFrame.from_ndarray(silence, format=sound.format.name, layout="mono")
                wave.rate, wave.pts = 16_000, 1600 * at
                container.mux(sound.encode(wave))
        container.mux(stream.encode(None))
        if sound:
            container.mux(sound.encode(None))
    return path


def with_cover_first(path: Path, cover: Path) -> Path:
    """Write an MP4 whose cover picture stands before its video, as tagging tools leave it."""
    plain = path.with_name(f"plain-{path.name}")
    with av.open(str(write_video(path))) as source, av.open(str(plain), "w", format="mp4") as container:
        stream: Any = container.add_stream_from_template(source.streams.video[0])
        picture: Any = container.add_mux_stream("mjpeg", width=WIDTH, height=HEIGHT)
        picture.disposition = av.stream.Disposition.attached_pic
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
        data = av.Packet(cover.read_bytes())
        data.stream, data.pts, data.dts = picture, 0, 0
        container.mux(data)
    out = b""
    for kind, box in _boxes(plain.read_bytes()):
        if kind == b"moov":
            inner = list(_boxes(box[8:]))
            rest = [one for name, one in inner[1:] if name != b"udta"]
            out += b"".join([box[:8], inner[0][1], *(one for name, one in inner if name == b"udta"), *rest])
        else:
            out += box
    path.write_bytes(out)
    plain.unlink()
    return path


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at : at + size]
        at += size


def with_late_subtitle(path: Path) -> Path:
    """Write a Matroska file of one second whose subtitle ends at ten."""
    text, plain = path.with_suffix(".srt"), path.with_suffix(".plain.mkv")
    text.write_text("1\n00:00:00,000 --> 00:00:10,000\nhello\n")
    write_video(plain)
    with av.open(str(plain)) as video, av.open(str(text)) as words, av.open(str(path), "w") as container:
        for source in (words, video):
            container.add_stream_from_template(source.streams[0])
        for at, source in enumerate((words, video)):
            for packet in source.demux():
                if packet.size:
                    packet.stream = container.streams[at]
                    container.mux(packet)
    text.unlink()
    plain.unlink()
    return path


def joined(path: Path, *starts_s: float) -> Path:
    """Put MPEG-TS segments of one second together. The packets of one are not counted on where the last one ended."""
    part, whole = path.with_suffix(".part.ts"), bytearray()
    for start in starts_s:
        segment = bytearray(write_video(part, start_s=start, form="mpegts").read_bytes())
        # Each counts from 0 to 15 and again, and how many packets x264 fills is not always the same.
        skipped = 8 + _counts(whole)[-1] - _counts(segment)[0] if whole else 0
        for at in range(3, len(segment), TS_PACKET):
            segment[at] = segment[at] & 0xF0 | (segment[at] + skipped) % 16
        whole += segment
    part.unlink()
    path.write_bytes(whole)
    return path


def _counts(stream: bytes) -> list[int]:
    """Return the counters of the packets of the video, as FFmpeg numbers it: 256."""
    packets = [stream[at : at + TS_PACKET] for at in range(0, len(stream), TS_PACKET)]
    return [packet[3] % 16 for packet in packets if int.from_bytes(packet[1:3]) % 2**13 == 256]


class Shown(NamedTuple):
    """What a player shows of a written video."""

    times: list[float]
    frames: np.ndarray
    report: dict[str, dict[str, object]]


Anonymize = Callable[..., Shown]


@pytest.fixture
def anonymize(say: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Anonymize:
    """Run ``anonymize`` with the identity, which must succeed, and play what it wrote."""

    def call(source: Path | str, *options: object, ending: str = ".mp4") -> Shown:
        target = tmp_path / f"out{ending}"
        code, _, err = say("anonymize", source, "-o", target, "--method", "identity", "--crf", "1", *options)
        assert (code, err) == (0, "")
        with av.open(str(target)) as container:
            frames = list(container.decode(video=0))
        pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        report = json.loads((tmp_path / f"out{ending}.json").read_text())
        return Shown([float(frame.pts * frame.time_base) for frame in frames], pixels, report)

    return call


def expected(num_frames: int = 10) -> np.ndarray:
    return np.stack(list(pictures(num_frames))).astype(int)


def clip_of(path: Path, num_frames: int = 10, accept: bool = False) -> DecodedClip | BadFile:
    form = ClipForm(num_frames, HEIGHT, WIDTH, accept_damage=accept)
    return decode_clip(path.parent, form, path.name)


def frames_of(path: Path, num_frames: int = 10) -> np.ndarray:
    clip = clip_of(path, num_frames)
    assert isinstance(clip, DecodedClip), clip
    return clip.frames


def line(say: Callable[..., tuple[int, str, str]], *words: object) -> str:
    """Run a command that must fail, and return its one line."""
    code, _, err = say(*words)
    assert code == 2
    assert err.count("\n") == 1
    return err.rstrip()


@pytest.mark.parametrize("start_s", [95_443.0, 95_443.6, 1000.0])
def test_times_below_zero_and_a_clock_that_wraps(anonymize: Anonymize, tmp_path: Path, start_s: float) -> None:
    source = write_video(tmp_path / "in.ts", 30, start_s, form="mpegts")  # its clock wraps after 95,443.7 s
    with av.open(str(source)) as container:
        assert (container.start_time < 0) == (start_s > 95_000)
    shown = anonymize(source)
    assert np.allclose(shown.times, np.arange(30) / 10, atol=2e-3)
    assert shown.report["output"]["num_frames"] == 30


@pytest.mark.parametrize(("codec", "options"), [("mpeg2video", {"g": "10", "bf": "0"}), ("libx264", {"g": "10"})])
def test_a_file_cut_between_key_frames_is_told_and_stays_in_step_with_its_sound(
    say: Callable[..., tuple[int, str, str]], tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    whole = write_video(tmp_path / "whole.ts", 40, codec=codec, options=options, audio="aac", form="mpegts")
    data, cut = whole.read_bytes(), tmp_path / "cut.ts"
    cut.write_bytes(data[188 * (len(data) // 188 // 8) :])  # the tables that name the streams are repeated later
    with av.open(str(cut)) as container:
        video = container.streams.video[0]
        first = next(container.decode(video))
        late = float(first.pts * video.time_base) - container.start_time / av.time_base
    assert late > 0.25
    given = ["anonymize", cut, "-o", tmp_path / "out.mp4", "--method", "identity"]
    rule = "seconds, before its first key frame. Use another copy, or add --accept-damage"
    assert rule in line(say, *given)
    refused = clip_of(cut)
    assert isinstance(refused, BadFile)
    assert "before its first key frame" in refused.reason
    assert say(*given, "--accept-damage")[0] == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        shown = next(container.decode(video=0))
    assert shown.time == pytest.approx(late, abs=2e-3)


QUARTERS = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
MIRRORS = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("matrix", QUARTERS + MIRRORS)
def test_a_display_matrix_turns_and_mirrors(
    anonymize: Anonymize, tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    a, b, c, d = matrix
    one = 1 << 16
    numbers = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
    source = write_video(tmp_path / "in.mp4", 3, pixel_format="yuv444p", matrix=numbers)
    # The point (x, y) of the stored frame is shown at (ax + cy, bx + dy), counted from the corner that comes first.
    stored = expected(3)
    height, width = stored.shape[1:3]
    wanted = np.zeros((3, *((width, height) if b else (height, width)), 3), int)
    for y, x in np.ndindex(height, width):
        right, down = a * x + c * y, b * x + d * y
        wanted[:, down % wanted.shape[1], right % wanted.shape[2]] = stored[:, y, x]
    if min(matrix) < 0:  # a corner that a negative factor moves off the picture is at -1, not at 0
        wanted = np.roll(wanted, [-(min(b, d) < 0), -(min(a, c) < 0)], axis=(1, 2))
    assert np.abs(anonymize(source).frames - wanted).mean() < 3
    clip = decode_clip(tmp_path, ClipForm(3, *wanted.shape[1:3]), "in.mp4")
    assert isinstance(clip, DecodedClip)
    assert clip.size == wanted.shape[1:3]
    assert np.abs(clip.frames - wanted).mean() < 3


def test_another_angle_is_one_line(say: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    numbers = [56_756, 32_768, 0, -32_768, 56_756, 0, 0, 0, 1 << 30]  # 30 degrees
    source = write_video(tmp_path / "in.mp4", 3, matrix=numbers)
    said = line(say, "anonymize", source, "-o", tmp_path / "out.mp4", "--method", "identity")
    assert said.startswith(f"error: {source}: is not turned by a multiple of 90 degrees, got a matrix of 0.87, 0.50, ")
    assert isinstance(clip_of(source), BadFile)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_shown_as_their_exif_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(next(pictures(1))).save(tmp_path / "x.jpg", exif=exif, quality=98, subsampling=0)
    from PIL import ImageOps

    wanted = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "x.jpg"))).astype(int)
    clip = decode_clip(tmp_path, ClipForm(1, *wanted.shape[:2]), "x.jpg")
    assert isinstance(clip, DecodedClip)
    assert clip.size == wanted.shape[:2]
    assert np.abs(clip.frames[0] - wanted).mean() < 3


def test_a_cover_picture_is_not_the_video(anonymize: Anonymize, tmp_path: Path) -> None:
    Image.new("RGB", (WIDTH, HEIGHT), (200, 10, 10)).save(tmp_path / "cover.jpg")
    source = with_cover_first(tmp_path / "in.mp4", tmp_path / "cover.jpg")
    with av.open(str(source)) as container:
        assert container.streams.video[0].disposition & av.stream.Disposition.attached_pic
    assert np.abs(frames_of(source) - expected()).mean() < 4
    assert np.abs(anonymize(source).frames - expected()).mean() < 4


def test_a_length_that_a_subtitle_sets_is_not_the_video_s(anonymize: Anonymize, tmp_path: Path) -> None:
    source = with_late_subtitle(tmp_path / "in.mkv")
    shown = anonymize(source)
    assert np.allclose(shown.times, np.arange(10) / 10, atol=2e-3)
    assert shown.report["input"]["seconds"] == pytest.approx(1, abs=0.05)
    assert len(frames_of(source)) == 10


def test_a_cut_video_is_told_though_a_subtitle_reaches_its_end(
    say: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    source = with_late_subtitle(tmp_path / "in.mkv")
    source.write_bytes(source.read_bytes().replace(b"00:00:01.0", b"00:00:05.0"))  # the length of the video's own
    said = line(say, "anonymize", source, "-o", tmp_path / "out.mp4", "--method", "identity")
    assert said == (
        f"error: {source}: stops after 1.0 of 5.0 seconds. Use another copy, or add --accept-damage to take what can "
        "be decoded."
    )


def ruined(path: Path) -> Path:
    """Write an MP4 of 30 frames, and fill the last packet with zeros behind its length."""
    write_video(path, 30)
    with av.open(str(path)) as container:
        at, size = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size][-1]
    content = bytearray(path.read_bytes())
    content[at + 5 : at + size] = bytes(size - 5)
    path.write_bytes(content)
    return path


def test_the_last_frames_are_never_lost_without_a_word(
    say: Callable[..., tuple[int, str, str]], anonymize: Anonymize, tmp_path: Path
) -> None:
    """FFmpeg's threads drop the errors of the frames that they hold at the end."""
    source = ruined(tmp_path / "in.mp4")
    what, remedy = "has a frame that cannot be decoded, after 2.", "or add --accept-damage to take what can be decoded."
    for _ in range(3):
        said = line(say, "anonymize", source, "-o", tmp_path / "out.mp4", "--method", "identity")
        assert said.startswith(f"error: {source}: {what}")
        assert said.endswith(remedy)
    bad = clip_of(source)
    assert isinstance(bad, BadFile)
    assert bad.reason.startswith(f"the video {what}")
    assert bad.reason.endswith("; --accept-damage takes what can be decoded")
    assert anonymize(source, "--accept-damage").report["input"]["damage"]
    taken = clip_of(source, accept=True)
    assert isinstance(taken, DecodedClip)
    assert taken.damage


@pytest.mark.parametrize(("name", "codec"), [("in.m2v", "mpeg2video"), ("in.asf", "libx264")])
def test_a_file_without_a_start_begins_at_0(anonymize: Anonymize, tmp_path: Path, name: str, codec: str) -> None:
    shown = anonymize(write_video(tmp_path / name, codec=codec))
    assert np.allclose(shown.times, np.arange(10) / 10, atol=2e-3)


def test_damaged_audio_is_told_of_the_input(tmp_path: Path) -> None:
    with VideoReader(write_video(tmp_path / "in.ts", audio="aac")) as reader:
        writer = VideoWriter(tmp_path / "x", reader, HEIGHT, WIDTH, 20, tmp_path / "out.mp4", False)
        packet = next(item for item in reader if isinstance(item, av.Packet))
        damaged = av.Packet(b"\xff\xf1" + b"\xff" * 50)  # a header with a rate that does not exist
        damaged.stream, damaged.pts, damaged.dts = packet.stream, packet.pts, packet.dts
        with pytest.raises(DataError) as caught:
            writer.copy(damaged)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/in.ts: its audio is damaged: ")
    assert said.endswith(". Leave it out with --drop-audio, or use another copy.")


@pytest.mark.parametrize("second", [1.0, 0.0])
def test_joined_segments_go_on_with_accept_damage(
    say: Callable[..., tuple[int, str, str]], anonymize: Anonymize, tmp_path: Path, second: float
) -> None:
    source = joined(tmp_path / "in.ts", 0.0, second)
    said = line(say, "anonymize", source, "-o", tmp_path / "out.mp4", "--method", "identity")
    what = re.search(r"is damaged, or was cut or joined, after 0\.\d seconds", said)
    assert what
    assert isinstance(clip_of(source), BadFile)
    shown = anonymize(source, "--accept-damage")
    assert np.allclose(shown.times, np.arange(20) / 10, atol=2e-3)
    assert shown.report["input"]["damage"] == [what[0]]
    assert any("Damage was suspected and accepted" in one for one in shown.report["limits"])
    clip = clip_of(source, 20, accept=True)
    assert isinstance(clip, DecodedClip)
    assert (clip.num_frames, clip.damage) == (20, what[0])


def test_a_name_with_a_colon_is_a_file(
    anonymize: Anonymize, say: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_video(Path("2024-01-05T12:30:00.mp4"))
    assert len(anonymize(source).times) == 10
    assert say("anonymize", source, "-o", "a:b.mp4", "--method", "identity")[0] == 0
    assert Path("a:b.mp4").is_file()
    assert len(frames_of(source)) == 10


@pytest.mark.parametrize("first_interlaced", [True, False])
def test_interlaced_frames_become_whole_pictures_and_the_report_says_so(
    anonymize: Anonymize, tmp_path: Path, first_interlaced: bool
) -> None:
    flag = av.codec.context.Flags.interlaced_dct
    if first_interlaced:
        source, wanted = write_video(tmp_path / "in.mp4", flags=flag), expected()
    else:
        wanted = np.concatenate([expected(5)] * 2)
        parts = [write_video(tmp_path / f"{at}.ts", 5, at / 2, flags=at * flag, form="mpegts") for at in (0, 1)]
        source = tmp_path / "in.ts"
        source.write_bytes(b"".join(part.read_bytes() for part in parts))
    shown = anonymize(source, "--accept-damage")
    assert np.allclose(shown.times, np.arange(10) / 10, atol=2e-3)
    assert shown.report["input"]["interlaced"] is True
    assert any("interlaced" in one for one in shown.report["limits"])
    assert np.abs(shown.frames - wanted).mean() < 6


def test_rows_of_two_moments_are_not_left_as_a_comb(
    anonymize: Anonymize, write_interlaced: Callable[..., None], tmp_path: Path
) -> None:
    write_interlaced(tmp_path / "in.mp4")
    frames = anonymize(tmp_path / "in.mp4").frames.astype(int)
    combs = np.abs(np.diff(frames[2:6, :, :, 0], axis=1)).mean()
    with av.open(str(tmp_path / "in.mp4")) as container:
        stored = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)
    assert combs < np.abs(np.diff(stored[2:6, :, :, 0], axis=1)).mean() / 3


def test_hdr_and_alpha_are_said_in_the_report(anonymize: Anonymize, tmp_path: Path) -> None:
    plain = anonymize(write_video(tmp_path / "plain.mp4"))
    assert plain.report["limits"] == []
    hdr = write_video(tmp_path / "hdr.mp4", pixel_format="yuv420p10le", colour=(9, 9, 16))
    (said,) = anonymize(hdr, "--force").report["limits"]
    assert str(said).startswith("The input is HDR (PQ, 10 bits).")
    alpha = write_video(tmp_path / "alpha.mov", codec="png", pixel_format="rgba")
    (said,) = anonymize(alpha, "--force").report["limits"]
    assert str(said).startswith("The input has an alpha channel.")


@pytest.mark.parametrize(
    ("name", "codec", "audio", "way"),
    [
        ("in.wmv", "wmv2", "wmav2", "To keep it, add --encode-audio; or"),
        ("in.avi", "mpeg4", "pcm_alaw", "To keep it, let the output end in .mov, or add --encode-audio; or"),
        ("in.avi", "mpeg4", "pcm_s16le", "To keep it, let the output end in .mov or .mkv, or add --encode-audio; or"),
    ],
)
def test_audio_that_the_output_cannot_hold(
    say: Callable[..., tuple[int, str, str]],
    anonymize: Anonymize,
    tmp_path: Path,
    name: str,
    codec: str,
    audio: str,
    way: str,
) -> None:
    (tmp_path / "in").mkdir()
    source = write_video(tmp_path / "in" / name, codec=codec, audio=audio)
    said = line(say, "anonymize", source, "-o", tmp_path / "out.mp4", "--method", "identity")
    assert said == (
        f"error: {source}: its audio cannot be copied into .mp4, got {audio}. {way} leave it out with --drop-audio."
    )
    shutil.copy(source, source.with_name(f"again{source.suffix}"))
    code, _, err = say("anonymize", source.parent, "-o", tmp_path / "all", "--method", "identity")
    assert (code, err.splitlines()[2:]) == (2, ["error: anonymize: 2 of 2 videos were not anonymized. See above."])
    if ".mov" in way:
        assert (
            say("anonymize", source.parent, "-o", tmp_path / "all", "--method", "identity", "--ending", ".mov")[0] == 0
        )
        assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
            *("again.mov", "again.mov.json", "in.mov", "in.mov.json"),
        ]
    report = anonymize(source, "--encode-audio").report
    assert report["output"]["audio"] == f"encoded again as AAC ({audio}); voices are not anonymized"
    with av.open(str(tmp_path / "out.mp4")) as container:
        (stream,) = container.streams.audio
        assert stream.codec_context.name == "aac"
        assert float(stream.duration * stream.time_base) == pytest.approx(1, abs=0.2)


def test_a_long_name_is_written_with_its_report_or_refused(
    say: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    source = write_video(tmp_path / "in.mp4", 2)
    longest, longer = (tmp_path / f"{'x' * num}.mp4" for num in (246, 247))
    assert say("anonymize", source, "-o", longest, "--method", "identity")[0] == 0
    assert longest.with_name(f"{longest.name}.json").is_file()
    said = line(say, "anonymize", source, "-o", longer, "--method", "identity")
    assert said.startswith(f"error: {longer}: the name of its report must have at most 255 bytes, got 256. ")
    assert not longer.exists()
    longest = tmp_path / f"{'x' * 300}.mp4"  # longer than the file system can be asked for
    said = line(say, "anonymize", source, "-o", longest, "--method", "identity")
    assert said.startswith(f"error: {longest}: a name must have at most 255 bytes, got 304. ")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place where nobody may write")
def test_a_place_that_cannot_be_written_is_named(say: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", 2)
    said = line(say, "anonymize", source, "-o", "/proc/out.mp4", "--method", "identity")
    assert said.startswith("error: /proc/out.mp4: cannot be written: ")
    assert said.endswith(" Choose another folder with -o.")


def test_a_file_in_the_place_of_the_output_s_folder_is_told(
    say: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    source = write_video(tmp_path / "in.mp4", 2)
    said = line(say, "anonymize", source, "-o", source / "out.mp4", "--method", "identity")
    assert said.startswith(f"error: {source}/out.mp4: cannot be written: Not a directory. ")


def test_a_name_that_is_not_utf_8_is_anonymized_and_escaped(
    say: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    name = os.fsdecode(b"jos\xe9.mp4")
    write_video(tmp_path / "in" / name, 2)
    code, out, _ = say("anonymize", tmp_path / "in", "-o", tmp_path / "out", "--method", "identity")
    assert (code, out) == (0, f"{tmp_path}/out/jos\\xe9.mp4\n")
    report = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert report["input"]["file"] == "jos\\xe9.mp4"


def test_a_report_does_not_name_the_folders_of_this_machine(
    say: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "patients" / "ward").mkdir(parents=True)
    write_video(tmp_path / "patients" / "ward" / "in.mp4", 2)
    assert say("anonymize", tmp_path / "patients", "-o", tmp_path / "out", "--method", "identity")[0] == 0
    text = (tmp_path / "out" / "ward" / "in.mp4.json").read_text()
    report = json.loads(text)
    assert (report["input"]["file"], report["output"]["file"]) == ("ward/in.mp4", "in.mp4")
    assert str(tmp_path) not in text


def test_what_a_folder_leaves_out_is_said_with_a_count(
    say: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    (folder / "__MACOSX").mkdir(parents=True)
    write_video(folder / "a.m2v", codec="mpeg2video")
    write_video(folder / "b.mp4")
    for name in ("._b.mp4", ".DS_Store", "__MACOSX/b.mp4"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    for name in ("notes.txt", "more.txt", "README", "b.mp4.json"):
        (folder / name).write_text("no video")
    (folder / "loop").symlink_to(folder)
    (tmp_path / "other").mkdir()
    write_video(tmp_path / "other" / "c.mp4")
    (folder / "linked").symlink_to(tmp_path / "other")
    code, out, err = say("anonymize", folder, "-o", tmp_path / "out", "--method", "identity")
    assert (code, out.split()) == (0, [f"{tmp_path}/out/{name}" for name in ("a.mp4", "b.mp4", "linked/c.mp4")])
    said = "3 files do not have the suffix of a video: .txt 2, no suffix 1. To include one, name it as an input."
    assert err == f"{folder}: {said}\n"


def test_a_written_video_that_a_player_shows_otherwise_is_not_kept(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4")
    with VideoReader(source) as reader:
        writer = VideoWriter(tmp_path / "x", reader, HEIGHT, WIDTH, 20, tmp_path / "out.mp4", False)
        unit = reader.facts.time_base
        for at, pixels in enumerate(pictures(10)):
            writer.write(TimedFrame(pixels, round(Fraction(at - 5, 10) / unit), 0))
        with pytest.raises(ExportError, match=r"out\.mp4: was written and then removed: "):
            writer.close()
