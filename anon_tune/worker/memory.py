"""Turns a lack of memory into an error of the trial, so that the study goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from anon_tune.errors import AnonTuneError

LESS_MEMORY = (
    "Lower 'training.batch_clips', raise 'training.accumulate', or set 'training.precision' to bfloat16; "
    "for measuring, lower 'evaluation.batch_clips'"
)
"""What to do if memory runs out."""


@contextmanager
def memory_named(trial_id: str) -> Iterator[None]:
    """Raise an error of one line that says what to lower, if the memory of a device or of the machine runs out.

    Raises:
        AnonTuneError: It ran out.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _short(trial_id, error) from None
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # torch has no exception of its own for the machine's memory
            raise
        raise _short(trial_id, error) from None


def _short(trial_id: str, error: BaseException) -> AnonTuneError:
    cause = (str(error).splitlines() or [""])[0].partition(". ")[0]
    return AnonTuneError(f"trial {trial_id}", "ran out of memory", remedy=LESS_MEMORY, cause=cause)
