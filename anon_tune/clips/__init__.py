"""Clips on disk and in batches: manifest, frame store, decoding, augmentation, the generated avatars.

Names resolve on first use, so that reading a manifest does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anon_tune.clips.avatars import make_avatars
    from anon_tune.clips.batches import ClipBatch, ClipSampler, epoch_batches
    from anon_tune.clips.codec import round_trip, round_trip_split
    from anon_tune.clips.folder import BadFile, ImportResult, import_folder
    from anon_tune.clips.paired import ImportedPair, import_pair
    from anon_tune.clips.side_by_side import in_processes
    from anon_tune.clips.stills import StillSampler, check_stills
    from anon_tune.clips.store import Clips, ClipSet, open_clips

_LAZY = {
    "BadFile": "folder",
    "ClipBatch": "batches",
    "ClipSampler": "batches",
    "ClipSet": "store",
    "Clips": "store",
    "ImportResult": "folder",
    "ImportedPair": "paired",
    "StillSampler": "stills",
    "check_stills": "stills",
    "epoch_batches": "batches",
    "import_folder": "folder",
    "import_pair": "paired",
    "in_processes": "side_by_side",
    "make_avatars": "avatars",
    "open_clips": "store",
    "round_trip": "codec",
    "round_trip_split": "codec",
}

__all__ = [
    "BadFile",
    "ClipBatch",
    "ClipSampler",
    "ClipSet",
    "Clips",
    "ImportResult",
    "ImportedPair",
    "StillSampler",
    "check_stills",
    "epoch_batches",
    "import_folder",
    "import_pair",
    "in_processes",
    "make_avatars",
    "open_clips",
    "round_trip",
    "round_trip_split",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"anon_tune.clips.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'anon_tune.clips' has no attribute '{name}'")
