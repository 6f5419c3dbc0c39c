"""A picked trial becomes a portable anonymizer file with a model card, and comes back as a module."""

from anon_tune.export.anonymizer_file import export_anonymizer, load_anonymizer

__all__ = ["export_anonymizer", "load_anonymizer"]
