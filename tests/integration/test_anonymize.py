"""Videos are anonymized and otherwise unchanged, or not written at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anon_tune.certificate import Certificate, Data, Linkage, Reconstruction, Subject
from anon_tune.export import VideoOptions, anonymize_video, export_anonymizer
from anon_tune.ledger import Ledger
from anon_tune.methods import build_anonymizer
from anon_tune.recipe import Recipe
from anon_tune.study import load_study
from anon_tune.video.reader import TimedFrame, VideoReader

VIDEOS = Path(__file__).parents[3] / "shared" / "data" / "videos"
REAL = sorted(VIDEOS.glob("*")) if VIDEOS.is_dir() else []
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(say: Callable[..., Any]) -> Run:
    """Run ``anonymize``, and return the exit code and what was printed: on stderr if it failed."""

    def call(*arguments: object) -> tuple[int, str]:
        said = say("anonymize", *arguments)
        return said.code, said.err.rstrip("\n") if said.code else said.out

    return call


@pytest.fixture(scope="module")
def learned(small_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trial = next(t for t in Ledger(small_study / "ledger").trials() if t.id == "0001")
    _, settings = load_study(small_study)
    return export_anonymizer(small_study, trial, settings.clips, tmp_path_factory.mktemp("export") / "x.safetensors")


def write_video(
    path: Path,
    num_frames: int = 12,
    size: tuple[int, int] = (48, 64),
    times: Sequence[int] | None = None,
    rotation: int = 0,
    audio: bool = False,
    metadata: bool = False,
    pixel_format: str = "yuv420p",
) -> Path:
    """Write a video of a moving gradient; `times` are the time stamps of the frames in 1/1000 s."""
    height, width = size
    with av.open(str(path), "w") as container:
        if metadata:
            container.metadata["comment"] = "secret place"
            container.metadata["title"] = "secret title"
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        if pixel_format.startswith("yuvj"):
            stream.codec_context.color_range = 2
        if rotation:
            stream.set_display_rotation(rotation)
        if audio:
            sound = container.add_stream("aac", rate=16000)
            for at in range(0, num_frames * 640, 1024):
                wave = (np.sin(np.arange(at, at + 1024) / 9) * 0.3).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
                frame.rate, frame.pts = 16000, at
                container.mux(sound.encode(frame))
        for at in range(num_frames):
            rows, columns = np.mgrid[:height, :width]
            pixels = np.stack([rows * 255 // height, columns * 255 // width, 0 * rows + 20 * at % 256], axis=2)
            picture = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24").reformat(format=pixel_format)
            picture.pts, picture.time_base = (times[at] if times else 40 * at), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if audio:
            container.mux(sound.encode(None))
    return path


def frames_of(path: Path) -> list[TimedFrame]:
    with VideoReader(path, audio=False) as reader:
        return [item for item in reader if isinstance(item, TimedFrame)]


def times_of(path: Path) -> list[float]:
    """Return the times at which frames are shown, as FFmpeg reads them."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(container.streams.video[0])]


def packets_of(path: Path, kind: str) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux() if p.stream.type == kind and p.size]
        return [(float(p.pts * p.time_base), bytes(p)) for p in packets]


def difference(a: Sequence[TimedFrame], b: Sequence[TimedFrame]) -> float:
    return float(np.mean([np.abs(x.pixels.astype(int) - y.pixels).mean() for x, y in zip(a, b, strict=True)]))


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_private_release_says_what_it_protects(say: Callable[..., Any], tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "a.mp4", 3), tmp_path / "b.mp4"
    code, _, said = say("anonymize", source, "-o", target, "--method", "dp-noise:8,unit=patch,block=16")
    assert code == 0
    promise = json.loads((tmp_path / "b.mp4.json").read_text())["private_release"]
    assert promise.startswith("Differentially private release, epsilon 8 at delta 0.0001. Unit: one block of 16 x 16")
    assert promise in said
    code, _, said = say("anonymize", source, "-o", target, "--method", "blur:2", "--force")
    assert code == 0 and "private" not in said
    assert json.loads((tmp_path / "b.mp4.json").read_text())["private_release"] is None


@pytest.mark.skipif(not REAL, reason="the real videos are not here")
@pytest.mark.parametrize("by", ["learned", "pixelate:8"])
def test_real_videos_keep_length_size_rate_and_audio(run: Run, learned: Path, tmp_path: Path, by: str) -> None:
    how = ["--file", learned] if by == "learned" else ["--method", by]
    assert run(VIDEOS, "-o", tmp_path, *how, "--device", "cpu")[0] == 0
    assert len(names(tmp_path)) == 2 * len(REAL)
    for source in REAL:
        target = tmp_path / f"{source.stem}.mp4"
        with av.open(str(source)) as old, av.open(str(target)) as new:
            a, b = old.streams.video[0], new.streams.video[0]
            assert (a.width, a.height) == (b.width, b.height)
            assert b.codec_context.name == "h264"
            assert abs(old.duration - new.duration) <= av.time_base / 25
            assert abs(float(a.duration * a.time_base) - float(b.duration * b.time_base)) <= 1 / 25
        before, after = times_of(source), times_of(target)
        assert len(before) == len(after)
        if source.suffix == ".avi":  # which has no times of showing, and FFmpeg's guess goes back and forth
            assert np.allclose(after, np.arange(len(after)) / 30, atol=1e-4)
        else:
            assert np.allclose(before, after, atol=1e-4)
        sound, copied = packets_of(source, "audio"), packets_of(target, "audio")
        assert [data for _, data in sound] == [data for _, data in copied]
        assert np.allclose([at for at, _ in sound], [at for at, _ in copied], atol=1e-3)
        report = json.loads(target.with_name(f"{target.name}.json").read_text())
        assert report["output"]["num_frames"] == len(before)
        assert report["certificate"] is None
        assert "Nothing was measured" in report["measured"]
        assert sum(report["share_of_time"].values()) == pytest.approx(1)


def test_identity_gives_back_the_same_picture(run: Run, tmp_path: Path) -> None:
    for pixel_format in ("yuv420p", "yuvj420p"):
        source, target = write_video(tmp_path / f"{pixel_format}.mp4", pixel_format=pixel_format), tmp_path / "out.mp4"
        assert run(source, "-o", target, "--method", "identity", "--crf", 1, "--force")[0] == 0
        assert difference(frames_of(source), frames_of(target)) < 2  # of 255


def test_variable_times_odd_sizes_and_formats(run: Run, tmp_path: Path) -> None:
    times = [0, 10, 50, 51, 120, 400, 401, 500]
    source = write_video(tmp_path / "in.mp4", 8, (37, 51), times, pixel_format="yuv444p")
    for suffix in (".mp4", ".mkv", ".mov"):
        target = tmp_path / f"out{suffix}"
        assert run(source, "-o", target, "--method", "negative")[0] == 0
        assert [round(1000 * at) for at in times_of(target)] == times
        assert frames_of(target)[0].pixels.shape == (37, 51, 3)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_is_applied(run: Run, tmp_path: Path, rotation: int) -> None:
    source, target = write_video(tmp_path / "in.mp4", rotation=rotation), tmp_path / "out.mp4"
    upright = frames_of(source)
    assert upright[0].pixels.shape == ((48, 64, 3) if rotation == 180 else (64, 48, 3))
    assert run(source, "-o", target, "--method", "identity", "--crf", 1)[0] == 0
    with av.open(str(target)) as container:
        assert {frame.rotation for frame in container.decode(video=0)} == {0}
    assert difference(upright, frames_of(target)) < 2


def test_nothing_of_the_source_but_pictures_times_and_sound_is_kept(run: Run, tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "in.mp4", audio=True, metadata=True), tmp_path / "out.mp4"
    assert b"secret" in source.read_bytes()
    assert run(source, "-o", target, "--method", "blur:2")[0] == 0
    assert b"secret" not in target.read_bytes()
    assert packets_of(source, "audio") == packets_of(target, "audio")
    assert packets_of(source, "audio")
    assert run(source, "-o", tmp_path / "silent.mp4", "--method", "blur:2", "--drop-audio")[0] == 0
    assert not packets_of(tmp_path / "silent.mp4", "audio")


def test_a_preview_shows_both(run: Run, tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    assert run(source, "-o", target, "--method", "black-out", "--preview", "--crf", 1)[0] == 0
    frame, original = frames_of(target)[3].pixels, frames_of(source)[3].pixels
    assert frame.shape == (48, 128, 3)
    assert np.abs(frame[:, :60].astype(int) - original[:, :60]).mean() < 3
    assert frame[:, 68:].mean() < 3
    assert json.loads((tmp_path / "out.mp4.json").read_text())["output"]["shows_original"]


def test_a_folder_keeps_its_names_and_bad_files_do_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    videos = tmp_path / "in"
    (videos / "a").mkdir(parents=True)
    whole = write_video(videos / "a" / "one.mp4", audio=True)
    write_video(videos / "two.avi")
    (videos / "short.mp4").write_bytes(whole.read_bytes()[:3000])
    (videos / "notes.txt").write_text("no video")
    out = videos / "out"  # inside: what is written there is not read
    code, said = run(videos, "-o", out, "--method", "blur:2")
    last = "error: anonymize: 1 of 3 videos were not anonymized. The others are done; see above."
    assert (code, said.splitlines()[-1]) == (2, last)
    assert names(out) == ["a/one.mp4", "a/one.mp4.json", "two.mp4", "two.mp4.json"]
    (videos / "short.mp4").unlink()
    assert run(videos, "-o", out, "--method", "blur:2", "--force")[0] == 0


def test_two_videos_never_become_one(run: Run, tmp_path: Path) -> None:
    first, second = write_video(tmp_path / "a.avi"), write_video(tmp_path / "a.mp4")
    code, said = run(first, second, "-o", tmp_path / "out", "--method", "blur:2")
    assert code == 2
    assert "is not the only video that would become" in said
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_holds_the_input_folder_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4")
    for output in (tmp_path, tmp_path / "in"):
        code, said = run(tmp_path / "in", "-o", output, "--method", "blur:2")
        assert code == 2
        assert said.startswith(f"error: {output}: must not hold the folder of the input {tmp_path}/in. Name another ")
    assert names(tmp_path) == ["in/a.mp4"]


def bad_video(kind: str, path: Path) -> Path:
    whole = write_video(path.with_name("whole.mkv"), 60, audio=True).read_bytes()
    path.with_name("whole.mkv").unlink()
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("this is no video\n" * 50)
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "sound":
            with av.open(str(path), "w", format="mp4") as container:
                sound = container.add_stream("aac", rate=16000)
                frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
                frame.rate, frame.pts = 16000, 0
                container.mux([*sound.encode(frame), *sound.encode(None)])
        case "damaged":
            path.write_bytes(whole[:2000] + bytes(len(whole) - 4000) + whole[-2000:])
        case "folder":
            path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "sound", "damaged", "folder", "missing"])
def test_a_bad_video_is_one_line_and_leaves_nothing(run: Run, tmp_path: Path, kind: str) -> None:
    source = bad_video(kind, tmp_path / "in.mp4")
    code, said = run(source, "-o", tmp_path / "out" / "x.mp4", "--method", "blur:2")
    assert code == 2
    assert said.startswith(f"error: {source}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert names(tmp_path) in ([], ["in.mp4"])


@pytest.mark.parametrize("num_frames", [1, 4])
@pytest.mark.parametrize("method", ["blur:2", "frame-difference", "person-blur:2"])
def test_very_short_videos(run: Run, tmp_path: Path, num_frames: int, method: str) -> None:
    source, target = write_video(tmp_path / "in.mp4", num_frames), tmp_path / "out.mp4"
    code, said = run(source, "-o", target, "--method", method)
    if (num_frames, method) == (1, "person-blur:2"):
        assert code == 2
        assert said.startswith(f"error: {source}: an anonymizer that compares the frames of a clip needs at least 2")
        assert names(tmp_path) == ["in.mp4"]
    else:
        assert code == 0
        assert len(frames_of(target)) == num_frames


def test_a_wrong_ending_of_a_good_video_does_not_matter(run: Run, tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv").rename(tmp_path / "in.mp4")
    assert run(source, "-o", tmp_path / "out.mp4", "--method", "blur:2")[0] == 0


def test_nothing_is_overwritten_unless_forced(run: Run, tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    report = tmp_path / "out.mp4.json"
    for there in (target, report):
        there.write_text("mine")
        assert run(source, "-o", target, "--method", "blur:2") == (
            2,
            f"error: {there}: already exists. Name another file or add --force.",
        )
        assert there.read_text() == "mine"
        there.unlink()
    target.write_text("mine")
    assert run(source, "-o", target, "--method", "blur:2", "--force")[0] == 0
    before = source.read_bytes()
    assert run(source, "-o", source, "--method", "blur:2", "--force")[0] == 2
    assert source.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "anonymize: give exactly one of --file, --study and --method, got none. "),
        (["--method", "blur:2", "--trial", "0001"], "anonymize: --trial and --leakage-at-most go with --study. "),
        (["--study", "x"], "--study: needs one of --trial and --leakage-at-most. "),
        (["--method", "blur:2", "--scale"], "--scale: needs an anonymizer whose training size is known, got blur:2. "),
        (["--method", "spact"], "--method: must be a closed-form method, got spact. "),
        (["--method", "blur:2", "-o", ""], "-o: must not be given an empty text. Set the variable that it comes from."),
        (["--method", "blur:2", "-o", "x.gif"], "x.gif: must end in one of .mp4, .m4v, .mov, .mkv, got .gif. "),
    ],
)
def test_options_that_do_not_fit(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, said = run(write_video(tmp_path / "in.mp4", 2), "-o", tmp_path / "out.mp4", *arguments)
    assert code == 2
    assert said.startswith(f"error: {message}")
    assert names(tmp_path) == ["in.mp4"]


def test_a_trial_at_its_own_size_with_what_is_known_of_it(run: Run, small_study: Path, tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    assert run(source, "-o", target, "--study", small_study, "--leakage-at-most", 1.0, "--scale")[0] == 0
    anonymizer = json.loads((tmp_path / "out.mp4.json").read_text())["anonymizer"]
    assert anonymizer["kind"] == "trial"
    assert [anonymizer["height"], anonymizer["width"]] == anonymizer["trained_at"] == [16, 20]
    assert frames_of(target)[0].pixels.shape == (48, 64, 3)
    assert run(source, "-o", target, "--study", small_study, "--trial", "0001", "--force")[0] == 0
    report = json.loads((tmp_path / "out.mp4.json").read_text())
    assert report["anonymizer"]["name"] == "0001"
    assert report["limits"] == [
        "The anonymizer ran at another size than the one it was trained and measured at. --scale uses that size."
    ]


@pytest.mark.parametrize(("trial", "state"), [("0002", "PRUNED"), ("0003", "RUNNING")])
def test_a_trial_whose_training_has_not_ended_is_refused(
    run: Run, small_study: Path, tmp_path: Path, trial: str, state: str
) -> None:
    source = write_video(tmp_path / "in.mp4", 2)
    code, said = run(source, "-o", tmp_path / "out.mp4", "--study", small_study, "--trial", trial)
    assert code == 2
    assert said.startswith(f"error: trial {trial}: only a trial with a full score can be exported, got {state}. ")
    assert names(tmp_path) == ["in.mp4"]


def test_audio_that_a_container_cannot_hold_is_named(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        video, sound = container.add_stream("libx264", rate=25), container.add_stream("wavpack", rate=16000)
        sound.format = "fltp"
        video.width, video.height = 64, 48
        for at in range(4):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
            wave = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            wave.rate, wave.pts = 16000, 1024 * at
            container.mux(sound.encode(wave))
        container.mux([*video.encode(None), *sound.encode(None)])
    code, said = run(source, "-o", tmp_path / "out.mp4", "--method", "blur:2")
    assert code == 2
    assert said == (
        f"error: {source}: its audio cannot be copied into .mp4, got wavpack. To keep it, let the output end in .mkv, "
        "or add --encode-audio; or leave it out with --drop-audio."
    )
    assert names(tmp_path) == ["in.mkv"]
    assert run(source, "-o", tmp_path / "out.mkv", "--method", "blur:2")[0] == 0
    assert run(source, "-o", tmp_path / "out.mp4", "--method", "blur:2", "--drop-audio")[0] == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_leave_nothing(tmp_path: Path, number: int, code: int) -> None:
    source = write_video(tmp_path / "in.mp4", 800, (96, 128))
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "anon_tune", "anonymize", source, "-o", out / "x.mp4", "--method", "blur:8"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    while not list(out.iterdir()):
        assert process.poll() is None
        time.sleep(0.05)
    assert [path.name[0] for path in out.iterdir()] == ["."]  # hidden while it is not complete
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == code
    assert said.decode().splitlines()[-1].startswith("Stopped. ")
    assert not list(out.iterdir())


def test_a_network_that_fails_stops_everything(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", 40)
    anonymizer = build_anonymizer(Recipe(method="blur:2"))

    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    anonymizer.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="no memory"):
        anonymize_video(source, tmp_path / "out.mp4", anonymizer, VideoOptions())
    assert names(tmp_path) == ["in.mp4"]


def certificate(path: Path, method: str) -> Path:
    shares = {f"{name}{end}": 0.5 for name in ("leakage", "accuracy") for end in ("", "_floor", "_ceiling", "_frozen")}
    found = Certificate(
        status="CERTIFIED",
        subject=Subject(kind="method", name=method, method=method, fingerprint=""),
        data=Data(
            clips="avatars",
            fingerprint="x",
            num_train_clips=1,
            num_validation_clips=1,
            num_test_clips=1,
            attributes=("hair",),
            actions=("a", "b"),
            resampled="group",
            codec="",
        ),
        **shares,
        leakage_normalized=0.5,
        leakage_interval=(0.4, 0.6),
        leakage_by_chance=0.2,
        accuracy_interval=(0.4, 0.6),
        distortion=0.1,
        strongest="x",
        attackers=(),
        attributes=(),
        reconstruction=Reconstruction(psnr=1, ssim=1, psnr_before=1, ssim_before=1, leakage=0.5),
        linkage={"raw to anonymized": Linkage(rank1=1, rank1_floor=1, mean_ap=1, mean_ap_floor=1)},
        canaries=(),
        confidence=0.95,
        effort={},
        seconds=1,
        versions={},
        created="2026-11-23T00:00:00Z",
    )
    path.write_text(found.to_json())
    return path


def test_a_certificate_goes_along_and_one_of_another_anonymizer_is_refused(run: Run, tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "in.mp4", 2), tmp_path / "out.mp4"
    own, other = (certificate(tmp_path / f"{name}.json", f"{name}:2") for name in ("blur", "pixelate"))
    code, said = run(source, "-o", target, "--method", "blur:2", "--certificate", other)
    assert code == 2
    assert "must be a certificate of method blur:2, got one of method pixelate:2" in said
    assert run(source, "-o", target, "--method", "blur:2", "--certificate", own)[0] == 0
    report = json.loads((tmp_path / "out.mp4.json").read_text())
    assert report["certificate"] == json.loads(own.read_text())
