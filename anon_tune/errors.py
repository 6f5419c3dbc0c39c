"""The exception tree, and the one form of an error text: ``<where>: <rule>: <cause>, got <value>. <remedy>.``"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable


class AnonTuneError(Exception):
    """A mistake that a user can correct: shown as one line with exit code 2 and no traceback.

    Args:
        where: The file, option or object that is at fault.
        rule: What must hold there, or what went wrong.
        got: The offending value; None if there is none.
        remedy: What to do about it, without the final full stop.
        cause: What the system, a store or a library said, in one line; empty or None if nothing.
    """

    def __init__(self, where: str, rule: str, got: object = None, remedy: str = "", cause: str | None = "") -> None:
        super().__init__(where, rule, got, remedy, cause)  # an exception is pickled as its arguments
        self.where, self.rule, self.got, self.remedy, self.cause = where, rule, got, remedy, cause

    def __str__(self) -> str:
        end = f" {self.remedy}" if self.remedy else ""
        return on_one_line(_sentence(f"{self.where}: {self.reason}") + (_sentence(end) if end else ""))

    @property
    def reason(self) -> str:
        """The text without its place and its remedy: ``<rule>: <cause>, got <value>``."""
        text = self.rule
        if self.cause:
            text += f": {self.cause.rstrip('.')}"
        if self.got is not None:
            text += f", got {self.got if isinstance(self.got, str) else repr(self.got)}"
        return on_one_line(text)


class UsageError(AnonTuneError):
    """An option, a recipe, a search space or another file written by the user breaks a rule."""


class RecipeError(UsageError):
    """A recipe holds an unknown key or a value out of range."""


class SpaceError(UsageError):
    """A search-space file breaks a rule."""


class ClusterFileError(UsageError):
    """A cluster file breaks a rule of the tool that reads it, or a rule of this package."""


class PlacementError(UsageError):
    """A trial needs more than any node of the cluster has."""


class DataError(AnonTuneError):
    """Videos, labels, a clip store, weights or an anonymizer file are not usable."""


class ExportError(DataError):
    """An anonymizer file or a video cannot be written or read."""


class StudyError(AnonTuneError):
    """A study directory or a file in it is not usable."""


class UnreachableError(AnonTuneError):
    """A cluster, a store, a database or a node does not answer."""


class ClusterError(UnreachableError):
    """The head of a cluster, or a job on it, is not usable."""


class DivergedError(AnonTuneError):
    """A loss stopped being finite; the trial ends as FAILED."""


def cause_of(error: BaseException) -> str:
    """Return one line about an exception from somebody else's code: its type and the first line of its text."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def on_one_line(text: str) -> str:
    """Replace what is no visible character, such as a line break or a terminal's control sequence, by a question mark.

    The text of a ledger, of a clip store or of a program may come from strangers. Spaces of any width stay.
    """
    return "".join(one if one.isprintable() or unicodedata.category(one) == "Zs" else "?" for one in text)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` with the nearest known name; if none is near, list the known names."""
    options = sorted(known)
    near = difflib.get_close_matches(name, options, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(options)}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else text + "."
