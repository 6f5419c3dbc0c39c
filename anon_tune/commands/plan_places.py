"""Where the trials of a planned study run: on this machine, or on the nodes of a cluster file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.driver.placement import place
from anon_tune.errors import PlacementError

if TYPE_CHECKING:
    from anon_tune.commands.plan import RecipePlan
    from anon_tune.study import StudySettings


@dataclass(frozen=True, slots=True)
class Places:
    """Where trials run.

    Attributes:
        cluster: The cluster file; empty for this machine.
        num_concurrent: Number of trials at a time, at least 1.
        price_per_trial_hour: Price of a trial per hour, the mean over the nodes; None if the file has no price.
        price_per_hour: Price of all nodes per hour; None if the file has no price.
        refused: Why no trial fits; empty if one does.
    """

    cluster: str = ""
    num_concurrent: int = 1
    price_per_trial_hour: float | None = None
    price_per_hour: float | None = None
    refused: tuple[str, ...] = ()


def find_places(settings: StudySettings, file: Path | None) -> Places:
    """Return where trials run.

    Raises:
        ClusterFileError: The cluster file has an error.
    """
    if file is None:
        import torch

        has = {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}
        try:
            return Places(num_concurrent=place(settings, [has]).max_concurrent)
        except PlacementError as error:
            return Places(refused=(f"This machine: {error.reason}.",))
    from anon_tune.cluster.check import check_file, expect

    cluster, errors = check_file(file)
    if errors or cluster is None:
        raise errors[0]
    try:
        expected = expect(cluster, settings)
    except PlacementError as error:
        return Places(str(file), refused=(f"{file}: {error.reason}.",))
    priced = [(fit.trials or 1, fit.price_per_trial_hour) for fit in expected.fits if fit.workers]
    known = [(trials, price) for trials, price in priced if price is not None]
    mean = sum(trials * price for trials, price in known) / sum(trials for trials, _ in known) if known else None
    return Places(str(file), max(expected.max_trials, 1), mean, expected.most_per_hour if known else None)


def what_does_not_fit(recipes: Sequence[RecipePlan], settings: StudySettings, places: Places) -> Iterator[str]:
    """Yield a sentence for every recipe that needs more memory than there is on this machine."""
    for one in recipes:
        if one.times.refused:
            yield f"The {one.role} recipe: {one.times.refused}."
    if not recipes:
        return
    largest = max(one.times.peak_gpu_bytes for one in recipes)
    share = min(settings.gpus_per_worker, 1.0)
    if largest and largest > (has := share * _gpu_bytes()):
        yield f"A trial needs {largest / 1e9:.1f} GB of GPU memory, but {share:g} of this GPU has {has / 1e9:.1f} GB."
    host = max(one.times.peak_bytes for one in recipes)
    together = 1 if places.cluster else places.num_concurrent
    if host * together > (has := _machine_bytes()):
        yield (
            f"{together} trials at a time need {host * together / 1e9:.1f} GB of memory, but this machine has "
            f"{has / 1e9:.1f} GB."
        )


def _gpu_bytes() -> int:
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory)


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
