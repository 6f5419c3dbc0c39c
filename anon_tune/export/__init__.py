"""Export a trial as an anonymizer file with a model card, load anonymizers, and anonymize videos with them."""

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
