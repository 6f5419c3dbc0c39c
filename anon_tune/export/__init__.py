"""A picked trial becomes a portable anonymizer file with a model card; videos are anonymized with it."""

from anon_tune.export.anonymizer_file import SUFFIXES, Export, export_anonymizer, load_anonymizer, load_export
from anon_tune.export.video import AnonymizedVideo, VideoOptions, anonymize_video

__all__ = [
    "SUFFIXES",
    "AnonymizedVideo",
    "Export",
    "VideoOptions",
    "anonymize_video",
    "export_anonymizer",
    "load_anonymizer",
    "load_export",
]
