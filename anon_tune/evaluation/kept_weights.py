"""Files of weights that are kept because training takes long, and that may be deleted at any time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor

from anon_tune.errors import DataError
from anon_tune.folder import File
from anon_tune.networks import save_weights
from anon_tune.networks.weights import read_tensors

_DIGEST = "digest"


def keep_weights(file: File, key: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata to a safetensors file, with a digest of both and of `key`."""
    with file.writing() as path:
        save_weights(tensors, path, {**metadata, _DIGEST: _digest(key, tensors, metadata)})


def kept_weights(file: File, key: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Return the tensors and the metadata of a file that `keep_weights` wrote for the same `key`.

    None if the file is not there, cannot be read, is damaged, or was written for another key.
    """
    try:
        if not file.exists():
            return None
        with file.reading() as path:
            tensors, metadata = read_tensors(path)
    except (OSError, DataError):
        return None
    said = metadata.pop(_DIGEST, "")
    return (tensors, metadata) if said == _digest(key, tensors, metadata) else None


def _digest(key: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    told = hashlib.sha256(key.encode())
    for name in sorted(tensors):
        told.update(name.encode() + tensors[name].cpu().contiguous().numpy().tobytes())
    for name in sorted(metadata):
        told.update(f"{name}={metadata[name]}".encode())
    return told.hexdigest()[:16]
