"""The options of an audit, and which of them go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anon_tune.errors import UsageError
from anon_tune.folder import Folder

_SUBJECTS = ("trial", "method", "file", "original")
_FOLDER_NEEDS = ("anonymized", "pattern", "action", "private", "group", "test_groups")
_FOLDER_TAKES = (
    *("anonymized", "anonymized_suffix", "pattern", "action", "private", "group", "test_groups"),
    *("val_groups", "val_fraction", "num_frames", "size", "skip_bad"),
)
_NEEDS = {"trial": ("study",), "method": ("clips",), "file": ("clips",), "original": _FOLDER_NEEDS}
_REMEDY = "See 'anon-tune audit --help'"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """The options of ``anon-tune audit``; None, empty or false is one that is not given.

    Attributes:
        study: Study directory of `trial`.
        trial: Audit this trial, on the study's clips.
        method: Or a closed-form anonymizer, as ``pixelate:8``, on `clips`.
        file: Or an anonymizer file that ``export`` wrote, on `clips`.
        clips: ``avatars`` or a clip store.
        original: Or a folder of videos that another tool anonymized; the options from here to `skip_bad` go with it.
        anonymized: Folder of what the tool made of them, under the same names.
        anonymized_suffix: What the tool adds to names.
        pattern: Regular expression with named groups, over the names in `original`.
        action: Named group that is the action.
        private: Named groups that are private.
        group: Named group that no two splits may share.
        test_groups: Values of the group that are tested on.
        val_groups: Values of the group that select.
        val_fraction: Without them the share of training clips that does; None for 0.15.
        num_frames: Frames of a clip; None for 16.
        size: Height and width of a frame in pixels; None for 112 x 112.
        skip_bad: Leave out videos that cannot be decoded.
        output: Certificate to write, JSON.
        seeds: Seeds of every attacker.
        codec: Codec that all clips go through before any attacker sees them.
        crf: Constant rate factor of the codec.
        set: Fields of `AuditRecipe` to values.
        cache: Folder for what raw clips teach; None for one beside the clips.
        device: auto, cpu, cuda or cuda:1.
    """

    study: Folder | None = None
    trial: str | None = None
    method: str | None = None
    file: Path | None = None
    clips: str | None = None
    original: Path | None = None
    anonymized: Path | None = None
    anonymized_suffix: str | None = None
    pattern: str | None = None
    action: str | None = None
    private: Sequence[str] = ()
    group: str | None = None
    test_groups: Sequence[str] = ()
    val_groups: Sequence[str] = ()
    val_fraction: float | None = None
    num_frames: int | None = None
    size: tuple[int, int] | None = None
    skip_bad: bool = False
    output: Path | None = None
    seeds: int | None = None
    codec: str | None = None
    crf: int | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    cache: Path | None = None
    device: str = "auto"

    def is_given(self, name: str) -> bool:
        """True if an option has a value."""
        value = getattr(self, name)
        return value is not None and value is not False and value != ()


def check_options(options: AuditOptions) -> None:
    """Refuse anything but one subject with just the options that go with it.

    Raises:
        UsageError: None or several subjects, an option that is missing, or one that goes with another subject.
    """
    chosen = [name for name in _SUBJECTS if options.is_given(name)]
    if len(chosen) != 1:
        rule = "give exactly one of STUDY --trial, --method, --file, and --original with --anonymized"
        raise UsageError("audit", rule, " and ".join(map(flag, chosen)) or "none", _REMEDY)
    (subject,) = chosen
    given = [name for name in ("study", "clips", *_FOLDER_TAKES) if options.is_given(name)]
    if missing := [flag(name) for name in _NEEDS[subject] if name not in given]:
        raise UsageError("audit", f"{flag(subject)} needs {', '.join(missing)}", remedy=_REMEDY)
    belongs = _FOLDER_TAKES if subject == "original" else _NEEDS[subject]
    if foreign := [flag(name) for name in given if name not in belongs]:
        raise UsageError("audit", f"{', '.join(foreign)} cannot go with {flag(subject)}", remedy=_REMEDY)


def flag(name: str) -> str:
    """Return an option as it stands on the command line."""
    return "STUDY" if name == "study" else f"--{name.replace('_', '-')}"
