"""The tasks that must survive anonymization. What users read of a task, its metric and its floor is told here alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UtilityTask:
    """A utility task: what is recognized, and how that is measured.

    In records, the objective is called ``accuracy`` whatever the task is, so that files of all tasks are alike.

    Attributes:
        name: The value of ``utility.task``.
        objective: Name of the objective within a sentence, a table or a plot.
        metric: What is measured, in full.
        network: What the network that measures it is called.
        floor: What a network that sees nothing reaches, in words.
        beside: What is measured besides, and stands beside the objective; empty for nothing.
        needs: What the clips must have for it.
    """

    name: str
    objective: str
    metric: str
    network: str
    floor: str
    beside: str
    needs: str

    @property
    def title(self) -> str:
        """The objective as the head of a column or the title of an axis."""
        return self.objective[:1].upper() + self.objective[1:]

    @property
    def long_title(self) -> str:
        """The title of an axis that has room."""
        return f"{self.title}: {self.metric} of a fresh {self.network}"

    def word(self, objective: str) -> str:
        """Return what users call an objective of `anon_tune.trial.OBJECTIVES`."""
        return self.objective if objective == "accuracy" else objective


ACTION = UtilityTask(
    name="action",
    objective="accuracy",
    metric="top-1",
    network="action classifier",
    floor="the most frequent action",
    beside="",
    needs="at least two actions",
)
ANOMALY = UtilityTask(
    name="anomaly",
    objective="ROC AUC",
    metric="frame-level ROC AUC",
    network="anomaly detector",
    floor="0.5",
    beside="ROC AUC inside abnormal videos",
    needs="clips with the action 'normal' and others, and frame truth in the test split",
)

TASKS = {task.name: task for task in (ACTION, ANOMALY)}


def told_by(names: Iterable[str]) -> UtilityTask:
    """Return the task of records that name theirs, which is the same for all of a study; ``action`` without any."""
    return TASKS[next(iter(names), ACTION.name)]
