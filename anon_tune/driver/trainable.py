"""What Tune runs in a worker: one step is one rung."""

from __future__ import annotations

import faulthandler
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune

from anon_tune.errors import AnonTuneError
from anon_tune.folder import Folder
from anon_tune.methods import read_recipe
from anon_tune.study.assignment import Assignment, fault
from anon_tune.trial import BEGUN, Ceilings, TrialBody

_HUNG = "hung.txt"
_LOOK_EVERY_S = 5.0


class RungTrainable(tune.Trainable):
    """Brings one trial from rung to rung; between two steps nothing runs.

    So a trial can be stopped at any rung without leaking what its body started. The body keeps its
    own checkpoints; which rungs are left to do stands in the config, where the driver keeps it up
    to date, so that a worker started after another one died goes on at the right rung.
    """

    def setup(
        self,
        config: dict[str, Any],
        body: TrialBody | None = None,
        job_limit_s: float | None = None,
        through_train: bool = False,
    ) -> None:
        """Take the body and the limit, once for all trials of this actor, and the first trial."""
        if body is not None:
            self.body, self.job_limit_s, self.through_train = body, job_limit_s, through_train
        self.assignment, self.directory = from_config(config)
        Folder.at(self.directory).remove(_HUNG)  # of an earlier attempt
        self.todo = list(self.assignment.todo)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self.setup(new_config)
        return True

    def node_name(self) -> str:
        """Return the host name of this worker's node, as reports have it."""
        return socket.gethostname()

    def step(self) -> dict[str, Any]:
        """Advance the trial by one rung."""
        job = self.assignment.job(self.todo[0], self.directory)
        try:
            with _limited(self.job_limit_s, Folder.at(self.directory), self.through_train):
                report = self.body.advance(job)
        except AnonTuneError as error:
            return {"failure": str(error), "done": True}
        self.todo.pop(0)
        score = report.score
        flat = {"rung": report.rung, "step": report.step, "report": report}
        flat |= {"leakage": score.leakage.validation, "accuracy": score.accuracy.validation}
        if failure := fault(report):
            return {**flat, "failure": failure, "done": True}
        return {**flat, "done": not self.todo}


@contextmanager
def _limited(seconds: float | None, folder: Folder, through_train: bool) -> Iterator[None]:
    """End this process when a job takes too long, and leave where it hung.

    The timer needs no interpreter lock, so it also ends what hangs in a library's own code. A job of Ray Train's
    workers is timed from when they begin: before, they may wait for a node.
    """
    if seconds is None:
        yield
        return
    over = threading.Event()
    with tempfile.TemporaryFile() if folder.is_remote else open(folder.path / _HUNG, "wb") as file:

        def arm() -> None:
            began = f"{time.time()}\n".encode()
            if folder.is_remote:  # out of reach for who is about to end: what the driver finds is when it began
                folder.write(_HUNG, began)
            file.write(began)
            file.flush()
            faulthandler.dump_traceback_later(seconds, exit=True, file=file)

        def arm_when_begun() -> None:
            while not over.wait(min(seconds, _LOOK_EVERY_S)):
                if folder.has(BEGUN):
                    arm()
                    return

        waits = threading.Thread(target=arm_when_begun, daemon=True)
        if through_train:
            folder.remove(BEGUN)  # of an earlier attempt
            waits.start()
        else:
            arm()
        try:
            yield
        finally:
            over.set()
            if through_train:
                waits.join()
            faulthandler.cancel_dump_traceback_later()
            folder.remove(_HUNG)


def why_hung(directory: str, job_limit_s: float | None) -> str:
    """Return why a worker ended that this limit ended; empty for one that died of something else.

    Args:
        directory: Location of the trial's.
        job_limit_s: The limit that the worker had.
    """
    folder = Folder.at(directory)
    try:
        if job_limit_s is None or not folder.has(_HUNG):
            return ""
        began, _, text = folder.read(_HUNG).decode(errors="replace").partition("\n")
    except OSError:  # a store that is away for a moment: the reason is not worth a study
        return ""
    threads = [t for t in text.split("hread 0x") if Path(__file__).name in t]  # one of them is at the job
    places = [line.strip().removeprefix("File ") for t in threads for line in t.splitlines() if "File " in line]
    if places:
        return f"a job took longer than {job_limit_s:g} s, in {places[0]}"
    is_over = folder.is_remote and bool(began) and time.time() - float(began) >= job_limit_s
    return f"a job took longer than {job_limit_s:g} s" if is_over else ""


def to_config(assignment: Assignment, directory: str) -> dict[str, Any]:
    """Turn an assignment into Tune's plain config."""
    return {
        "trial": assignment.trial,
        "recipe": assignment.recipe.model_dump(mode="json"),
        "directory": directory,
        "levels": list(assignment.levels),
        "todo": list(assignment.todo),
        "ceilings": [[c.leakage, c.accuracy] for c in assignment.ceilings or ()],
    }


def from_config(config: dict[str, Any]) -> tuple[Assignment, str]:
    """Turn Tune's config back into an assignment and its directory."""
    ceilings = [Ceilings(leakage, accuracy) for leakage, accuracy in config["ceilings"]]
    assignment = Assignment(
        trial=config["trial"],
        recipe=read_recipe(config["recipe"], config["trial"]),
        levels=tuple(config["levels"]),
        todo=tuple(config["todo"]),
        ceilings=(ceilings[0], ceilings[1]) if ceilings else None,
    )
    return assignment, config["directory"]
