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

# Of errors without a class: of torch's allocator on the CPU (two), of CUDA, and of cuBLAS and cuDNN.
_SIGNS = ("not enough memory", "can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED")


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
    """True for the errors of torch's allocators, of CUDA and its libraries, and of Python; only some have a class."""
    has_class = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return has_class or any(sign in str(error) for sign in _SIGNS)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; Python's lack of memory has no text."""
    return (str(error).splitlines() or ["out of memory"])[0]
