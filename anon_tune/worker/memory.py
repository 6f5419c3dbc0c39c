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
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        cause = first_line(error).partition(". ")[0]
        raise AnonTuneError(f"trial {trial_id}", "ran out of memory", remedy=LESS_MEMORY, cause=cause) from None


def is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """True for torch's error on a GPU, for that of its allocator on the CPU, which has no class, and for Python's."""
    has_class = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return has_class or "not enough memory" in str(error) or "can't allocate memory" in str(error)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; Python's lack of memory has no text."""
    return (str(error).splitlines() or ["out of memory"])[0]
