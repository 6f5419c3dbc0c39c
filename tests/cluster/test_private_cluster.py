"""What a private cluster takes over from the folder in which a command starts it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import anon_tune

pytestmark = pytest.mark.cluster
Run = Callable[[Path, list[Any], str | None], str]
ROOT = Path(__file__).parents[2]
PLANTED = ("safetensors", "numpy", "torch", "pyarrow", "optuna", "selectors")


def plant(folder: Path, names: Iterable[str] = PLANTED) -> None:
    """Write modules that create a file when they are imported."""
    for name in names:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'ran')!r}, 'a').write('{name} ')\nraise ImportError('planted')\n"
        )


@pytest.fixture
def run(environment: Callable[[], dict[str, str]]) -> Run:
    """Run a command in a folder and return its output."""

    def call(folder: Path, command: list[Any], python_path: str | None) -> str:
        known = environment() | ({} if python_path is None else {"PYTHONPATH": python_path})
        words = [str(word) for word in command]
        done = subprocess.run(words, cwd=folder, env=known, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return call


def test_a_folder_that_holds_the_package_is_the_last_place(
    run: Run, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    shutil.copytree(Path(anon_tune.__file__).parent, tmp_path / "anon_tune", ignore=shutil.ignore_patterns("__py*"))
    plant(tmp_path)
    probe = tmp_path / "anon_tune" / "networks" / "weights.py"  # in driver and worker
    note = "open({!r}, 'a').write(__import__('json').dumps(__import__('sys').path) + chr(10))\n"
    probe.write_text(probe.read_text() + "\n\n" + note.format(str(tmp_path / "paths")))
    words = ["study", str(ROOT / "search_spaces/quickstart.toml"), *tiny_study(tmp_path / "study", 1, 4)]
    run(tmp_path, [sys.executable, "-m", "anon_tune", *words], python_path="")
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    paths = [json.loads(line) for line in (tmp_path / "paths").read_text().splitlines()]
    assert paths and all(path.index(str(tmp_path)) == len(path) - 1 for path in paths), paths


def test_processes_that_decode_do_not_import_from_the_current_folder(run: Run, tmp_path: Path) -> None:
    here, videos, script = tmp_path / "here", tmp_path / "videos", tmp_path / "script.py"
    here.mkdir()
    plant(here, ("av", "selectors", "numpy"))
    code = (
        "from anon_tune.__main__ import main\nimport sys\nimport os\n"
        "os.sched_getaffinity = lambda pid: {0, 1}\n"
        "if __name__ == '__main__':\n"
        "    sys.argv = ['anon-tune', 'clips', 'import', '../videos', '--pattern', '(?P<p>p.)_(?P<a>.+)[.]mp4',"
        " '--action', 'a', '--private', 'p', '--group', 'p', '--val-groups', 'p2', '--test-groups', 'p3',"
        " '--num-frames', '2', '--size', '16x16', '-o', 'store']\n"
        "    main()\n"
    )
    script.write_text(code)
    videos.mkdir()
    for person in "123":
        for action in ("walk", "run"):
            write_video(videos / f"p{person}_{action}.mp4")
    assert "splits: train 2" in run(here, [sys.executable, str(script)], python_path=str(ROOT))
    assert not (here / "ran").exists(), (here / "ran").read_text()


def write_video(path: Path) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for level in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 60 * level, np.uint8))))
        container.mux(stream.encode())


def test_a_process_can_have_one_private_cluster_after_another(run: Run, small_study: Path, tmp_path: Path) -> None:
    """As a study that is then verified and certified, from the command line or in a notebook.

    The second does not wait for nodes, as nobody will start one.
    """
    study = tmp_path / "study"
    shutil.copytree(small_study, study)
    text = (study / "study.toml").read_text()
    (study / "study.toml").write_text(text.replace("cpus_per_worker = 1", "cpus_per_worker = 640\nscale_to = 4"))
    program = """
import gc, os, ray, sys
from anon_tune.driver import verify_study
from anon_tune.driver.session import ray_session
from anon_tune.errors import PlacementError
from anon_tune.worker import ClipTrialBody
before = dict(os.environ)

def left():
    return {name for name in os.environ.keys() ^ before.keys() if "AUTH" in name}

with ray_session(dashboard=False) as is_private:
    print(is_private, ray.get(ray.remote(lambda: gc.get_threshold()[0]).remote()))
print(left())
try:
    verify_study(sys.argv[1], ClipTrialBody("unused"), 1)
except PlacementError as error:
    print(error)
print(left())
"""
    script = tmp_path / "two.py"
    script.write_text(program)
    seldom, first, placement, second = run(tmp_path, [sys.executable, script, study], None).splitlines()
    assert (seldom, first, second) == ("True 20000", "set()", "set()")
    assert "a trial needs 640 CPU, got 1 node" in placement
