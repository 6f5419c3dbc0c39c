"""Saves and loads weights as safetensors files, which cannot execute code when they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anon_tune.errors import DataError
from anon_tune.folder import why, writing_file


def save_weights(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors to a safetensors file, which gets its name only when it is complete."""
    with writing_file(path) as here:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, here, dict(metadata or {}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and the metadata of a safetensors file.

    Raises:
        DataError: The file is missing or is no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        return load_file(path), metadata
    except (OSError, SafetensorError) as error:
        rule = "is not a readable safetensors file"
        raise DataError(str(path), rule, remedy="Check the path", cause=why(error)) from None


def load_weights(module: nn.Module, path: str | None, head: str | None = None) -> None:
    """Load a local file of pretrained weights into a module; do nothing for None.

    Args:
        module: The network that gets the weights.
        path: A safetensors file with the tensor names of the module; for a network of torchvision, those of
            torchvision.
        head: Prefix of the tensors that keep their fresh weights, because a new task needs a new head.

    Raises:
        DataError: A tensor is missing, is left over or has another shape.
    """
    if path is not None:
        take_tensors(module, read_tensors(Path(path))[0], path, head)


def take_tensors(module: nn.Module, given: Mapping[str, Tensor], where: str, head: str | None = None) -> None:
    """Load tensors that were read from a file into a module; see `load_weights`.

    Args:
        module: The network that gets the weights.
        given: The tensors.
        where: The file that they came from, for error messages.
        head: As in `load_weights`.

    Raises:
        DataError: A tensor is missing, is left over or has another shape.
    """
    own = {k: v for k, v in module.state_dict().items() if not (head and k.startswith(head))}
    tensors = {k: v for k, v in given.items() if not (head and k.startswith(head))}
    for name in sorted(own.keys() | tensors.keys()):
        there, here = (tuple(t[name].shape) if name in t else "no tensor" for t in (tensors, own))
        if there != here:
            rule = f"'{name}' must be {here} for this network"
            raise DataError(where, rule, there, "Choose a file of this network")
    module.load_state_dict(tensors, strict=False)
