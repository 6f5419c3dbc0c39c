"""``anon-tune audit`` from its options to its certificate, with little effort for the attackers."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import anon_tune
from anon_tune.certificate import Certificate, read_certificate
from anon_tune.clips import Clips
from anon_tune.datasets import import_pair
from anon_tune.datasets.decode import ClipForm
from anon_tune.errors import DataError
from anon_tune.export import export_anonymizer
from anon_tune.ledger import Ledger
from anon_tune.report import write_report

pytestmark = pytest.mark.trains

TINY = {
    "max_steps": 8,
    "check_steps": 4,
    "patience": 1,
    "num_seeds": 1,
    "classifier_steps": 8,
    "reconstruction_steps": 4,
    "num_bootstraps": 10,
    "width": 4,
    "attackers": "frame,pixels",
}
PATTERN = r"^(?P<person>[a-z]+)(?P<take>\d)_(?P<action>[a-z]+)_(?P<number>\d)"
LABELS = ("--pattern", PATTERN, "--action", "action", "--private", "person", "--group", "take", "--test-groups", "2")
SMALL = ("--num-frames", "4", "--size", "16x16", "--val-fraction", "0.34")


Audit = Callable[..., Any]


@pytest.fixture
def audit(say: Audit, tmp_path: Path) -> Audit:
    """Call ``anon-tune audit`` with little effort and with a cache of its own."""

    def call(*arguments: object, cache: Path = tmp_path / "cache") -> Any:
        effort = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
        return say("audit", *effort, *arguments, "--cache", cache)

    return call


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests with the same clips and effort."""
    return tmp_path_factory.mktemp("cache")


def certificate_of(said: Any) -> Certificate:
    certificate = Certificate.model_validate_json(said.out)
    assert said.code == (1 if certificate.status == "REFUSED" else 0), said.err
    return certificate


def write_videos(folder: Path, change: Callable[[np.ndarray], np.ndarray], ending: str = ".mp4") -> Path:
    """Write videos of 3 people in 2 takes. The colour of a square is the person, its motion is the action."""
    folder.mkdir()
    colours = {"ann": (230, 40, 40), "bob": (40, 230, 40), "eve": (40, 60, 230)}
    for person, colour in colours.items():
        for take in (1, 2):
            for number in range(3):
                for action in ("left", "right"):
                    frames = np.full((6, 32, 32, 3), 90 + 10 * number, np.uint8)
                    for at in range(6):
                        left = 2 + 4 * (5 - at if action == "left" else at)
                        frames[at, 8:20, left : left + 8] = colour
                    name = f"{person}{take}_{action}_{number}{ending}"
                    write_video(folder / name, change(frames))
    return folder


def write_video(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("videos") / "raw", lambda frames: frames)


@pytest.fixture(scope="session")
def black(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("videos") / "black", np.zeros_like, "_gone.mkv")


def test_a_method_gets_a_certificate_on_paper_and_on_screen(
    audit: Audit, avatars: Clips, cache: Path, tmp_path: Path
) -> None:
    file = tmp_path / "made" / "black.json"
    said = audit("--method", "black-out", "--clips", avatars.directory, "-o", file, cache=cache)
    certificate = read_certificate(file)
    assert certificate.leakage == pytest.approx(certificate.leakage_floor)
    assert (certificate.subject.kind, certificate.subject.name) == ("method", "black-out")
    assert certificate.data.fingerprint == avatars.fingerprint
    assert certificate.effort["max_steps"] == 8
    assert said.code == (1 if certificate.status == "REFUSED" else 0)
    assert certificate.status.replace("_", " ") in said.out
    assert re.search(rf"^ *Leakage +{certificate.leakage:.3f} ", said.out, re.MULTILINE)
    for name in ("skin=dark", "frame", "pixels", "Reconstruction", "Linkage", "identity", "shuffled", "law is claimed"):
        assert name in said.out
    assert max(map(len, said.out.splitlines())) <= 100
    steps: list[str] = []
    given = {"clips": avatars.directory, "output": str(tmp_path / "again.json"), "cache": str(cache), "set": TINY}
    again = anon_tune.audit(method="black-out", **given, on_step=lambda what, done, total: steps.append(what))
    assert read_certificate(tmp_path / "again.json") == again and steps
    assert (again.leakage, again.leakage_interval, again.effort) == (
        certificate.leakage,
        certificate.leakage_interval,
        certificate.effort,
    )


def test_the_second_audit_takes_the_baseline_of_the_first_unless_it_is_damaged(
    audit: Audit, avatars: Clips, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    ask = ("--method", "identity", "--clips", avatars.directory, "--format", "json")
    first = certificate_of(audit(*ask, cache=own))
    (kept,) = own.iterdir()
    written = kept.stat().st_mtime_ns
    again = certificate_of(audit(*ask, cache=own))
    assert list(own.iterdir()) == [kept] and kept.stat().st_mtime_ns == written
    data = bytearray(kept.read_bytes())
    data[-3] ^= 0xFF  # a weight, which no format would notice
    kept.write_bytes(data)
    mended = certificate_of(audit(*ask, cache=own))
    assert [file.name for file in own.iterdir()] == [kept.name]
    assert kept.read_bytes() != bytes(data)
    same = {"seconds": 0.0, "created": ""}
    assert first.model_copy(update=same) == again.model_copy(update=same) == mended.model_copy(update=same)


def test_another_effort_has_its_own_baseline(audit: Audit, avatars: Clips, cache: Path) -> None:
    ask = ("--method", "identity", "--clips", avatars.directory, "--format", "json")
    certificate_of(audit(*ask, cache=cache))
    before = set(cache.iterdir())
    coded = certificate_of(audit(*ask, "--codec", "h264", "--crf", "35", cache=cache))
    assert len(set(cache.iterdir()) - before) == 1
    assert coded.data.codec == "h264, crf 35"
    assert coded.effort["crf"] == 35
    assert coded.distortion == 0  # raw clips went through the same codec


def test_after_ctrl_c_the_next_audit_goes_on_from_the_baseline(avatars: Clips, tmp_path: Path) -> None:
    effort = TINY | {"max_steps": 40, "check_steps": 10, "patience": 4, "reconstruction_steps": 40}
    command = [sys.executable, "-m", "anon_tune", "audit", "--method", "identity", "--clips", str(avatars.directory)]
    command += ["--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "made.json")]
    command += [part for name, value in effort.items() for part in ("--set", f"{name}={value}")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list((tmp_path / "cache").glob("baseline-*")) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, ""), err
    assert f"Stopped. A baseline that was finished is kept in {tmp_path / 'cache'}" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_trial_is_audited_on_its_clips_and_shown_in_the_report(
    audit: Audit, small_study: Path, cache: Path, tmp_path: Path
) -> None:
    study = shutil.copytree(small_study, tmp_path / "study")
    made = certificate_of(audit(study, "--trial", "0001", "--format", "json", cache=cache))
    assert (made.subject.kind, made.subject.name, made.subject.method) == ("trial", "0001", "adversarial")
    assert read_certificate(study / "audits" / "0001.json") == made
    page = write_report(study).read_text("utf-8")
    assert 'id="certificate-0001"' in page

    trial = next(t for t in Ledger(study / "ledger").trials() if t.id == "0001")
    file = export_anonymizer(study, trial, "avatars", tmp_path / "picked.safetensors")
    store = re.search(r'^clips = "(.*)"$', (study / "study.toml").read_text(), re.MULTILINE)
    assert store is not None
    exported = certificate_of(audit("--file", file, "--clips", store[1], "--format", "json", cache=cache))
    assert (exported.subject.kind, exported.subject.fingerprint) == ("file", made.subject.fingerprint)
    assert exported.attackers == made.attackers
    anchor = certificate_of(audit(study, "--trial", "black-out", "--format", "json", cache=cache))
    assert anchor.leakage == pytest.approx(anchor.leakage_floor)


def test_what_another_tool_blackened_leaks_nothing(audit: Audit, videos: Path, black: Path) -> None:
    folders = ("--original", videos, "--anonymized", black, "--anonymized-suffix", "_gone")
    made = certificate_of(audit(*folders, *LABELS, *SMALL, "--format", "json"))
    assert (made.subject.kind, made.subject.name) == ("folder", str(black))
    assert made.data.attributes == ("person=ann", "person=bob", "person=eve")
    assert made.leakage == pytest.approx(made.leakage_floor)
    assert made.accuracy == pytest.approx(made.accuracy_floor)
    assert made.distortion > 0.2


def test_two_folders_have_equal_rows_whatever_the_anonymized_files_are_called(
    videos: Path, black: Path, tmp_path: Path
) -> None:
    options = dict(zip(("pattern", "action", "private", "group", "test_groups"), LABELS[1::2], strict=True))
    options |= {"private": ["person"], "test_groups": ["2"]}
    form = ClipForm(3, 8, 8)
    pair = import_pair(videos, black, **options, form=form, output=tmp_path, suffix="_gone", val_fraction=0.34)
    assert pair.bad == ()
    for name in ("train", "val", "test"):
        raw, changed = pair.original.split(name), pair.anonymized.split(name)
        assert raw.ids == changed.ids and raw.groups == changed.groups
        assert (raw.private == changed.private).all() and (raw.actions == changed.actions).all()
        assert changed.frames.max() == 0 < raw.frames.max()
    files = {entry.id: entry.file for entry in pair.anonymized.manifest.entries}
    assert files["ann1_left_0.mp4"] == "ann1_left_0_gone.mkv"


def resized(folder: Path, **changes: Any) -> None:
    path = folder / "bob1_left_1.mp4"
    frames = np.zeros((changes.get("frames", 6), changes.get("height", 32), 32, 3), np.uint8)
    path.unlink()
    write_video(path, frames)


BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (
        lambda folder: [path.unlink() for path in sorted(folder.glob("*1_left_*"))[:4]],
        r".*/copy: 4 of 36 original files have no anonymized file of the same name, got ann1_left_0\.mp4, "
        r"ann1_left_1\.mp4, ann1_left_2\.mp4 and 1 more\. Add them, or give .* --anonymized-suffix\.",
    ),
    "extra": (
        lambda folder: shutil.copy(folder / "ann1_left_0.mp4", folder / "zoe1_left_0.mp4"),
        r".*/raw: 1 anonymized files have no original of the same name, got zoe1_left_0\.mp4\. .*",
    ),
    "twice": (
        lambda folder: (
            [shutil.copy(folder / "ann1_left_0.mp4", folder / f"ann1_left_0.{e}") for e in ("avi", "mkv")]
            + [(folder / "ann1_left_0.mp4").unlink()]
        ),
        r".*/copy: 'ann1_left_0\.mp4' must have one anonymized file, got ann1_left_0\.avi, ann1_left_0\.mkv\. .*",
    ),
    "length": (
        lambda folder: resized(folder, frames=5),
        r".*/copy/bob1_left_1\.mp4: must have the 6 frames of its original, got 5\. .*",
    ),
    "size": (
        lambda folder: resized(folder, height=24),
        r".*/copy/bob1_left_1\.mp4: frames must be as large as the original's, 32x32, got 24x32\. .*",
    ),
    "damage": (
        lambda folder: [(folder / f"bob1_left_{n}.mp4").write_bytes(b"") for n in (0, 1)],
        r".*/copy/bob1_left_0\.mp4: cannot be decoded at frame 0: .*, and 1 more like it\. .* --skip-bad\.",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_folders_that_do_not_belong_together(audit: Audit, videos: Path, tmp_path: Path, kind: str) -> None:
    change, message = BROKEN[kind]
    copy = shutil.copytree(videos, tmp_path / "copy")
    change(copy)
    said = audit("--original", videos, "--anonymized", copy, *LABELS, *SMALL)
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert re.fullmatch(f"error: {message}", line), line
    assert not (tmp_path / "cache").exists()


def test_bad_pairs_are_left_out_if_the_user_says_so(videos: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(videos, tmp_path / "copy")
    (copy / "bob1_left_0.mp4").write_bytes(b"")
    options: dict[str, Any] = {"pattern": PATTERN, "action": "action", "private": ["person"], "group": "take"}
    options |= {"test_groups": ["2"], "form": ClipForm(2, 8, 8), "val_fraction": 0.34}
    pair = import_pair(videos, copy, **options, output=tmp_path / "out", skip_bad=True)
    assert [bad.file for bad in pair.bad] == [str(copy / "bob1_left_0.mp4")]
    assert pair.original.num_clips == pair.anonymized.num_clips == 35
    for path in copy.glob("*2_*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no file of the test split can be decoded"):
        import_pair(videos, copy, **options, output=tmp_path / "none", skip_bad=True)
    assert not (tmp_path / "none" / "original").exists()


def test_a_pair_whose_damage_is_only_suspected_is_audited_if_the_user_says_so(
    audit: Audit, videos: Path, black: Path, tmp_path: Path
) -> None:
    raw, changed = shutil.copytree(videos, tmp_path / "raw"), shutil.copytree(black, tmp_path / "black")
    (raw / "ann1_left_0.mp4").unlink()
    for path in (raw / "ann1_left_0.ts", changed / "ann1_left_0_gone.ts"):
        write_video(path, np.full((3, 32, 32, 3), 60, np.uint8))
        path.write_bytes(path.read_bytes() * 2)  # joined segments
    (changed / "ann1_left_0_gone.mkv").unlink()
    words = ("--original", raw, "--anonymized", changed, "--anonymized-suffix", "_gone", *LABELS, *SMALL)
    said = audit(*words)
    assert (said.code, said.out) == (2, "")
    assert re.fullmatch(
        rf"error: {raw}/ann1_left_0\.ts: cannot be .*; --accept-damage takes what can be decoded, and .*\n", said.err
    )
    said = audit(*words, "--accept-damage", "--format", "json")
    data = certificate_of(said).data
    assert data.num_train_clips + data.num_validation_clips + data.num_test_clips == 36
    for file in (raw / "ann1_left_0.ts", changed / "ann1_left_0_gone.ts"):
        found = rf"^{file}: .*, or was cut or joined, after 0\.\d seconds; what can be decoded is used\.$"
        assert re.search(found, said.err, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], r"audit: give exactly one of STUDY --trial, .*, got none\. .*"),
        (["--method", "blur", "--file", "x"], r"audit: give exactly one of .*, got --method and --file\. .*"),
        (["--method", "blur"], r"audit: --method needs --clips\. .*"),
        (["--trial", "0001"], r"audit: --trial needs STUDY\. .*"),
        (["--original", "x", "--anonymized", "y"], r"audit: --original needs --pattern, --action, .*"),
        (["runs", "--method", "blur", "--clips", "avatars"], r"audit: STUDY cannot go with --method\. .*"),
        (["--method", "blur", "--clips", "x", "--group", "g"], r"audit: --group cannot go with --method\. .*"),
        (["--method", "blurr", "--clips", "avatars"], r"--method: unknown method 'blurr'\. Did you mean 'blur'\?"),
        (["--method", "blur:0", "--clips", "avatars"], r"--method: sigma of 'blur' must be .*, got 0\. .*"),
        (["--method", "spact", "--clips", "avatars"], r"--method: must be a closed-form method, got .*"),
        (["--file", "gone.safetensors", "--clips", "x"], r"gone\.safetensors: is not a readable safetensors file: .*"),
        (["gone", "--trial", "1"], r".*/gone: no study there\. .*"),
        (["--method", "blur", "--clips", "gone"], r".*/gone: a clip store must hold 'manifest\.parquet'\. .*"),
        (["--method", "blur", "--clips", "x", "--set", "max_step=1"], r"--set: unknown name 'max_step'\. Did .*"),
        (["--method", "blur", "--clips", "x", "--set", "attackers=fram"], r"--set: unknown attacker 'fram'\. Did .*"),
        (["--method", "blur", "--clips", "x", "--set", "lr=2"], r"--set: 'lr': input should be .*, got 2\. .*"),
        (["--method", "blur", "--clips", "x", "--crf", "9"], r"--crf: needs a codec, got 9\. Add --codec h264\."),
        (["--method", "blur", "--clips", "x", "-o", "."], r"\.: must be a file, got a folder\. Name another file\."),
    ],
)
def test_one_line_says_what_is_wrong(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = audit(*arguments)
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert re.fullmatch(f"error: {message}", line), line


def test_a_study_whose_clips_have_changed(audit: Audit, small_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(small_study, tmp_path / "study")
    file = study / "study.toml"
    file.write_text(re.sub(r'clips_fingerprint = "\w+"', 'clips_fingerprint = "0000000000000000"', file.read_text()))
    said = audit(study, "--trial", "0001")
    assert said.code == 2
    assert re.fullmatch(r"error: .*: must hold the clips of the study, 0{16}, got \w+\. .*\n", said.err)


def test_a_trial_that_has_no_weights(audit: Audit, small_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(small_study, tmp_path / "study")
    (study / "trials" / "0000" / "anonymizer.safetensors").unlink()
    said = audit(study, "--trial", "0000")
    assert said.code == 2
    assert re.fullmatch(r"error: .*/0000/anonymizer\.safetensors: is not a readable safetensors file: .*\n", said.err)
    assert re.match(r"error: .*: no trial '9999'\. ", audit(study, "--trial", "9999").err)


def test_json_is_strict(audit: Audit, avatars: Clips, cache: Path) -> None:
    said = audit("--method", "identity", "--clips", avatars.directory, "--format", "json", cache=cache)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(said.out, parse_constant=refuse)
    assert document["schema"] == "anon_tune.certificate/1"
    assert {"leakage", "leakage_floor", "leakage_ceiling", "leakage_normalized", "leakage_interval"} <= document.keys()
    assert {"accuracy", "accuracy_floor", "accuracy_ceiling", "accuracy_interval"} <= document.keys()
