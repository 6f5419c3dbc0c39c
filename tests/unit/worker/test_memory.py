from __future__ import annotations

import pytest
import torch

from anon_tune.errors import AnonTuneError
from anon_tune.worker.memory import memory_named


def test_a_lack_of_memory_is_one_line_that_says_what_to_lower() -> None:
    with pytest.raises(AnonTuneError) as caught, memory_named("0007"):
        torch.empty(2**50)  # a real lack: no machine has a pebibyte for it
    said = str(caught.value)
    assert said.startswith("trial 0007: ran out of memory: ")
    assert "Lower 'training.batch_clips'" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_every_lack_of_memory_is_known(error: RuntimeError | MemoryError) -> None:
    with pytest.raises(AnonTuneError, match=r"^trial 0007: ran out of memory: \S"), memory_named("0007"):
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"), memory_named("0007"):
        _ = torch.ones(2) + torch.ones(3)
