"""What Tune runs in a worker: one step is one rung."""

from __future__ import annotations

from typing import Any

from ray import tune

from anon_tune.errors import AnonTuneError
from anon_tune.recipe import Recipe
from anon_tune.study.bookkeeper import Assignment
from anon_tune.trial import Ceilings, RungJob, TrialBody


class RungTrainable(tune.Trainable):
    """Brings one trial from rung to rung; between two steps nothing runs.

    So a trial can be stopped at any rung without leaking what its body started. The body keeps its
    own checkpoints; which rungs are left to do stands in the config, where the driver keeps it up
    to date, so that a worker started after another one died goes on at the right rung.
    """

    def setup(self, config: dict[str, Any], body: TrialBody | None = None) -> None:
        """Take the body, once for all trials of this actor, and the first trial."""
        if body is not None:
            self.body = body
        self.todo = list(config["todo"])
        self.job = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Advance the trial by one rung."""
        job = _job(self.job, self.todo[0])
        try:
            report = self.body.advance(job)
        except AnonTuneError as error:
            return {"failure": str(error), "done": True}
        self.todo.pop(0)
        score = report.score
        flat = {"rung": report.rung, "step": report.step, "report": report}
        flat |= {"leakage": score.leakage.validation, "accuracy": score.accuracy.validation}
        if not score.is_finite:
            rule = f"rung {report.rung} (step {report.step}): leakage and accuracy must be finite"
            got = f"{score.leakage.value} and {score.accuracy.value}"
            return {**flat, "failure": f"{rule}, got {got}.", "done": True}
        return {**flat, "done": not self.todo}


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


def _job(config: dict[str, Any], rung: int) -> RungJob:
    full = rung == len(config["levels"]) - 1
    ceilings = [Ceilings(leakage, accuracy) for leakage, accuracy in config["ceilings"]]
    return RungJob(
        trial=config["trial"],
        recipe=Recipe.model_validate(config["recipe"]),
        directory=config["directory"],
        rung=rung,
        step=config["levels"][rung],
        full=full,
        ceilings=ceilings[full] if ceilings else None,
    )
