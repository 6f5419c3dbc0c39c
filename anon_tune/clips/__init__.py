"""Clip stores on disk, batches of clips with augmentation, and the generated clips called avatars.

Names are imported on first use, so that reading a manifest does not load torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.on_demand import on_demand

if TYPE_CHECKING:
    from anon_tune.clips.anomalies import make_anomalies
    from anon_tune.clips.avatars import make_avatars
    from anon_tune.clips.batches import ClipBatch, ClipSampler, epoch_batches
    from anon_tune.clips.clip_set import ClipSet
    from anon_tune.clips.codec import round_trip, round_trip_split
    from anon_tune.clips.poisson import PoissonBatch, PoissonSampler
    from anon_tune.clips.stills import StillSampler, check_stills
    from anon_tune.clips.store import Clips, open_clips
    from anon_tune.clips.windows import mean_of_windows, one_per_clip, spread_windows

_MODULES = {
    "ClipBatch": "anon_tune.clips.batches",
    "ClipSampler": "anon_tune.clips.batches",
    "ClipSet": "anon_tune.clips.clip_set",
    "Clips": "anon_tune.clips.store",
    "PoissonBatch": "anon_tune.clips.poisson",
    "PoissonSampler": "anon_tune.clips.poisson",
    "StillSampler": "anon_tune.clips.stills",
    "check_stills": "anon_tune.clips.stills",
    "epoch_batches": "anon_tune.clips.batches",
    "make_anomalies": "anon_tune.clips.anomalies",
    "make_avatars": "anon_tune.clips.avatars",
    "mean_of_windows": "anon_tune.clips.windows",
    "one_per_clip": "anon_tune.clips.windows",
    "open_clips": "anon_tune.clips.store",
    "round_trip": "anon_tune.clips.codec",
    "round_trip_split": "anon_tune.clips.codec",
    "spread_windows": "anon_tune.clips.windows",
}

__all__ = [
    "ClipBatch",
    "ClipSampler",
    "ClipSet",
    "Clips",
    "PoissonBatch",
    "PoissonSampler",
    "StillSampler",
    "check_stills",
    "epoch_batches",
    "make_anomalies",
    "make_avatars",
    "mean_of_windows",
    "one_per_clip",
    "open_clips",
    "round_trip",
    "round_trip_split",
    "spread_windows",
]

__getattr__ = on_demand(__name__, _MODULES)
