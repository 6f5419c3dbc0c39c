"""The rows that a paper prints about studies, beside those that papers have printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anon_tune.commands.published_rows import PUBLISHED, PublishedName, PublishedRow, PublishedTable
from anon_tune.commands.results import measure_note, read_trials
from anon_tune.recipe import is_measured_by
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.utility_task import ACTION

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.pareto import FrontRow
    from anon_tune.trial import Reading

_SCORE = "A row without a certificate has the score of the study, whose attackers train for a fixed and shorter time. "
_SCORE += "'anon-tune certify STUDY' audits the front."
_LOWER = "The attackers of this audit could have become stronger, so the leakage may be higher: "
_REFUSED = "The certificate of this trial is refused, for the reasons it gives. The row has the score of the study."
_F1 = "Macro F1 is that of the strongest attacker of the audit, at thresholds chosen on the validation split. A study "
_F1 += "without an audit does not measure it."
_OTHER_CLIPS = "WARNING: these studies were measured on different clips. Their rows cannot be compared with each other."
_OTHER_EFFORT = "WARNING: these rows were measured with different effort. Attackers with more effort find more leakage."
_PUBLISHED = "The published rows were measured on other clips, with other attackers and less effort. They cannot be "
_PUBLISHED += "compared with the rows of the studies."
_AUDITED = ("certified", "lower bound")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its interval, floor and ceiling, all in [0, 1]; NaN if unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan
    floor: float = math.nan
    ceiling: float = math.nan


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row.

    Attributes:
        study: Name of the study, or of the published table.
        method: Method with its arguments; published rows have the name that was printed.
        trial: Id of the trial; empty in a published row.
        accuracy: What is reached in the utility task, by its metric, on the test split.
        leakage: cMAP of the strongest attacker, on the test split.
        leakage_normalized: ``(leakage - floor) / (ceiling - floor)``; NaN if that means nothing.
        f1: Macro F1 of the strongest attacker; NaN if it was not measured.
        f1_always_yes: Macro F1 of a scorer that says yes to everything; NaN if unknown.
        measured: How: ``certified``, ``lower bound``, ``study score``, ``mean of N repeats`` or ``published``.
        notes: What a reader must know about this row.
        task: The utility task.
    """

    study: str
    method: str
    trial: str
    accuracy: Figure
    leakage: Figure
    leakage_normalized: float
    f1: float
    f1_always_yes: float
    measured: str
    notes: tuple[str, ...] = ()
    task: str = ACTION.name


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Rows of studies, then published rows, with footnotes.

    Attributes:
        rows: The rows.
        notes: What a reader must know about the table as a whole.
    """

    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]

    @property
    def footnotes(self) -> tuple[str, ...]:
        """The notes of single rows, each once, in the order of the rows."""
        return tuple(dict.fromkeys(note for row in self.rows for note in row.notes))


@dataclass(frozen=True, slots=True)
class _Found:
    """What one study contributes: rows, notes, and on what and how it was measured."""

    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
    clips: str
    efforts: frozenset[str]


def result_table(studies: Sequence[StudyLocation], published: PublishedName | None = None) -> ResultTable:
    """Return the rows of studies, which may still run: fronts, anchors, audited trials. Published rows follow.

    The row of a trial that has a certificate has the certified numbers.

    Raises:
        StudyError: A directory holds no study, or one that cannot be read.
        UnreachableError: A directory is on a store that does not answer.
    """
    directories = [StudyDirectory.at(study) for study in studies]
    names = [one.name for one in directories]
    found = [_of_study(one, one.name if names.count(one.name) == 1 else str(one)) for one in directories]
    rows = [row for one in found for row in one.rows]
    notes = [*_incomparable(found), *(note for one in found for note in one.notes)]
    if any(row.measured not in _AUDITED for row in rows):
        notes += [_SCORE, _F1]
    if published is not None:
        table = PUBLISHED[published]
        rows += [_of_published(row, table) for row in table.rows]
        notes += [_PUBLISHED, *table.notes]
    return ResultTable(tuple(rows), tuple(dict.fromkeys(notes)))


def _of_study(study: StudyDirectory, name: str) -> _Found:
    from anon_tune.pareto import FrontTable
    from anon_tune.study import read_study
    from anon_tune.study.certified import all_certificates_of

    trials = read_trials(study)
    space, settings = read_study(study)
    certificates = all_certificates_of(study, trials)
    every = FrontTable.of(trials, all_trials=True, certificates=certificates).rows
    listed = (row for row in every if row.trial.is_anchor or row.front_rank == 0 or row.certificate is not None)
    rows = tuple(_row(name, row) for row in listed if row.score is not None)
    notes = [f"{name}: {old}"] if (old := measure_note(study)) else []
    if not rows:
        notes.append(f"{name}: no trial has a full score yet.")
    values = {**space.defaults, **space.fixed}
    effort = {name: value for name, value in values.items() if is_measured_by(name)}
    audits = (f"audit {sorted(certificates[row.trial].effort.items())}" for row in rows if row.measured in _AUDITED)
    scores = (f"study {sorted(effort.items())} {old}" for row in rows if row.measured not in _AUDITED)
    return _Found(rows, tuple(notes), settings.clips_fingerprint, frozenset([*audits, *scores]))


def _incomparable(found: Sequence[_Found]) -> list[str]:
    """Return warnings about rows that were not measured alike."""
    clips = {one.clips for one in found if one.rows}
    efforts = frozenset[str]().union(*(one.efforts for one in found))
    kinds = [sum(effort.startswith(kind) for effort in efforts) for kind in ("audit", "study")]
    return [_OTHER_CLIPS] * (len(clips) > 1) + [_OTHER_EFFORT] * (max(kinds) > 1)


def _row(study: str, row: FrontRow) -> TableRow:
    assert row.score is not None
    certificate, trial = row.certificate, row.trial
    if certificate is not None and certificate.status != "REFUSED":
        return _certified(study, trial.method, trial.id, certificate)
    num_repeats = len(trial.repeats)
    return TableRow(
        study=study,
        method=trial.method,
        trial=trial.id,
        accuracy=_figure(row.score.accuracy),
        leakage=_figure(row.score.leakage),
        leakage_normalized=row.score.leakage.normalized,
        f1=math.nan,
        f1_always_yes=math.nan,
        measured=f"mean of {num_repeats} repeats" if num_repeats else "study score",
        notes=() if certificate is None else (_REFUSED,),
        task=row.score.task,
    )


def _certified(study: str, method: str, trial: str, c: Certificate) -> TableRow:
    is_bound = c.status == "LOWER_BOUND"
    return TableRow(
        study=study,
        method=method,
        trial=trial,
        accuracy=Figure(c.accuracy, *c.accuracy_interval, c.accuracy_floor, c.accuracy_ceiling),
        leakage=Figure(c.leakage, *c.leakage_interval, c.leakage_floor, c.leakage_ceiling),
        leakage_normalized=c.leakage_normalized,
        f1=_mean([one.f1 for one in c.attributes]),
        f1_always_yes=_mean([one.f1_always_yes for one in c.attributes]),
        measured="lower bound" if is_bound else "certified",
        notes=(_LOWER + "; ".join(c.reasons) + ".",) if is_bound else (),
        task=c.task,
    )


def _figure(reading: Reading) -> Figure:
    return Figure(reading.value, reading.low, reading.high, reading.floor, reading.ceiling)


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the known values; NaN if none is known."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _of_published(row: PublishedRow, table: PublishedTable) -> TableRow:
    raw = table.rows[0]
    chance, leakage, ceiling = (value / 100 for value in (table.chance, row.leakage, raw.leakage))
    return TableRow(
        study=table.title,
        method=row.method,
        trial="",
        accuracy=Figure(row.accuracy / 100, ceiling=raw.accuracy / 100),
        leakage=Figure(leakage, floor=chance, ceiling=ceiling),
        leakage_normalized=(leakage - chance) / (ceiling - chance) if table.is_above_chance else math.nan,
        f1=row.f1,
        f1_always_yes=table.f1_always_yes,
        measured="published",
        notes=row.notes,
    )
