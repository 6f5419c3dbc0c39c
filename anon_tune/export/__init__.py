"""Export a trial as an anonymizer file with a model card, load anonymizers, and anonymize videos with them.

Names are imported on first use, so that anonymizing a video does not load what only an export needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.on_demand import on_demand

if TYPE_CHECKING:
    from anon_tune.export.anonymizer_file import SUFFIXES, export_anonymizer
    from anon_tune.export.loading import (
        LoadedAnonymizer,
        check_usable,
        load_anonymizer,
        load_file,
        load_method,
        load_trial,
    )
    from anon_tune.export.video import AnonymizedVideo, VideoOptions, anonymize_video

_MODULES = {
    "SUFFIXES": "anon_tune.export.anonymizer_file",
    "AnonymizedVideo": "anon_tune.export.video",
    "LoadedAnonymizer": "anon_tune.export.loading",
    "VideoOptions": "anon_tune.export.video",
    "anonymize_video": "anon_tune.export.video",
    "check_usable": "anon_tune.export.loading",
    "export_anonymizer": "anon_tune.export.anonymizer_file",
    "load_anonymizer": "anon_tune.export.loading",
    "load_file": "anon_tune.export.loading",
    "load_method": "anon_tune.export.loading",
    "load_trial": "anon_tune.export.loading",
}

__all__ = [
    "SUFFIXES",
    "AnonymizedVideo",
    "LoadedAnonymizer",
    "VideoOptions",
    "anonymize_video",
    "check_usable",
    "export_anonymizer",
    "load_anonymizer",
    "load_file",
    "load_method",
    "load_trial",
]

__getattr__ = on_demand(__name__, _MODULES)
