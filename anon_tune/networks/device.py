"""Chooses the device to compute on."""

from __future__ import annotations

import torch

from anon_tune.errors import AnonTuneError


def pick_device(name: str) -> torch.device:
    """Return a device by its name. ``auto`` is a GPU if there is one, and otherwise the CPU.

    Raises:
        AnonTuneError: This machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise AnonTuneError("--device", "must be a device of this machine", name, "Write cpu or auto") from error
    return device
