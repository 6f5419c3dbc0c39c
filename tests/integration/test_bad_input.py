"""A mistake of a user is one line on stderr, in one form, with exit code 2 and no traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from anon_tune.clips import Clips, open_clips
from anon_tune.study.lock import driver_lock

PATTERN = r"(?P<person>[a-z]+)(?P<take>\d)_(?P<action>[a-z]+)\.mp4"
SPACE = """
[search]
"penalty.weight" = { low = 0.1, high = 10.0, log = true }
"""


Say = Callable[..., Any]


def assert_one_line(said: Any, pattern: str) -> None:
    assert said.code == 2, said
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert re.fullmatch(rf"error: {pattern}", line), line


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path / "space.toml"


@pytest.fixture
def study(say: Say, space: Path, avatars: Clips, tmp_path: Path) -> Say:
    """Call `study` with the text of a search space, or with other arguments."""

    def call(*arguments: object, text: str = SPACE, clips: object = avatars.directory) -> Any:
        space.write_text(text)
        return say("study", space, "--clips", clips, "--out", tmp_path / "out", *arguments)

    return call


SPACES = {
    "misspelt": (SPACE.replace("weight", "wieght"), "unknown name 'penalty.wieght'. Did you mean 'penalty.weight'?"),
    "misspelt fixed": (
        SPACE + '[fixed]\n"trainign.seed" = 1',
        "unknown name 'trainign.seed'. Did you mean 'training.seed'?",
    ),
    "turned round": (SPACE.replace("0.1", "99"), "'penalty.weight': low must be below high, got 99 and 10.0."),
    "log of nothing": (SPACE.replace("0.1", "0"), "'penalty.weight': low must be above 0 on a log scale, got 0."),
    "no recipe": (
        '[search]\n"privacy.cap" = { low = -1.0, high = 1.0 }',
        "no recipe at .*, 'privacy.cap': input should be greater than 0, got -1.0. Change the search space .*",
    ),
    "fixed out of range": (
        SPACE + '[fixed]\n"training.num_steps" = 0',
        "no recipe at .*, 'training.num_steps': input should be greater than or equal to 1, got 0. Change .*",
    ),
    "unknown key": (
        SPACE.replace("log", "inetger"),
        "'penalty.weight': unknown key 'inetger'. Did you mean 'integer'?",
    ),
    "unknown table": (SPACE.replace("search", "serach"), "unknown table 'serach'. Did you mean 'search'?"),
    "not TOML": ("[search", "is not valid TOML: .*"),
    "nothing": ("", "nothing is searched. Add .*"),
    "sampler": (SPACE + '[study]\nsampler = "luck"', ".*'sampler': input should be 'auto', .*got luck."),
}


@pytest.mark.usefixtures("no_ray")  # with one, its nodes are asked
@pytest.mark.parametrize("name", ["anonymizer.weights", "utility.weights", "privacy.weights"])
def test_files_of_weights_are_read_before_anything_else(study: Say, tmp_path: Path, name: str) -> None:
    gone, text = tmp_path / "gone.safetensors", tmp_path / "text.safetensors"
    text.write_text("no weights")
    rule = rf"{name}: must be a file of weights that can be read: "
    assert_one_line(study("--set", f"{name}={gone}"), rf"{rule}No such file .*, got {gone}\. Check the path\.")
    assert_one_line(study("--set", f"{name}={text}"), rf"{rule}.*, got {text}\. Check the path\.")
    choices = SPACE + f'"{name}" = {{ choices = ["{gone}"] }}'
    assert_one_line(study(text=choices, clips="nowhere"), rf"{rule}No such file .*, got {gone}\. Check the path\.")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_ray")
def test_files_of_pretrained_attackers_are_read_before_the_first_trial(study: Say, tmp_path: Path) -> None:
    tensor, other = tmp_path / "tensor.pt", tmp_path / "other.pt"
    torch.save(torch.zeros(3), tensor)
    torch.save({"a": torch.zeros(3)}, other)
    attackers = "evaluation.full.attackers=timm:resnet18"
    for name, said in (
        (
            f"timm:resnet18={tmp_path}/gone",
            r"evaluation\.pretrained: must be a file .*: No such file .*, got .*/gone\. .*",
        ),
        (f"timm:resnet18={tensor}", r"evaluation\.pretrained: .*: must be a state dict, .*, got .*\. Save network\..*"),
        (f"timm:resnet18={other}", r".*/other\.pt: 'a' must be no tensor for this network, got \(3,\)\. Choose .*"),
        (
            f"timm:resnet81={other}",
            r".*: 'evaluation\.pretrained' must name .*, got timm:resnet81\. Did you mean .*18'\?",
        ),
    ):
        assert_one_line(study("--set", attackers, "--set", f"evaluation.pretrained={name}"), said)


def test_files_of_pretrained_attackers_are_read_before_an_audit(say: Say, avatars: Clips, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    torch.save({"a": torch.zeros(3)}, other)
    audit = ("audit", "--method", "blur:1", "--clips", avatars.directory, "--cache", tmp_path / "cache")
    for name, said in (
        (f"timm:resnet18={tmp_path}/gone", r".*/gone: is not a readable file of weights: No such file .*\. .*"),
        (f"timm:resnet18={other}", r".*/other\.pt: 'a' must be no tensor for this network, got \(3,\)\. Choose .*"),
        (f"timm:resnet81={other}", r"audit: 'pretrained' must name .*, got timm:resnet81\. Did you mean .*18'\?"),
    ):
        given = ("--set", "attackers=timm:resnet18", "--set", f"pretrained={name}")
        assert_one_line(say(*audit, *given), said)


@pytest.mark.parametrize("case", SPACES)
def test_a_search_space_that_breaks_a_rule(study: Say, tmp_path: Path, case: str) -> None:
    text, message = SPACES[case]
    message = re.sub(r"([.?])(?=[ \w]*$|\s)", r"\\\1", message)
    assert_one_line(study(text=text), rf"{tmp_path}/space\.toml(: \[study\])?: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "penalty.wieght=2"], r"--set: unknown name 'penalty\.wieght'\. Did you mean 'penalty\.weight'\?"),
        (["--set", "privacy.cap=-1"], r".*'privacy\.cap': input should be greater than 0, got -1\. .*"),
        (["--set", "training.seed"], r"--set: must be name=value, got training\.seed\. Write for example .*"),
        (["--set", "=3"], r"--set: must be name=value, got =3\. Write .*"),
        (["--set", "training.batch_clips=100000000"], r".* input should be less than or equal to 4096, got 1\d+\. .*"),
        (["--set", "evaluation.num_windows=5000"], r".* input should be less than or equal to 100, got 5000\. .*"),
        (["--set", "penalty.on=edges"], r".*'penalty\.on': input should be 'pixels' or 'features', got edges\. .*"),
        (["--set", "penalty.weight=1"], r".*nothing is searched\. Add a range or choices under \[search\]\."),
        (["--stop", "hours=1"], r"stop rules: unknown key 'hours'\. .*gpu_hours.*"),
        (["--stop", "money=-1"], r"stop rules: 'money': input should be greater than 0, got -1\."),
        (["--stop", "seconds"], r"--stop: must be name=value, got seconds\. Write for example --stop seconds=3600\."),
        (["--constraint", "leakage=0.5"], r"constraints: unknown key 'leakage'\. Did you mean 'leakage_at_most'\?"),
        (["--constraint", "accuracy_at_least=2"], r"constraints: .* less than or equal to 1, got 2\."),
    ],
)
def test_an_option_that_breaks_a_rule(study: Say, tmp_path: Path, arguments: list[str], message: str) -> None:
    assert_one_line(study(*arguments), message)
    assert not (tmp_path / "out").exists()


def test_files_and_folders_that_are_not_there(say: Say, study: Say, space: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert_one_line(study(clips=gone), rf"{gone}: a clip store must hold 'manifest\.parquet'\. .*")
    said = say("study", gone, "--clips", "avatars", "--out", tmp_path / "out")
    assert_one_line(said, rf"{gone}: cannot be read: No such file or directory\. .*")
    for verb in ("front", "report", "resume"):
        assert_one_line(say(verb, gone), rf"{gone}: no stud.*\. Give the directory .*")
    assert_one_line(say("export", gone, "--trial", "0000", "-o", tmp_path / "x"), rf"{gone}: no study there\. .*")
    assert_one_line(say("clips", "info", gone), rf"{gone}: a clip store must hold 'manifest\.parquet'\. .*")
    assert list(tmp_path.iterdir()) == [space]


def test_an_empty_folder_is_no_study(say: Say, tmp_path: Path) -> None:
    for verb in ("front", "report", "resume", "verify"):
        assert_one_line(say(verb, tmp_path), rf"{tmp_path}: no stud.*\. Give the directory .*")


def test_a_study_directory_of_another_recipe(study: Say, small_study: Path, tmp_path: Path) -> None:
    shutil.copytree(small_study, tmp_path / "out")
    said = study()
    assert_one_line(said, r".*/out: study directory of another recipe: its search space was \w+, got \w+\. Give .*")


def test_an_out_that_is_a_file(study: Say, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    said = study()
    assert said.code == 2
    assert "must be a directory, not a file" in said.err
    assert (tmp_path / "out").read_text() == "mine"


def test_a_checkpoint_or_ledger_that_is_damaged(say: Say, small_study: Path, tmp_path: Path) -> None:
    shutil.copytree(small_study, tmp_path / "study")
    (tmp_path / "study" / "ledger" / "00000003.parquet").write_bytes(b"half a record")
    for verb in ("front", "report"):
        said = say(verb, tmp_path / "study")
        assert_one_line(said, r".*/00000003\.parquet: not a ledger file: .*\. Move it away and try again\.")
    (tmp_path / "study" / "study.toml").write_text("[settings")
    assert_one_line(say("resume", tmp_path / "study"), r".*/study\.toml: is not valid TOML: .*")


def test_a_study_that_cannot_be_verified(say: Say, small_study: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(small_study, study)
    with driver_lock(study):
        assert_one_line(say("verify", study), r".*/study: another process is running this study, got pid .*")
    for name in ("0000", "0001"):
        (study / "trials" / name / "anonymizer.safetensors").unlink()
    assert_one_line(say("verify", study), r"trial 000[01]: its weights are missing: .*\.safetensors\. Put it back, .*")
    file = study / "study.toml"
    file.write_text(re.sub('clips_fingerprint = ".*"', 'clips_fingerprint = "other"', file.read_text()))
    assert_one_line(say("verify", study), r".*: the study was measured on clips other, got \w+\. Restore those .*")
    shutil.rmtree(study / "ledger")
    file.write_text((small_study / "study.toml").read_text())
    assert_one_line(say("verify", study), r".*/study: nothing to verify: no trial has a full score yet\. Let .*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            r"export: give one of --leakage-at-most, --accuracy-at-least and --trial\. See .*",
        ),
        (["--trial", "0000", "--leakage-at-most", "0.9"], r"export: give one of .*"),
        (["--trial", "0007"], r".*/small: no trial '0007'\. Did you mean '000\d'\?"),
        (["--trial", "identity"], r"trial identity: is an anchor, which cannot be exported\. .*"),
        (["--trial", "0002"], r"trial 0002: only a trial with a full score can be exported, got PRUNED\. .*"),
        (["--leakage-at-most", "0.0"], r"front: the leakage limit must be kept .*, got 0\.0\. The lowest available .*"),
    ],
)
def test_a_pick_that_cannot_be_made(
    say: Say, small_study: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert_one_line(say("export", small_study, "-o", tmp_path / "x", *arguments), message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", ["48", "48*64", "0x64", "48x", "-4x4", "4.5x4"])
def test_a_size_that_is_none(say: Say, tmp_path: Path, size: str) -> None:
    said = say("clips", "avatars", "-o", tmp_path / "a", f"--size={size}")
    assert_one_line(said, rf"--size: must be height x width in pixels, got {re.escape(size)}\. Write .*")
    assert list(tmp_path.iterdir()) == []


def test_avatars_that_are_too_small_or_already_there(say: Say, tmp_path: Path) -> None:
    assert_one_line(
        say("clips", "avatars", "-o", tmp_path / "a", "--size", "8x8"), r"avatars: 'height' must be .*8\. .*"
    )
    (tmp_path / "a").mkdir()
    assert_one_line(say("clips", "avatars", "-o", tmp_path / "a"), r".*/a: already exists\. .*")


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    for name in ("ann1_walk", "ann2_walk", "bob1_kick", "bob2_kick"):
        with av.open(str(folder / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return folder


@pytest.fixture
def import_clips(say: Say, tmp_path: Path) -> Say:
    def call(folder: Path, *arguments: str) -> Any:
        options = {
            "--pattern": PATTERN,
            "--action": "action",
            "--private": "person",
            "--group": "take",
            "--test-groups": "2",
            "--num-frames": "4",
            "--size": "16x16",
            "--val-fraction": "0",
            "-o": str(tmp_path / "store"),
        }
        options |= dict(zip(arguments[::2], arguments[1::2], strict=False))
        flags = [] if len(arguments) % 2 == 0 else [arguments[-1]]
        return say("clips", "import", folder, *(part for pair in options.items() for part in pair), *flags)

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pattern", r"(?P<person>\d+)(?P<take>x)(?P<action>y)"], r".*/videos: the pattern matches no file, .*"),
        (["--pattern", "(?P<person>"], r"--pattern: is not a regular expression: .*, got \(\?P<person>\. .*"),
        (["--action", "verb"], r"--pattern: has no named group 'verb', got .*\. Known: action, person, take\."),
        (["--private", "name"], r"--pattern: has no named group 'name', got .*\. Known: action, person, take\."),
        (["--group", "day"], r"--pattern: has no named group 'day', got .*\. Known: action, person, take\."),
        (["--test-groups", "9"], r"--test-groups: unknown group '9'\. Found: 1, 2\."),
        (["--size", "16"], r"--size: must be height x width in pixels, got 16\. .*"),
        (["--val-fraction", "2"], r"--val-fraction: must be at least 0 and below 1, got 2\.0\. .*"),
    ],
)
def test_an_import_that_cannot_work(
    import_clips: Say, videos: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    assert_one_line(import_clips(videos, *arguments), message)
    assert not (tmp_path / "store").exists()


def test_an_import_of_a_folder_that_is_not_there(import_clips: Say, tmp_path: Path) -> None:
    assert_one_line(import_clips(tmp_path / "gone"), r".*/gone: must be a folder of videos\. .*")


def test_videos_that_cannot_be_decoded_are_named_and_the_rest_imported(
    import_clips: Say, videos: Path, tmp_path: Path
) -> None:
    (videos / "cat1_walk.mp4").write_bytes(b"")
    whole = (videos / "bob1_kick.mp4").read_bytes()
    (videos / "cat2_walk.mp4").write_bytes(whole[: len(whole) // 2])
    said = import_clips(videos)
    assert said.code == 2
    *bad, last = said.err.splitlines()
    assert len(bad) == 2
    assert re.fullmatch(r"cat1_walk\.mp4: cannot be used \(at frame 0\): .*\.", bad[0]), bad
    assert re.fullmatch(r"cat2_walk\.mp4: cannot be used \(at frame \d+\): .*\.", bad[1]), bad
    assert re.fullmatch(r"error: .*/videos: 2 of 6 files could not be used\. The others are imported; .*", last)
    assert open_clips(tmp_path / "store").num_clips == 4

    shutil.rmtree(tmp_path / "store")
    said = import_clips(videos, "--skip-bad")
    assert said.code == 0
    assert said.err.splitlines() == bad
    assert open_clips(tmp_path / "store").num_clips == 4


SAMPLER = ["study", "x.toml", "--clips", "avatars", "--out", "x", "--sampler", "luck"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["study"],
        ["study", "x.toml", "--clips", "avatars"],
        ["nonsense"],
        ["front", "--format", "xml", "."],
        SAMPLER,
    ],
)
def test_a_command_line_that_is_none_shows_its_usage(say: Say, arguments: list[str]) -> None:
    said = say(*arguments)
    assert said.code == 2
    assert "Usage" in said.out + said.err
    assert "Traceback" not in said.err


def anon_tune(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anon_tune", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_mistake_as_a_shell_sees_it(tmp_path: Path) -> None:
    done = anon_tune("front", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}: no study there. Give the directory that 'study --out' wrote.\n"
