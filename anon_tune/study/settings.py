"""The settings of a study."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from anon_tune.address import refuse_secret
from anon_tune.errors import UsageError
from anon_tune.search.parameters import Sampler, StopRules


class StudySettings(BaseModel):
    """The settings of a study. Clips, seed, sampler and rungs change its results, so they cannot be changed later.

    Attributes:
        num_trials: Trials to propose, anchors not counted.
        clips: What is anonymized: a built-in name or a directory.
        clips_fingerprint: Of the clips; a study is never continued on others.
        stills: What the privacy branch learns on, if not on the clips: a clip store.
        stills_fingerprint: As `clips_fingerprint`.
        drawn: Law by which the number of trials was drawn, ``LAW:MEAN``; empty if it was given.
        protected_clips: Clips of the training split, if trials train privately; else 0.
        protected_groups: Groups of that split; else 0.
        seed: Of the sampler.
        sampler: ``auto`` takes a Gaussian process, in turns with TPE, where it fits, else TPE, and NSGA-II for many
            trials.
        sampler_class: Class of a sampler that the caller passed in and that is used instead of `sampler`; empty for
            none.
        storage: URL of an Optuna storage, without a password; None for a journal file in the study directory.
        record_name: Name of the study in that storage; the first driver makes it.
        rungs: True to stop unpromising trials early at the rungs of the search space, if it has any.
        cpus_per_worker: CPUs of each worker of a trial.
        gpus_per_worker: GPUs of each worker of a trial.
        workers_per_trial: Number of workers that train one anonymizer together.
        max_concurrent: Largest number of trials at the same time; None for as many as fit on the cluster.
        scale_to: Number of trials to keep under way even if they do not fit yet. Trials that wait make an autoscaler
            add nodes. None for as many as fit.
        max_failures: How often a trial is started again after its worker died, hung or raised an error. If trials wait
            to be promoted, they are counted anew after each rung.
        job_limit_s: Seconds after which a rung job counts as hung; None for no limit.
        stop: The stop rules, which end the study before its last trial.
        warm_start: Directory of an earlier study that the sampler learns from; None for none.
        tensorboard: True to write event files for TensorBoard.
        mlflow: Tracking URI of an MLflow server or folder to which trials are logged too; None for none.
        wandb: Project of Weights & Biases to which trials are logged too; None for none.
        wandb_prefix: What the ids of its runs there begin with; the first driver draws it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_trials: Annotated[int, Field(ge=1)] = 32
    clips: str = ""
    clips_fingerprint: str = ""
    stills: str = ""
    stills_fingerprint: str = ""
    drawn: str = ""
    protected_clips: Annotated[int, Field(ge=0)] = 0
    protected_groups: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0)] = 0
    sampler: Sampler = "auto"
    sampler_class: str = ""
    storage: str | None = None
    record_name: str | None = None
    rungs: bool = True
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0
    workers_per_trial: Annotated[int, Field(ge=1)] = 1
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    scale_to: Annotated[int, Field(ge=1)] | None = None
    max_failures: Annotated[int, Field(ge=0)] = 2
    job_limit_s: Annotated[float, Field(gt=0)] | None = None
    stop: StopRules = StopRules()
    warm_start: str | None = None
    tensorboard: bool = True
    mlflow: str | None = None
    wandb: str | None = None
    wandb_prefix: str | None = None

    @field_validator("storage", "clips", "stills", "warm_start", "mlflow")
    @classmethod
    def _has_no_secret(cls, value: str | None, info: ValidationInfo) -> str | None:
        refuse_secret(f"--{info.field_name}".replace("_", "-"), value)  # no ValueError: it comes out as it is
        return value

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_cards_or_a_share_of_one(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise UsageError("--gpus", "must be a share of one GPU or a whole number of them", value, "Round it")
        return value

    @property
    def runs_through_train(self) -> bool:
        """True if the trial body starts its own workers: with several of them, or with a GPU."""
        return self.workers_per_trial > 1 or self.gpus_per_worker > 0

    def on_private_cluster(self) -> StudySettings:
        """Return settings that do not wait for more nodes, because no autoscaler runs on a private cluster."""
        return self.model_copy(update={"scale_to": None})
