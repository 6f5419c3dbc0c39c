"""Does the rung jobs of trials: in the calling process on CPU, or in workers of Ray Train's TorchTrainer."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from typing import Any

import torch

from anon_tune.clips import Clips, open_clips
from anon_tune.errors import AnonTuneError
from anon_tune.methods.external.permission import external_allowed
from anon_tune.study_directory import TrialDirectory
from anon_tune.trial import RungJob, RungReport
from anon_tune.worker.job import perform
from anon_tune.worker.memory import memory_named


@dataclass(frozen=True)
class ClipTrialBody:
    """Does rung jobs on one clip store.

    A single worker without a GPU trains in the calling process. Several workers, or workers with GPUs, train in a
    TorchTrainer that lives no longer than the job. Nothing runs between two rungs, so a trial that is stopped early
    leaves no worker and no placement group behind.

    Attributes:
        clips: The clip store: a directory that every node sees, or a URI, which each node copies once.
        num_workers: Number of workers per trial.
        cpus_per_worker: CPUs per worker; a worker uses as many threads.
        gpus_per_worker: GPUs per worker. A worker with a fraction of a GPU may use the same fraction of its memory.
        stills: Another clip store on which the privacy branch learns; empty if it learns on the clips.
        baselines: Folder that keeps attackers trained on raw clips, a path that every node sees or a URI; empty to
            train them in every process.
        allow_external: Run the programs that methods ``external:COMMAND`` name.
    """

    clips: str
    num_workers: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0
    stills: str = ""
    baselines: str = ""
    allow_external: bool = False

    @property
    def in_process(self) -> bool:
        """True if jobs are done in the calling process."""
        return self.num_workers == 1 and self.gpus_per_worker == 0

    def advance(self, job: RungJob) -> RungReport:
        """Do a rung job and return its report.

        Raises:
            AnonTuneError: The trial cannot go on; it becomes FAILED with this reason.
        """
        if self.in_process:
            torch.set_num_threads(self.cpus_per_worker)
            stills = _stills(job, self.stills)
            with external_allowed(self.allow_external), memory_named(job.trial_id):
                report = perform(job, _open(self.clips), torch.device("cpu"), stills, self.baselines)
            assert report is not None  # a single worker is world rank 0
            return report
        return self._train_in_workers(job)

    def _train_in_workers(self, job: RungJob) -> RungReport:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        from anon_tune.worker.freed_workers import FreesItsWorkers

        # Hence 'type: ignore': the types of ray.train are those of its version 1, in which a worker returns nothing.
        filesystem, path = TrialDirectory.at(job.directory).ray_train.storage
        trainer = TorchTrainer(
            _worker,  # type: ignore[arg-type]
            train_loop_config={
                "job": job,
                "clips": self.clips,
                "stills": self.stills,
                "baselines": self.baselines,
                "allow_external": self.allow_external,
                "threads": self.cpus_per_worker,
                "gpus": self.gpus_per_worker,
            },
            scaling_config=ScalingConfig(
                num_workers=self.num_workers,
                use_gpu=self.gpus_per_worker > 0,
                resources_per_worker={"CPU": self.cpus_per_worker}
                | ({"GPU": self.gpus_per_worker} if self.gpus_per_worker else {}),
            ),
            run_config=RunConfig(
                name=f"rung-{job.rung}",
                storage_path=path,
                storage_filesystem=filesystem,
                failure_config=FailureConfig(max_failures=0),  # the study itself retries, and counts lost jobs
                callbacks=[FreesItsWorkers()],  # type: ignore[list-item]
            ),
        )
        outcome = trainer.fit().return_value  # type: ignore[attr-defined]
        if isinstance(outcome, AnonTuneError):
            raise outcome
        assert isinstance(outcome, RungReport)
        return outcome


def _worker(config: dict[str, Any]) -> RungReport | AnonTuneError | None:
    """Run in every worker. An error of the trial is returned, because raising it would restart all workers."""
    from ray.train import get_context
    from ray.train.torch import get_device

    torch.set_num_threads(config["threads"])
    if 0 < config["gpus"] < 1:  # Ray counts fractions of a GPU but does not enforce them
        torch.cuda.set_per_process_memory_fraction(config["gpus"])
    try:
        job = config["job"]
        begun, leads = TrialDirectory.at(job.directory).begun, get_context().get_world_rank() == 0
        if leads:
            begun.write(json.dumps({"node": socket.gethostname(), "time": time.time()}).encode())
        stills = _stills(job, config["stills"])
        with external_allowed(config["allow_external"]), memory_named(job.trial_id):
            report = perform(job, _open(config["clips"]), get_device(), stills, config["baselines"])
        if leads:
            begun.remove()
        return report
    except AnonTuneError as error:
        return error


_opened: dict[str, Clips] = {}


def _open(location: str) -> Clips:
    """Open a clip store once per process, so that all trials of a reused worker share one memory map."""
    if location not in _opened:
        _opened[location] = open_clips(location)
    return _opened[location]


def _stills(job: RungJob, location: str) -> Clips | None:
    return _open(location) if location and not job.weights else None
