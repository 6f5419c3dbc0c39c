"""The commands of cluster/README.md: a head started by hand, and a study sent to it as a job."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.cluster
README = Path(__file__).parents[2] / "cluster" / "README.md"
TOKEN = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")


def from_readme(start: str) -> list[str]:
    """Return the one command of the README that begins with a text, split into arguments."""
    joined = README.read_text().replace("\\\n", " ")
    (line,) = [line for line in joined.splitlines() if line.startswith(start)]
    return shlex.split(line, comments=True)


@pytest.fixture(scope="module")
def one_head(new_site: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The README's head on ports and in folders of its own."""
    with new_site(tmp_path_factory.mktemp("head")) as site:
        port, client, dashboard = (str(number) for number in site.ports)
        own = ["--port", port, "--ray-client-server-port", client, "--dashboard-port", dashboard]
        own += ["--object-store-memory", "100000000", "--num-cpus", "2", "--dashboard-agent-listen-port", "0"]
        command = [*from_readme("ray start --head"), *own, "--temp-dir", str(site.folder)]
        node = site.processes.start("head", command)
        site.processes.wait_until(lambda: "Ray runtime started" in site.processes.said("head"), "head", node)
        yield site
        below = site.processes.below(node.pid)
        os.killpg(node.pid, signal.SIGINT)  # what Ctrl-C does
        site.processes.ended(node)
        assert below
        site.processes.wait_until_gone(below)


@pytest.fixture
def head(one_head: Any, processes: Any) -> Any:
    """The head, whose token the processes of this test know."""
    processes.environment |= {name: one_head.processes.environment[name] for name in TOKEN}
    return one_head


def test_a_job_runs_a_study_does_not_hang_on_its_folder_and_imports_nothing_else_from_it(
    processes: Any, head: Any, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    submit = from_readme("ray job submit")
    assert submit[submit.index("--address") + 1] == "http://127.0.0.1:8265"
    submit[submit.index("--address") + 1] = head.address

    def log() -> str:
        files = head.folder.glob("session_2*/logs/runtime_env_setup-*.log")
        return "".join(file.read_text() for file in files)

    # A client without a token gets no answer.
    processes.environment["RAY_AUTH_MODE"] = "disabled"
    assert processes.run("stranger", submit) != 0
    assert "AuthenticationError" in processes.said("stranger")
    processes.environment["RAY_AUTH_MODE"] = "token"

    # A second node that shares the head's folder unpacks the job's files anew, under the feet of the driver.
    node = ["--address", f"127.0.0.1:{head.ports[0]}", "--num-cpus", "1", "--object-store-memory", "100000000"]
    second = processes.start("second", ["ray", "start", *node, "--dashboard-agent-listen-port", "0", "--block"])
    processes.wait_until(lambda: "Ray runtime started" in processes.said("second"), "second", second)

    # The project, with what git ignores, and with modules that no process may import.
    folder, root = tmp_path / "folder", README.parents[1]
    for name in ("anon_tune", "search_spaces"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".gitignore", "pyproject.toml"):
        shutil.copy(root / name, folder)
    for name in (".venv", "runs"):
        (folder / name).mkdir()
        (folder / name / "file").touch()
    for name in ("safetensors", "optuna", "typer"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\nimport no_such\n")
    submit[submit.index("--working-dir") + 1] = str(folder)
    out = tmp_path / "study"
    code = processes.run("submit", submit + tiny_study(out, trials=2, num_steps=4))
    said = processes.said("submit")
    assert log().count("Removing ")  # otherwise no file was replaced, and the test would show nothing
    assert code == 0, said[-4000:]
    assert re.search(r"Job 'raysubmit_\w+' succeeded", said)
    assert f"Report: {out / 'report.html'}" in said
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()

    ledger = pd.read_parquet(out / "ledger").sort_values("record")
    last = ledger.groupby("trial").last()
    assert sorted(last.index) == ["0000", "0001", "black-out", "identity"]
    assert set(last["state"]) == {"COMPLETE"}
    assert last["leakage"].between(0, 1).all() and last["accuracy"].between(0, 1).all()
    assert "<html" in (out / "report.html").read_text()[:200]

    # What was sent is the project, without what git ignores.
    unpacked = head.folder.glob("session_2*/runtime_resources/working_dir_files/*")
    (sent,) = (path for path in unpacked if path.is_dir())
    assert {"anon_tune", "pyproject.toml", "search_spaces"} <= {path.name for path in sent.iterdir()}
    assert not {".venv", "runs"} & {path.name for path in sent.iterdir()}
