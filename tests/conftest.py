"""Shared by tests of several rooms: tiny clips, a tiny recipe, and one thread per test process."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

from anon_tune.cli import main
from anon_tune.clips import Clips, make_avatars
from anon_tune.ledger import Ledger
from anon_tune.methods import make_recipe
from anon_tune.recipe import Recipe
from anon_tune.search import SearchSpace
from anon_tune.study import StudySettings
from anon_tune.study.frozen_study import freeze_study
from anon_tune.trial import Ceilings, RungJob, Trial, TrialState

os.environ["OMP_NUM_THREADS"] = "1"  # of this process, before torch is loaded, and of those that tests start
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # the many processes that tests start need not compile this package
    sys.dont_write_bytecode = False
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or processes that tests interrupt would not hear of it
gc.set_threshold(50_000, 20, 50)  # torch's many objects make each collection slow: a twelfth of the time of unit tests
settings.register_profile("any machine", deadline=None)  # a test asserts no wall time
settings.load_profile("any machine")

TINY = {
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 2,
    "training.num_steps": 6,
    "training.batch_clips": 4,
    "training.warmup_steps": 1,
    "evaluation.rung.attackers": "frame",  # not the one that loads scikit-learn
    "evaluation.rung.attacker_steps": 4,
    "evaluation.rung.classifier_steps": 4,
    "evaluation.full.attackers": "frame,clip",
    "evaluation.full.attacker_steps": 4,
    "evaluation.full.classifier_steps": 4,
    "evaluation.num_bootstraps": 5,
    "evaluation.width": 4,
}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Let each test draw the same numbers, whatever ran before it in this process."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(1_000_003)  # a seed that nothing else uses: equal numbers are then no accident


class Said(NamedTuple):
    """Exit code and output of the command line."""

    code: int
    out: str
    err: str


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Call the command line in this process. An exception that it does not catch fails the test."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["anon-tune", *map(str, arguments)])
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
        assert isinstance(code, int)
        return Said(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """The power does not fail during tests, and they write thousands of small files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Few, small and short avatar clips: 4 frames of 16 x 20 pixels."""
    directory = tmp_path_factory.mktemp("clips") / "avatars"
    return make_avatars(directory, num_train=32, num_val=24, num_test=24, num_frames=4, height=16, width=20)


@pytest.fixture(scope="session")
def tiny_params() -> dict[str, Any]:
    """Flat dotted names of a recipe that trains and is measured in a second."""
    return dict(TINY)


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., Recipe]:
    """Return a function that builds a recipe from `tiny_params`, with changes given by flat dotted names."""

    def build(params: dict[str, Any] | None = None) -> Recipe:
        return make_recipe(TINY | (params or {}))

    return build


@pytest.fixture(scope="session")
def example_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of docs/add-a-method.md, from the code blocks of the page; the text before a block names its file.

    A block without a file name is the search space, in ``space.toml``.
    """
    folder = tmp_path_factory.mktemp("example")
    page = (Path(__file__).parents[1] / "docs" / "add-a-method.md").read_text()
    begun = 0
    for block in re.finditer(r"^```(?:toml|python)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        named = re.findall(r"`([\w/-]+(?:\.\w+)*\.(?:py|toml))`", page[begun : block.start()])
        file = folder / (named or ["space.toml"])[-1]
        assert not file.exists(), f"two blocks are {file.name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block[1])
        begun = block.end()
    return folder


@pytest.fixture(scope="session")
def example_installed(example_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the package of the page."""
    target = tmp_path_factory.mktemp("target") / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", target, example_package], check=True, capture_output=True)
    return target


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 server on this machine; yields the query of a URI that leads to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"endpoint_override=http://{host}:{port}&region=us-east-1&allow_bucket_creation=true"
    server.stop()


@pytest.fixture
def s3(s3_server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket for one test: a URI with a placeholder for the path."""
    from pyarrow import fs

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = f"bucket-{abs(hash(request.node.nodeid)):x}"
    fs.FileSystem.from_uri(f"s3://{bucket}?{s3_server}")[0].create_dir(bucket)
    return f"s3://{bucket}/{{}}?{s3_server}"


@pytest.fixture(scope="session")
def small_study(avatars: Clips, tiny_params: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an unfinished study: anchors and two trials have scores, one trial is pruned, one is running.

    The code of the workers trained and measured everything in it, only without Ray.
    """
    import torch

    from anon_tune.worker.job import perform

    directory = tmp_path_factory.mktemp("studies") / "small"
    directory.mkdir()
    search = {"penalty.weight": {"low": 0.1, "high": 10.0, "log": True}}
    tables = {"fixed": tiny_params, "search": search, "study": {"rungs": {"min_steps": 3, "factor": 2}}}
    space = SearchSpace.from_tables(tables, "small.toml")
    settings = StudySettings(num_trials=4, clips=str(avatars.directory), clips_fingerprint=avatars.fingerprint)
    freeze_study(directory, space, settings)
    ledger = Ledger(directory / "ledger")
    ceilings: dict[bool, Ceilings] = {}

    def run(trial: str, number: int, params: dict[str, Any], method: str, last: TrialState) -> None:
        recipe = space.recipe(params, method)
        record = Trial(trial, number, method, params, recipe.fingerprint(), TrialState.RUNNING)
        folder = directory / "trials" / trial
        folder.mkdir(parents=True)
        ledger.append(record)
        for rung, step in enumerate((3, 6)[: 1 if last in (TrialState.PRUNED, TrialState.RUNNING) else 2]):
            job = RungJob(trial, recipe, str(folder), rung, step, step == 6, ceilings.get(step == 6))
            report = perform(job, avatars, torch.device("cpu"))
            assert report is not None
            if method == "identity":
                score = report.score
                ceilings[step == 6] = Ceilings(score.leakage.value, score.accuracy.value)
            ledger.append(record, report)
        if last.is_final:
            reason = "rung 0 (step 3): position 3 of 3, front rank 1" if last is TrialState.PRUNED else ""
            ledger.append(replace(record, state=last, reason=reason))

    run("identity", -1, {}, "identity", TrialState.COMPLETE)
    run("black-out", -1, {}, "black-out", TrialState.COMPLETE)
    run("0000", 0, {"penalty.weight": 0.5}, "adversarial", TrialState.COMPLETE)
    run("0001", 1, {"penalty.weight": 5.0}, "adversarial", TrialState.COMPLETE)
    run("0002", 2, {"penalty.weight": 9.0}, "adversarial", TrialState.PRUNED)
    run("0003", 3, {"penalty.weight": 0.2}, "adversarial", TrialState.RUNNING)
    return directory


@pytest.fixture
def no_ray() -> None:
    """No Ray in this process: one that other tests share is ended, and begun anew by the next that asks for it."""
    import ray

    ray.shutdown()


@pytest.fixture(scope="session")
def write_interlaced() -> Callable[..., None]:
    """Return a function that writes a short interlaced video, perhaps with a display matrix."""
    return _write_interlaced


def _write_interlaced(path: Path, matrix: list[int] | None = None) -> None:
    """Write frames that hold a bar at one place in their even rows and at another in their odd ones."""
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.flags |= av.codec.context.Flags.interlaced_dct
        if matrix:
            stream.set_display_matrix(matrix)
        for at in range(8):
            pixels = np.zeros((48, 64, 3), np.uint8)
            pixels[0::2, 6 * at : 6 * at + 6] = 255
            pixels[1::2, 6 * at + 3 : 6 * at + 9] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
