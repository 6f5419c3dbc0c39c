"""A picked trial becomes a portable anonymizer file with a model card; videos are anonymized with it."""

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
