"""Damaged, wrong and tiny files in an import: one line for each, others are imported, nothing incomplete is left."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.clips import open_clips
from anon_tune.datasets.decode import BadFile, ClipForm, DecodedClip, decode_clip
from anon_tune.errors import DataError
from anon_tune.export import VideoOptions, anonymize_video
from anon_tune.methods import build_anonymizer
from anon_tune.recipe import Recipe

Say = Callable[..., tuple[int, str, str]]
WORDS = ("--pattern", r"(?P<person>[a-z]+)(?P<take>\d)_(?P<action>[a-z]+)\.", "--action", "action", "--private")
WORDS += ("person", "--group", "take", "--test-groups", "2", "--num-frames", "6", "--size", "12x16")
WORDS += ("--val-fraction", "0", "--workers", "1")


def write_video(path: Path, num_frames: int = 30, audio: bool = False, video: bool = True) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25) if video else None
        sound = container.add_stream("aac", rate=16000) if audio else None
        if stream is not None:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            pictures = np.random.default_rng(0).integers(0, 256, (num_frames, 48, 64, 3), np.uint8)
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        if sound is not None:
            for at in range(num_frames // 2):
                wave = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
                wave.rate, wave.pts = 16000, 1024 * at
                container.mux(sound.encode(wave))
            container.mux(sound.encode(None))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four good videos, one of them with the extension of another format, and one video with each fault."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("ann1_kick.mp4", "ann2_walk.avi", "bob1_walk.mkv"):
        write_video(folder / name)
    whole = write_video(tmp_path / "whole.mkv").read_bytes()
    (folder / "bob2_kick.mp4").write_bytes(whole)  # Matroska by another ending
    (folder / "cut1_kick.mkv").write_bytes(whole[: len(whole) // 2])
    mp4 = (folder / "ann1_kick.mp4").read_bytes()
    (folder / "cut1_walk.mp4").write_bytes(mp4[: len(mp4) // 2])
    (folder / "nil1_kick.mp4").write_bytes(b"")
    (folder / "txt1_kick.mp4").write_text("no video\n" * 99)
    (folder / "dev1_kick.mp4").write_bytes(random.Random(0).randbytes(5000))
    write_video(folder / "aud1_kick.mp4", audio=True, video=False)
    write_video(folder / "one1_walk.mp4", 1)
    write_video(folder / "few1_walk.mp4", 4)
    return folder


def test_every_bad_file_is_a_line_and_the_good_ones_are_imported(folder: Path, tmp_path: Path, say: Say) -> None:
    code, out, err = say("clips", "import", folder, *WORDS, "-o", tmp_path / "store")
    assert code == 2
    expected = [
        r"aud1_kick\.mp4: cannot be used \(at frame 0\): no video stream\.",
        r"cut1_kick\.mkv: cannot be used \(at frame \d+\): .+\.",
        r"cut1_walk\.mp4: cannot be used \(at frame 0\): .+\.",
        r"dev1_kick\.mp4: cannot be used \(at frame 0\): .+\.",
        r"nil1_kick\.mp4: cannot be used \(at frame 0\): an empty file\.",
        r"txt1_kick\.mp4: cannot be used \(at frame 0\): .+\.",
        r"few1_walk\.mp4: is too short; its clip repeats frames\.",
        r"one1_walk\.mp4: is too short; its clip repeats frames\.",
        rf"error: {folder}: 6 of 12 files could not be used\. The others are imported; .*",
    ]
    lines = err.splitlines()
    assert len(lines) == len(expected)
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(expected, lines, strict=True)), err
    assert out.startswith(f"{tmp_path / 'store'}: 6 clips of 6 frames")
    clips = open_clips(tmp_path / "store")
    frames = {name: clip for split in ("train", "test") for name, clip in _frames(clips.split(split))}
    assert (frames["bob2_kick.mp4"] == frames["bob1_walk.mkv"]).all()
    assert (frames["one1_walk.mp4"] == frames["one1_walk.mp4"][:1]).all()
    assert len({clip.tobytes() for clip in frames["few1_walk.mp4"]}) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "videos", "whole.mkv"]


def _frames(split: object) -> list[tuple[str, np.ndarray]]:
    return list(zip(split.ids, np.asarray(split.frames), strict=True))  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"file,split,group,action,p\nann1_kick.mp4,train"])
def test_labels_that_cannot_be_read_leave_nothing(folder: Path, tmp_path: Path, say: Say, content: bytes) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_bytes(content)
    words = ("clips", "import", "csv", "--root", folder, "--labels", labels, "-o", tmp_path / "store")
    code, out, err = say(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {labels}: ")
    assert not [path for path in tmp_path.iterdir() if "store" in path.name]


def mutations(whole: bytes, seed: int) -> bytes:
    draw = random.Random(seed)
    data, at = bytearray(whole), draw.randrange(len(whole))
    match seed % 4:
        case 0:
            return bytes(data[:at])
        case 1:
            for _ in range(20):
                data[draw.randrange(len(data))] = draw.randrange(256)
        case 2:
            data[at : at + 400] = bytes(len(data[at : at + 400]))
        case _:  # of the header
            for _ in range(4):
                data[draw.randrange(300)] = draw.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_whatever_a_file_holds_it_is_a_video_or_one_line(tmp_path: Path, suffix: str) -> None:
    whole = write_video(tmp_path / f"whole{suffix}", 12, audio=True).read_bytes()
    identity = build_anonymizer(Recipe(method="identity")).eval()
    (tmp_path / "in").mkdir()
    file, output = tmp_path / "in" / f"x{suffix}", tmp_path / "out" / "x.mkv"
    for seed in range(24):
        file.write_bytes(mutations(whole, seed))
        found = decode_clip(file.parent, ClipForm(4, 12, 16), file.name)
        assert isinstance(found, DecodedClip | BadFile)
        assert isinstance(found, DecodedClip) or re.fullmatch(r"[^\n]+", found.reason)
        try:
            anonymize_video(file, output, identity, VideoOptions(force=True))
        except DataError as error:
            assert "\n" not in str(error)
            assert str(error).startswith(f"{file}: ")
            assert not output.exists()
        else:
            output.unlink()
        assert not output.parent.exists() or list(output.parent.iterdir()) == []  # nor anything hidden
