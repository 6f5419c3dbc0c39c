"""Weights in and out as safetensors: loading a file of somebody else's executes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anon_tune.errors import AnonTuneError


def save_weights(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors to a safetensors file; it appears under its name only when complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, hidden, dict(metadata or {}))
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and the metadata of a safetensors file.

    Raises:
        AnonTuneError: If the file is missing or is no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        return load_file(path), metadata
    except (OSError, SafetensorError) as error:
        raise AnonTuneError(str(path), "not a readable safetensors file", str(error), "Check the path") from None


def load_weights(module: nn.Module, path: str | None, head: str | None = None) -> None:
    """Load a local file of pretrained weights into a module; do nothing for None.

    Args:
        module: Gets the weights.
        path: A safetensors file with the module's own tensor names (torchvision's, for its networks).
        head: Prefix of the tensors that stay fresh, as a new task needs a new head.

    Raises:
        AnonTuneError: If a tensor is missing, is left over or has another shape.
    """
    if path is None:
        return
    own = {k: v for k, v in module.state_dict().items() if not (head and k.startswith(head))}
    tensors = {k: v for k, v in read_tensors(Path(path))[0].items() if not (head and k.startswith(head))}
    for name in sorted(own.keys() | tensors.keys()):
        there, here = (tuple(t[name].shape) if name in t else "no tensor" for t in (tensors, own))
        if there != here:
            raise AnonTuneError(
                path, f"'{name}' must be {here} for this network", there, "Choose a file of this network"
            )
    module.load_state_dict(tensors, strict=False)
