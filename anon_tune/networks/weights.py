"""Saves and loads weights as safetensors files. Pretrained weights may also be a state dict of torch.

No file can execute code when it is loaded: torch opens state dicts with ``weights_only``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anon_tune.errors import DataError
from anon_tune.folder import why, writing_file

Head = str | tuple[str, ...] | None
"""How the names of tensors begin that keep their fresh weights."""


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


def load_weights(module: nn.Module, path: str | None, head: Head = None) -> None:
    """Load a local file of pretrained weights into a module; do nothing for None.

    Args:
        module: The network that gets the weights.
        path: A safetensors file or a torch state dict with the tensor names of the module; for a network of
            torchvision, those of torchvision.
        head: Prefix of the tensors that keep their fresh weights, because a new task needs a new head.

    Raises:
        DataError: The file cannot be read, or a tensor is missing, is left over or has another shape.
    """
    if path is not None:
        take_tensors(module, read_pretrained(path), path, head)


def load_anonymizer_weights(module: nn.Module, path: str | None) -> None:
    """Load a local file of weights into an anonymizer; do nothing for None.

    The names of its tensors are those of the anonymizer, those of the network in it, or those of an image classifier
    that has the form of the network's encoder. In the last case, the rest of the network keeps its fresh weights.

    Raises:
        DataError: As `load_weights`.
    """
    if path is None:
        return
    given, own = read_pretrained(path), module.state_dict()
    inside = max(("", *_INSIDE), key=lambda prefix: sum(f"{prefix}{name}" in own for name in given))
    if not inside.endswith("encoder."):
        tensors = {f"{inside}{name}": tensor for name, tensor in given.items()}
        take_tensors(module, tensors, path, _FACTOR if inside else None)
        return
    take_tensors(module.get_submodule(inside[:-1]), given, path, _CLASSIFIERS)


_INSIDE = ("network.", "network.network.", "network.network.encoder.")
_FACTOR = ("gain",)  # of a network that changes a start; the file of a network alone has none
_CLASSIFIERS = ("fc.", "classifier.", "head.", "last_linear.")


def read_pretrained(path: str) -> dict[str, Tensor]:
    """Read a local file of weights: safetensors, or a state dict that torch saved, perhaps under ``state_dict``.

    Raises:
        DataError: The file is missing, or is neither.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(9)
        # The length of a safetensors header, which begins with a brace, may look like the first bytes of a pickle.
        if start[8:] == b"{" or not start.startswith((b"PK", b"\x80")):  # neither a zip of torch nor a pickle
            return read_tensors(Path(path))[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles in another version, which are refused below if they do not fit
            held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        rule = "is not a readable file of weights"
        raise DataError(path, rule, remedy="Check the path", cause=why(error)) from None
    except (RuntimeError, UnpicklingError, EOFError, ValueError, AttributeError, KeyError) as error:
        rule, remedy = "must be a state dict that torch opens with weights_only", "Save network.state_dict()"
        cause = str(error).partition(".")[0].splitlines()[0]
        raise DataError(path, rule, remedy=remedy, cause=cause) from None
    if isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
        held = held["state_dict"]
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        got = type(held).__name__ if not isinstance(held, Mapping) else "another dict"
        raise DataError(path, "must be a state dict, which maps names to tensors", got, "Save network.state_dict()")
    return {str(name).removeprefix("module."): value for name, value in held.items()}


def take_tensors(module: nn.Module, given: Mapping[str, Tensor], where: str, head: Head = None) -> None:
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
