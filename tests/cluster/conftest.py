"""Shared by tests on real Ray nodes: processes that are ended after the test, and a study that takes seconds."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import ray

from anon_tune.clips import Clips

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
NODE = ("--block", "--disable-usage-stats", "--object-store-memory", "100000000", "--dashboard-agent-listen-port", "0")
PATIENCE_S = 500  # longest wait for an event that must happen, even on a busy machine
LOCAL_CLUSTER = str(ROOT / "cluster" / "local.sh")
TINY = (
    "anonymizer.base_channels=4",
    "anonymizer.pretrain_steps=1",
    "training.batch_clips=4",
    "training.warmup_steps=1",
    "evaluation.rung.attackers=frame",  # not the one that loads scikit-learn
    "evaluation.full.attackers=frame,clip",
    "evaluation.num_bootstraps=5",
    "evaluation.width=4",
    *(f"evaluation.{effort}.{who}_steps=2" for effort in ("rung", "full") for who in ("attacker", "classifier")),
)


RUNS = "Ray runtime started"
TOO_SLOW = "node timed out during startup"  # Ray gives one 30 s, which a busy machine does not keep now and then


def patiently(start: Callable[[], T]) -> T:
    """Start nodes of Ray, several times if need be."""
    for _ in range(4):
        try:
            return start()
        except Exception as error:
            if TOO_SLOW not in str(error):
                raise
    return start()


# Ray lets its workers run when nobody else wants to: beside any other work a test would wait for them for minutes. It
# also starts a worker for each CPU that nobody uses, as ours need a runtime environment, and another for each job of
# Ray Train, which looks for nodes that a cloud is about to take back.
OF_RAY = {
    "RAY_worker_niceness": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


def environment() -> dict[str, str]:
    """Return the variables of a user without a running Ray."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return known | OF_RAY | {"OMP_NUM_THREADS": "1"}


class Processes:
    """Starts processes in the project's folder, like a user with an activated venv and no running Ray.

    Args:
        folder: Gets the output of each process, in NAME.log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process."""
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._started.append(process)
        return process

    def run(self, name: str, command: list[str]) -> int:
        """Run a process to its end and return its exit code."""
        return self.ended(self.start(name, command))

    @staticmethod
    def ended(process: subprocess.Popen[bytes]) -> int:
        """Wait for the end of a process and return its exit code."""
        return process.wait(PATIENCE_S)

    def said(self, name: str) -> str:
        """Return the output of a process so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait_until(self, condition: Callable[[], bool], name: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until a condition holds, which a process must bring about before it ends."""

        def brought_about() -> bool:
            is_over = process.poll() is not None  # asked first, since the condition may come true just before the end
            return condition() or (is_over and pytest.fail(f"'{name}' has ended: {self.said(name)[-4000:]}"))

        self.wait_for(brought_about, lambda: self.said(name))

    @staticmethod
    def wait_for(condition: Callable[[], bool], why_not: Callable[[], str] = str) -> None:
        """Wait until a condition holds. Asking takes little of the time, as what is waited for needs the CPUs."""
        deadline, used = time.monotonic() + PATIENCE_S, time.thread_time()
        while not condition():
            assert time.monotonic() < deadline, why_not()[-4000:]
            asked, used = time.thread_time() - used, time.thread_time()
            time.sleep(min(0.05 + 5 * asked, 1.0))

    def wait_until_gone(self, pids: Iterable[int]) -> None:
        """Wait until none of these processes is alive."""
        left = set(pids)
        self.wait_for(lambda: not left & self.living(), lambda: f"alive: {left & self.living()}")

    @contextlib.contextmanager
    def held(self, name: str, *pids: int) -> Iterator[None]:
        """Pause the descendants of processes whose names begin with a text, for the time of a block.

        The block begins when a descendant of each is paused. Until it ends, whoever takes such a name is paused, too.
        """
        stopped: dict[int, set[int]] = {pid: set() for pid in pids}
        is_over = threading.Event()

        def pause() -> None:
            for pid, known in stopped.items():
                found = {child for child, its_name in self.below(pid).items() if its_name.startswith(name)}
                for child in found - known:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGSTOP)
                        known.add(child)

        def keep_pausing() -> None:
            while not is_over.wait(0.2):
                pause()

        def is_held() -> bool:
            pause()
            return all(stopped.values())

        keeper = threading.Thread(target=keep_pausing)
        try:
            self.wait_for(is_held, lambda: str([self.below(pid) for pid in pids]))
            keeper.start()
            yield
        finally:
            is_over.set()
            if keeper.ident is not None:
                keeper.join()
            for one in set().union(*stopped.values()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGCONT)

    @staticmethod
    def below(pid: int) -> dict[int, str]:
        """Return the descendants of a process, with their names."""
        table = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in table.splitlines()]
        found: dict[int, str] = {}
        parents = {pid}
        while parents:
            children = {int(child): name for child, parent, name in rows if int(parent) in parents}
            found |= children
            parents = set(children)
        return found

    @staticmethod
    def living() -> set[int]:
        """Return all processes except those that have ended but are still listed."""
        table = subprocess.run(["ps", "-eo", "pid=,stat="], capture_output=True, text=True, check=True).stdout
        return {int(line.split()[0]) for line in table.splitlines() if not line.split()[1].startswith("Z")}

    def kill(self, pid: int) -> None:
        """Kill a process and all its descendants at once, as a power failure does."""
        for one in (pid, *self.below(pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)

    @staticmethod
    def free_ports() -> list[int]:
        """Find three successive free ports, below those that the system assigns itself.

        Another test process looks among other ports, because seconds pass between finding a port and listening on it.
        """
        number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 3
        lowest = 20000 + 4000 * number
        for first in range(lowest + os.getpid() % 1000 * 3, lowest + 4000 - 3, 3):
            with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
                for port in range(first, first + 3):
                    stack.enter_context(socket.socket()).bind(("", port))
                return [first, first + 1, first + 2]
        raise OSError("no three free ports")

    def end(self) -> None:
        """Kill everything that was started, with all descendants."""
        for process in reversed(self._started):
            self.kill(process.pid)
            self.ended(process)


@dataclass
class Site:
    """Ray nodes on this machine, and a client that knows their token.

    Attributes:
        processes: Starts the nodes, in an environment with the token.
        folder: Has a short name; of the nodes' own folders.
        ports: Of the head, its client server and its dashboard.
        nodes: What was started, by its name.
    """

    processes: Processes
    folder: Path
    ports: list[int]
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports[2]}"

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a node and wait until it runs."""
        command = ["ray", "start", *arguments, *NODE, "--temp-dir", str(self.folder / name)]

        def started() -> subprocess.Popen[bytes]:
            node = self.processes.start(name, command)
            self.processes.wait_for(lambda: RUNS in self.processes.said(name) or node.poll() is not None)
            assert RUNS in self.processes.said(name), self.processes.said(name)[-4000:]
            return node

        self.nodes[name] = patiently(started)
        return self.nodes[name]

    def head(self, name: str, num_cpus: int) -> subprocess.Popen[bytes]:
        port, client, dashboard = (str(number) for number in self.ports)
        at = ("--head", "--port", port, "--ray-client-server-port", client, "--dashboard-port", dashboard)
        return self.start(name, *at, "--num-cpus", str(num_cpus))

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        return self.start(name, "--address", f"127.0.0.1:{self.ports[0]}", "--num-cpus", "1")

    def client(self, *words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run anon-tune like a user who can reach only the port of the dashboard."""
        known = self.processes.environment | {"RAY_API_SERVER_ADDRESS": self.address, "PYTHONPATH": str(ROOT)}
        command = ["python", "-m", "anon_tune", *words]
        return subprocess.run(command, env=known | environment, cwd=cwd, capture_output=True, text=True, check=False)

    def ask(self, *words: str, **how: Any) -> str:
        """Run anon-tune, which must exit with 0, and return its output on stdout."""
        done = self.client(*words, **how)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.strip()


@pytest.fixture(scope="session", name="environment")
def _environment() -> Callable[[], dict[str, str]]:
    """Return the variables of a user without a running Ray."""
    return environment


@pytest.fixture(name="patiently")
def _patiently() -> Callable[[Callable[[], T]], T]:
    """Start nodes of Ray, several times if need be."""
    return patiently


@pytest.fixture(scope="session")
def _ray_ends() -> Iterator[None]:
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def workers_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers of `shared_ray` keep what they fetch."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def shared_ray(_ray_ends: None, workers_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray with two CPUs in this process, for all tests that leave it unchanged; its workers may use the `s3` server."""
    monkeypatch.setenv("ANON_TUNE_CACHE", str(workers_cache))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    if ray.is_initialized():
        return
    os.environ |= OF_RAY | {"RAY_AUTH_TOKEN": "a" * 32}  # so that none is written into the home folder
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.2"
    how = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    patiently(lambda: ray.init("local", num_cpus=2, **how))


@pytest.fixture(scope="session")
def new_site() -> Callable[[Path], contextlib.AbstractContextManager[Site]]:
    """Make a `Site` with its logs in a folder; it is shared by several tests."""

    @contextlib.contextmanager
    def made(scratch: Path) -> Iterator[Site]:
        folder = Path(tempfile.mkdtemp(prefix="at"))
        processes = Processes(scratch)
        # Nodes can import this package only from the files of a job.
        processes.environment.pop("PYTHONPATH", None)
        processes.environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
        (folder / "token").write_text("c0ffee" * 10 + "beef")
        try:
            yield Site(processes, folder, processes.free_ports())
        finally:
            processes.end()
            shutil.rmtree(folder, ignore_errors=True)

    return made


@pytest.fixture
def site(new_site: Callable[[Path], contextlib.AbstractContextManager[Site]], tmp_path: Path) -> Iterator[Site]:
    """The nodes of one test; none is started yet."""
    with new_site(tmp_path) as made:
        yield made


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Start processes, which are all killed after the test."""
    started = Processes(tmp_path)
    yield started
    started.end()


@pytest.fixture(scope="session")
def tiny_study(avatars: Clips) -> Callable[..., list[str]]:
    """Return arguments that make a `study` command take seconds. They come last, because the last value counts.

    Trials run one at a time unless a test is about several, because a worker takes longer to start than to train.
    """

    def arguments(out: Path, trials: int, num_steps: int, beside: int = 1) -> list[str]:
        settings = [part for name in (*TINY, f"training.num_steps={num_steps}") for part in ("--set", name)]
        where = ["--clips", str(avatars.directory), "--out", str(out)]
        return [*where, "--trials", str(trials), "--max-concurrent", str(beside), *settings]

    return arguments


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a short name: Ray puts Unix sockets below it, and these have 107 bytes at most."""
    path = Path(tempfile.mkdtemp(prefix="at"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def ports() -> list[int]:
    """Three neighbouring ports that nobody listens on, below those that the system hands out by itself."""
    return Processes.free_ports()


@pytest.fixture
def nodes(processes: Processes, short_path: Path, ports: list[int]) -> Iterator[Path]:
    """A head and a worker with one CPU each, and the environment that `env` prints; yields their folder."""
    with _up(processes, short_path / "nodes", ports) as folder:
        yield folder


@pytest.fixture(scope="module")
def _kept_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Processes, Path]]:
    processes, folder = Processes(tmp_path_factory.mktemp("nodes")), Path(tempfile.mkdtemp(prefix="at"))
    with _up(processes, folder / "nodes", processes.free_ports()) as nodes:
        yield processes, nodes
        pids = [int((nodes / f"{name}.pid").read_text()) for name in ("head", "worker-1")]
        ours = {*pids, *(child for pid in pids for child in processes.below(pid))}
    assert not nodes.exists() and len(ours) > 8
    processes.wait_until_gone(ours)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def same_nodes(processes: Processes, _kept_nodes: tuple[Processes, Path]) -> Path:
    """Nodes like `nodes`, for all tests of a file that leave them unchanged."""
    kept, folder = _kept_nodes
    processes.environment |= kept.environment
    return folder


@contextlib.contextmanager
def _up(processes: Processes, folder: Path, ports: list[int]) -> Iterator[Path]:
    port, _, dashboard = (str(number) for number in ports)
    processes.environment |= {"CLUSTER_DIR": str(folder), "PORT": port, "DASHBOARD_PORT": dashboard}

    def start() -> None:
        if processes.run("up", [LOCAL_CLUSTER, "up", "2", "1"]) != 0:
            said = processes.said("up") + "".join(log.read_text() for log in folder.glob("*.log"))
            processes.run("down", [LOCAL_CLUSTER, "down"])
            raise AssertionError(said[-4000:])

    try:
        patiently(start)
        assert processes.run("env", [LOCAL_CLUSTER, "env"]) == 0
        lines = processes.said("env").splitlines()
        processes.environment |= dict(line.removeprefix("export ").split("=", 1) for line in lines)
        yield folder
    finally:
        processes.run("down", [LOCAL_CLUSTER, "down"])
