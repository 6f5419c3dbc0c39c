"""Writes and reads checkpoints of the game: a safetensors file with weights, optimizer states and the step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn, optim

from anon_tune.errors import AnonTuneError
from anon_tune.networks.weights import read_tensors, save_weights

_REMEDY = "Remove it to start this trial anew"
_FORM = "2"  # version of the file format; earlier files have no version, and another kind of fingerprint


def write_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, optim.Optimizer],
    step: int,
    fingerprint: str,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write everything that the next step depends on.

    Tensors are named ``<module>.<parameter>`` and ``optimizer.<module>.<index>.<moment>``. Notes are texts by name that
    are kept beside them.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            held = {key: value for key, value in moments.items() if value is not None}  # SGD may have no momentum
            tensors |= {f"optimizer.{name}.{index}.{key}": value for key, value in held.items()}
    save_weights(tensors, path, {"form": _FORM, "step": str(step), "fingerprint": fingerprint, **(notes or {})})


def read_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, optim.Optimizer], fingerprint: str
) -> int | None:
    """Load a checkpoint into modules and optimizers, and return its step.

    Returns:
        The step, or None if the checkpoint has an earlier format; then nothing is loaded.

    Raises:
        AnonTuneError: The file belongs to another recipe or is damaged.
        DataError: The file cannot be read.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("form") != _FORM:
        return None
    if metadata.get("fingerprint") != fingerprint:
        raise AnonTuneError(str(path), f"must be of recipe {fingerprint}", metadata.get("fingerprint"), _REMEDY)
    try:
        _fill(tensors, modules, optimizers)
        return int(metadata["step"])
    except (KeyError, ValueError, RuntimeError) as error:  # torch raises RuntimeError for a shape that does not fit
        cause = str(error).splitlines()[0]
        raise AnonTuneError(str(path), "is damaged", remedy=_REMEDY, cause=cause) from None


def _fill(
    tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module], optimizers: Mapping[str, optim.Optimizer]
) -> None:
    for name, module in modules.items():
        module.load_state_dict(_under(tensors, f"{name}."))
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, f"optimizer.{name}.").items():
            index, moment = key.split(".")
            state.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        for weights, moments in optimizer.state.items():
            for key, moment in moments.items():
                if moment.shape == weights.shape:  # fused optimizers need the weights' own order in memory
                    moments[key] = torch.empty_like(weights).copy_(moment)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
