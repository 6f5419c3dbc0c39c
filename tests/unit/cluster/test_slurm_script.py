"""What `cluster/slurm.sh` does on a node, with stand-ins for srun, Ray and Python."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "cluster" / "slurm.sh"

# As Slurm does, it hands on the environment as --export says, else as SLURM_EXPORT_ENV says.
SRUN = """#!/usr/bin/env bash
handed_on=${SLURM_EXPORT_ENV:-ALL}
while [[ $1 == --* ]]; do
    [[ $1 != --export=* ]] || handed_on=${1#*=}
    shift
done
[[ $handed_on == ALL ]] || exec env -i PATH=/usr/bin:/bin SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1 \
    SLURM_JOB_ID="$SLURM_JOB_ID" "$@"
exec "$@"
"""
# As `ray symmetric-run` does, it ends with 0 if Ray does not start on the head.
RAY = """#!/usr/bin/env bash
if [[ -n ${RAY_FAILS:-} ]]; then
    echo "Failed to start Ray" >&2
    exit 0
fi
[[ $2 == --address && $3 == 127.0.0.1:* && -n $RAY_AUTH_TOKEN && -d $RAY_TMPDIR ]] || exit 9
[[ $(find "$RAY_TMPDIR" -maxdepth 0 -perm 700) ]] || exit 8
while [[ $1 != -- ]]; do shift; done
shift
"$@"
"""
STAT_OF_ANOTHER_USER = """#!/usr/bin/env bash
[[ $2 == %U ]] && echo eve || echo "99999999 drwxrwxrwx"
"""
PYTHON = """#!/usr/bin/env bash
[[ $1 != -c ]] || { echo 0a1b; exit 0; }
printf '%s\\n' "$@" >arguments
exit "${STUDY_ENDS_WITH:-0}"
"""


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """The folder of Ray of a job whose number no other has."""
    folder = Path(f"/tmp/anon-tune-{random.SystemRandom().randrange(10**12, 10**15)}")
    yield folder
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def job(tmp_path: Path, ray_folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the script as a job of one node, with changes of its environment."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, content in (("srun", SRUN), ("ray", RAY), ("python", PYTHON)):
        (programs / name).write_text(content)
        (programs / name).chmod(0o755)

    def run(**changes: str) -> subprocess.CompletedProcess[str]:
        known = {
            "PATH": os.environ["PATH"],
            "HEAD_IP": "127.0.0.1",
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_JOB_ID": ray_folder.name.rpartition("-")[2],
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_NODEID": "0",
        }
        arguments = ["bash", str(SCRIPT), "space.toml", "--out", "a b"]
        return subprocess.run(arguments, env=known | changes, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.mark.parametrize("code", [0, 2, 130])
def test_a_job_ends_as_its_study_does_and_leaves_no_folder(
    job: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, ray_folder: Path, code: int
) -> None:
    done = job(STUDY_ENDS_WITH=str(code))
    assert done.returncode == code, done.stderr
    given = ["-m", "anon_tune", "study", "space.toml", "--out", "a b"]
    assert (tmp_path / "arguments").read_text().splitlines() == given
    assert not ray_folder.exists()


def test_a_job_on_whose_head_ray_does_not_start_fails(
    job: Callable[..., subprocess.CompletedProcess[str]], ray_folder: Path
) -> None:
    ray_folder.mkdir(mode=0o700)
    (ray_folder / "begun").touch()  # left by an earlier run of the same job
    assert job(RAY_FAILS="1").returncode == 1


def test_a_node_that_is_not_the_head_runs_no_study_and_fails_only_with_ray(
    job: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert job(RAY_FAILS="1", SLURM_NODEID="1").returncode == 0


def test_variables_reach_the_nodes_where_a_site_exports_none(
    job: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = job(SLURM_EXPORT_ENV="NONE")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "arguments").exists()


def test_a_folder_of_the_same_user_is_closed_to_others_and_used(
    job: Callable[..., subprocess.CompletedProcess[str]], ray_folder: Path
) -> None:
    ray_folder.mkdir()
    ray_folder.chmod(0o777)
    assert job().returncode == 0
    assert not ray_folder.exists()


@pytest.mark.parametrize("kind", ["link", "folder of another user"])
def test_a_folder_that_somebody_else_made_is_neither_used_nor_removed(
    job: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, ray_folder: Path, kind: str
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    if kind == "link":
        ray_folder.symlink_to(inside)
    else:
        ray_folder.mkdir()
        stat = tmp_path / ".venv" / "bin" / "stat"
        stat.write_text(STAT_OF_ANOTHER_USER)
        stat.chmod(0o755)
    done = job()
    assert done.returncode == 2
    assert f"cluster/slurm.sh: the folder of Ray must be yours, got {ray_folder} of " in done.stderr
    assert ray_folder.exists() and not list(inside.iterdir()) and not (tmp_path / "arguments").exists()
