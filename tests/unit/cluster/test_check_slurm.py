"""``anon-tune cluster check`` on batch scripts, and the project's own one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "cluster" / "slurm.sh"
Check = Callable[..., tuple[int, str, str]]


def test_the_projects_script_is_right(check: Check) -> None:
    code, out, err = check(SCRIPT.read_text(), "--gpus", "1", "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["kind"] == "Slurm script" and said["name"] == "anon-tune"
    assert [(kind["cpus"], kind["gpus"]) for kind in said["node_types"]] == [(8, 1), (8, 1)]
    # The first node is the head and works too.
    assert said["max_trials"] == 2 and said["notes"] == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled", "FILE: starts Ray without token authentication. Write"),
        ("--nodes=2", "--nodes=4-2", "FILE: --nodes: must have the smaller number first, got 4-2. Write 2-4."),
        ("--cpus-per-task=8", "--cpus-per-task=²", "FILE: --cpus-per-task: must be a whole number, got '²'."),
        ("#SBATCH --nodes=2", "#SBATCH --nodes=many", "FILE: --nodes: must be a whole number, got 'many'."),
        (
            "--ntasks-per-node=1\n",
            "--ntasks-per-node=4\n",
            "FILE: --ntasks-per-node: must be 1, because Ray is started once per node, got 4. Write 1",
        ),
        (
            "--gpus-per-node=1",
            "--gpus=2",
            "FILE: --gpus: lets Slurm choose how many each node gets. Write --gpus-per-node",
        ),
        ('cd "$SLURM', '#SBATCH --mem=1G\ncd "$SLURM', ": Slurm reads no #SBATCH after the first command, got #SBATCH"),
        (
            "--disable-usage-stats",
            "--dashboard-host=0.0.0.0",
            "FILE: opens the dashboard to every network of the node.",
        ),
        ("--nodes=2", '--nodes=2 --comment="x', ": has a quotation mark without its partner, got #SBATCH --nodes=2"),
        ("srun --ntasks", "echo --ntasks", "FILE: starts Ray on the first node only. Start it through srun."),
        ("ray symmetric-run", "true", "FILE: does not start Ray. Start it with 'srun"),
        (
            "price-per-hour=${PRICE_PER_HOUR:-0}",
            "price-per-hour=cheap",
            "must be a price per hour of 0 or more, got 'cheap'",
        ),
    ],
)
def test_a_fault_is_one_line(check: Check, old: str, new: str, line: str) -> None:
    text = SCRIPT.read_text()
    assert old in text
    code, out, err = check(text.replace(old, new))
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and line in err


def test_the_forms_of_an_option(check: Check) -> None:
    text = SCRIPT.read_text().replace("--nodes=2", "-N 2-4").replace("--cpus-per-task=8", "-c 16")
    text = text.replace("--gpus-per-node=1", "--gres=gpu:a100:4").replace("${PRICE_PER_HOUR:-0}", "3.5")
    said = json.loads(check(text, "--gpus", "1", "--format", "json")[1])
    first, others = said["node_types"]
    assert (first["cpus"], first["gpus"], others["at_least"], others["at_most"]) == (16, 4, 1, 3)
    assert said["max_trials"] == 16 and said["price_per_hour"] == {"least": 7.0, "most": 14.0}


@pytest.mark.parametrize(
    ("gpus", "count"),
    [("--gres=gpu:a100", 1), ("--gres=gpu", 1), ("--gres=gpu:2,tmp:10G", 2), ("--gres=gpu:a100:4(S:0-1)", 4)],
)
def test_short_options_may_touch_their_values_and_gpus_may_lack_a_number(check: Check, gpus: str, count: int) -> None:
    text = SCRIPT.read_text().replace("--nodes=2", "-N3").replace("--cpus-per-task=8", "-c12")
    said = json.loads(check(text.replace("--gpus-per-node=1", gpus), "--gpus", "1", "--format", "json")[1])
    first, others = said["node_types"]
    assert (first["cpus"], first["gpus"], others["at_most"]) == (12, count, 2)


def test_gpus_that_are_said_twice_count_once(check: Check) -> None:
    text = SCRIPT.read_text().replace("--gpus-per-node=1", "--gpus-per-node=4\n#SBATCH --gres=gpu:4")
    said = json.loads(check(text, "--gpus", "1", "--format", "json")[1])
    assert [kind["gpus"] for kind in said["node_types"]] == [4, 4]
    code, _, err = check(text.replace("gpu:4", "gpu:2"))
    assert code == 2 and "the GPUs of a node must be the same number, got --gpus-per-node 4, --gres 2. Keep one" in err


def test_a_script_of_another_kind(check: Check) -> None:
    code, _, err = check(ROOT / "cluster" / "local.sh")
    assert code == 2 and "is a script without a line that starts with #SBATCH." in err


def test_it_refuses_to_run_without_a_study(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "1"}
    done = subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "the arguments of 'anon-tune study' are missing" in done.stderr
