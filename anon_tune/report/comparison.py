"""Several studies side by side: what may be compared, and what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anon_tune.methods import defaults_of
from anon_tune.pareto import ParetoFront, ReferencePoint
from anon_tune.recipe import is_measured_by
from anon_tune.report.shown import ShownStudy
from anon_tune.study.settings import StudySettings
from anon_tune.utility_task import ANOMALY

_OF_ONE_STUDY = ("seed", "record_name", "wandb_prefix", "clips", "stills")
_SAID_ELSEWHERE = ("record_name", "wandb_prefix", "clips_fingerprint", "stills_fingerprint")


@dataclass(frozen=True, slots=True)
class ComparedStudy:
    """One of several studies.

    Attributes:
        name: A name that no other of them has.
        shown: The study.
    """

    name: str
    shown: ShownStudy

    @property
    def front(self) -> ParetoFront:
        """Its front."""
        return self.shown.front

    @property
    def clips(self) -> str:
        """Its clips in words, with their fingerprint."""
        settings = self.shown.facts.settings
        return f"{settings.get('clips', 'unknown')} ({settings.get('clips_fingerprint', 'no fingerprint')})"

    @property
    def measure(self) -> tuple[object, ...]:
        """What two studies must have in common if their numbers are to be compared."""
        settings = self.shown.facts.settings
        effort = tuple(sorted((name, str(value)) for name, value in self.effort.items()))
        clips = settings.get("clips_fingerprint", settings.get("clips"))
        return clips, self.shown.facts.measure_version, self.front.task.name, effort

    @property
    def effort(self) -> dict[str, object]:
        """Recipe values by which its full scores are measured, by flat name; the task is known from the scores."""
        others = {"utility.task"} if self.front.task == ANOMALY else {"utility.task", "utility.segments"}
        known = {name: value for name, value in self.recipe.items() if is_measured_by(name) and name not in others}
        return {name: value for name, value in known.items() if not name.startswith("evaluation.rung.")}

    @property
    def kind(self) -> tuple[object, ...]:
        """What two studies have in common that repeat each other: everything but the seed."""
        settings = {n: str(v) for n, v in self.shown.facts.settings.items() if n not in _OF_ONE_STUDY}
        return *self.measure, self.shown.facts.fingerprint, tuple(sorted(settings.items()))

    @property
    def recipe(self) -> dict[str, object]:
        """Recipe values that are the same in all of its trials, by flat name.

        A value that came after the study was begun has its default: a new one is added only if that changes nothing.
        """
        space = self.shown.facts.space
        return {**defaults_of(()), **_table(space, "defaults"), **_table(space, "fixed")}

    @property
    def described(self) -> dict[str, str]:
        """Settings, fixed values and searched ranges, by name, in words."""
        known = {**StudySettings().model_dump(mode="json", exclude_none=True), **self.shown.facts.settings}
        settings = {name: value for name, value in known.items() if name not in _SAID_ELSEWHERE}
        searched = {name: _searched(how) for name, how in _table(self.shown.facts.space, "search").items()}
        return {name: _words(value) for name, value in {**settings, **self.recipe, **searched}.items()}


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    return str(value) or "none"


def _searched(how: object) -> str:
    """Say in words what a param was searched over."""
    rest = dict(_mapping(how))
    words = []
    if "low" in rest and "high" in rest:
        words.append(f"{rest.pop('low')} to {rest.pop('high')}")
    if "choices" in rest:
        words.append(f"one of {_words(rest.pop('choices'))}")
    for name, said in (("log", "log scale"), ("integer", "whole numbers")):
        words += [said] if rest.pop(name, False) else []
    return "searched: " + ", ".join([*words, *(f"{name} {_words(value)}" for name, value in rest.items())])


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {"value": value}


def _table(tables: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = tables.get(name)
    return found if isinstance(found, Mapping) else {}


def compared(studies: Sequence[ShownStudy]) -> list[ComparedStudy]:
    """Name several studies so that no two have the same name."""
    counts = Counter(study.study.name for study in studies)
    return [ComparedStudy(one.study.name if counts[one.study.name] == 1 else str(one.study), one) for one in studies]


def cautions(studies: Sequence[ComparedStudy]) -> list[str]:
    """Say why the numbers of these studies cannot be compared; empty if they can."""
    found = []
    if len({one.measure[0] for one in studies}) > 1:  # the same clips may be at several places
        found.append(f"They were measured on different clips: {_listed(studies, [one.clips for one in studies])}.")
    versions = [f"version {one.shown.facts.measure_version}" for one in studies]
    if len(set(versions)) > 1:
        found.append(f"They were measured with different versions of the measurement: {_listed(studies, versions)}.")
    measured = [one for one in studies if one.front.trials]
    tasks = [f"{one.front.task.name} by {one.front.task.metric}" for one in measured]
    if len(set(tasks)) > 1:
        found.append(f"They measure different utility tasks: {_listed(measured, tasks)}.")
    for name in sorted({name for one in studies for name in one.effort}):
        values = [_words(one.recipe.get(name, "not set")) for one in studies]
        if len(set(values)) > 1:
            found.append(f"They were measured with different values of {name}: {_listed(studies, values)}.")
    return found


def _listed(studies: Sequence[ComparedStudy], values: Sequence[str]) -> str:
    return "; ".join(f"{one.name}: {value}" for one, value in zip(studies, values, strict=True))


def repeating(studies: Sequence[ComparedStudy]) -> list[list[ComparedStudy]]:
    """Return the studies in groups of those that repeat each other; a group may have one study."""
    groups: dict[tuple[object, ...], list[ComparedStudy]] = {}
    for one in studies:
        groups.setdefault(one.kind if one.shown.facts.fingerprint else (one.name,), []).append(one)
    return list(groups.values())


def common_reference(studies: Sequence[ComparedStudy]) -> ReferencePoint | None:
    """Return the worst of their reference points, against which all hypervolumes can be compared."""
    points = [one.front.reference_point for one in studies if one.front.reference_point is not None]
    if not points:
        return None
    return ReferencePoint(max(p.leakage for p in points), min(p.accuracy for p in points))


def differences(studies: Sequence[ComparedStudy]) -> dict[str, list[str]]:
    """Return what differs between the studies: by name of a setting or param, the value in each of them."""
    described = [one.described for one in studies]
    names = sorted({name for words in described for name in words})
    found = {name: [words.get(name, "—") for words in described] for name in names}
    return {name: values for name, values in found.items() if len(set(values)) > 1}
