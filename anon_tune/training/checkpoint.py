"""Writes and reads checkpoints of the game: a safetensors file with weights, optimizer states and the step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn, optim

from anon_tune.errors import AnonTuneError
from anon_tune.networks.weights import read_tensors, save_weights
from anon_tune.recipe import Recipe

_REMEDY = "Remove it to start this trial anew"
_FORM = "2"  # version of the file format; earlier files have no version, and another kind of fingerprint


class Resumable:
    """A training that is saved in checkpoints of one recipe, and goes on from them.

    Attributes:
        recipe: The recipe of the trial.
        optimizers: The optimizers, by the name of the module that they train.
        step: Number of steps done.
    """

    recipe: Recipe
    optimizers: Mapping[str, optim.Optimizer]
    step: int

    def _modules(self) -> Mapping[str, nn.Module]:
        """Return all modules with weights or statistics, by name."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """Write weights, optimizer states and step to a checkpoint, completely or not at all."""
        self._write(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe.

        One that an earlier version wrote in another format is ignored: training from the start has the same result.
        """
        self._read(path)

    def _write(self, path: Path, notes: Mapping[str, str] | None = None) -> None:
        write_checkpoint(path, self._modules(), self.optimizers, self.step, self.recipe.training_fingerprint(), notes)

    def _read(self, path: Path) -> bool:
        """Load a checkpoint; return False if it was ignored."""
        step = read_checkpoint(path, self._modules(), self.optimizers, self.recipe.training_fingerprint())
        if step is None:
            return False
        self.step = step
        return True


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
