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
    *("val_groups", "val_fraction", "num_frames", "size", "accept_damage", "skip_bad"),
)
_NEEDS = {"trial": ("study",), "method": ("clips",), "file": ("clips",), "original": _FOLDER_NEEDS}
_REMEDY = "See 'anon-tune audit --help'"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """The options of ``anon-tune audit``. None, an empty value or False means that an option is not given.

    Attributes:
        study: Study directory of `trial`.
        trial: Audit this trial on the study's clips.
        method: Or audit a closed-form anonymizer, such as ``pixelate:8``, on `clips`.
        file: Or audit an anonymizer file written by ``export``, on `clips`.
        clips: ``avatars``, ``avatars-anomaly`` or a clip store.
        original: Or audit another tool: folder of the original videos. The options from here to `skip_bad` are for
            this case only.
        anonymized: Folder of the same videos, anonymized by the tool, under the same names.
        anonymized_suffix: Suffix that the tool adds to names.
        pattern: Regular expression with named groups; matches paths in `original`.
        action: Named group that holds the action.
        private: Named groups that hold private attributes.
        group: Named group whose values are never shared by two splits.
        test_groups: Values of the group that form the test split.
        val_groups: Values of the group that form the validation split.
        val_fraction: Without `val_groups`: share of training clips held out for validation; None for 0.15.
        num_frames: Frames per clip; None for 16.
        size: Height and width of a frame in pixels; None for 112 x 112.
        accept_damage: Use what can be decoded of videos whose damage is only suspected.
        skip_bad: Leave out videos that cannot be decoded.
        output: JSON file to write the certificate to.
        seeds: Number of seeds each attacker is trained with.
        codec: Codec that all clips go through before any attacker sees them.
        crf: Constant rate factor of the codec.
        set: Fields of `AuditRecipe` to values.
        cache: Folder that keeps the baseline measured on raw clips; None for one beside the clips.
        device: auto, cpu, cuda or cuda:1.
        allow_external: Run the program that a method ``external:COMMAND`` names.
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
    accept_damage: bool = False
    skip_bad: bool = False
    output: Path | None = None
    seeds: int | None = None
    codec: str | None = None
    crf: int | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    cache: Path | None = None
    device: str = "auto"
    allow_external: bool = False

    def is_given(self, name: str) -> bool:
        """True if an option has a value."""
        value = getattr(self, name)
        return value is not None and value is not False and value != ()


def check_options(options: AuditOptions) -> None:
    """Check that exactly one subject is given, with the options it needs and no others.

    Raises:
        UsageError: No subject or several, a missing option, or an option of another subject.
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
    """Return an option as a user writes it on the command line."""
    return "STUDY" if name == "study" else f"--{name.replace('_', '-')}"
