"""Results of a study: its trials, a picked trial, the report, an exported anonymizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.errors import StudyError, UsageError, suggest
from anon_tune.study_directory import StudyDirectory, StudyLocation

if TYPE_CHECKING:
    from anon_tune.pareto import EmptyFront
    from anon_tune.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Which trial of a study to export, and to what file.

    Attributes:
        output: File to write. Its suffix, or `format`, sets the file format.
        leakage_at_most: Export the most accurate trial that leaks no more than this cMAP, in [0, 1].
        accuracy_at_least: Or export the trial that leaks least among those with no less than this accuracy, in [0, 1].
        trial: Or export this trial.
        format: safetensors (weights), pt2 (a torch.export program) or onnx; None to follow the suffix.
        data_licence: Licence of the clips, for the model card.
        force: Replace an existing file.
        allow_external: Run the program that a method ``external:COMMAND`` names.
    """

    output: Path
    leakage_at_most: float | None = None
    accuracy_at_least: float | None = None
    trial: str | None = None
    format: str | None = None
    data_licence: str = "not stated"
    force: bool = False
    allow_external: bool = False


def read_trials(directory: StudyLocation) -> list[Trial]:
    """Read the trials of a study directory, even while the study runs."""
    from anon_tune.ledger import Ledger

    study = StudyDirectory.at(directory)
    study.check()
    return Ledger(study.ledger).trials()


def measure_note(directory: StudyLocation) -> str:
    """Return a note if the study was measured with another version of the measurement, else an empty string."""
    from anon_tune.recipe import measured_before
    from anon_tune.study.frozen_study import frozen_facts

    try:
        return measured_before(frozen_facts(StudyDirectory.at(directory)).measure_version)
    except StudyError:  # a front needs only the ledger
        return ""


def pick_trial(
    directory: StudyLocation, leakage_at_most: float | None, trial: str | None, accuracy_at_least: float | None = None
) -> Trial:
    """Return the trial of a study that a user chose by one of three options.

    Raises:
        StudyError: There is no such trial.
        UsageError: No option is given, or several are.
    """
    from anon_tune.pareto import ParetoFront

    if [leakage_at_most, accuracy_at_least, trial].count(None) != 2:
        rule = "give one of --leakage-at-most, --accuracy-at-least and --trial"
        raise UsageError("export", rule, remedy="See 'anon-tune export --help'")
    trials = read_trials(directory)
    if trial is None:
        return ParetoFront.of(trials).pick(leakage_at_most, accuracy_at_least=accuracy_at_least)
    by_id = {t.id: t for t in trials}
    if trial not in by_id:
        raise StudyError(str(directory), f"no trial '{trial}'", remedy=suggest(trial, by_id))
    return by_id[trial]


def check_outcome(directory: StudyLocation) -> EmptyFront | None:
    """Return why no trial of a finished run is on the front; None if a trial is on it.

    Raises:
        StudyError: Every trial failed.
    """
    from anon_tune.pareto import Cause, EmptyFront

    empty = EmptyFront.of(read_trials(directory))
    if empty is not None and empty.cause is Cause.FAILED:
        raise StudyError(str(directory), empty.reason, remedy=empty.remedy)
    return empty


def write_report(directory: StudyLocation, output: Path | None = None) -> Path | str:
    """Write the report of a study directory and return its path or URI."""
    from anon_tune import report
    from anon_tune.search.importances import importance
    from anon_tune.study import read_study

    trials = read_trials(directory)
    space, _ = read_study(directory)
    return report.write_report(directory, importance(report.importance_trials(trials), space), output, trials)


def export(directory: StudyLocation, options: ExportOptions) -> Path:
    """Write a trial's anonymizer with a model card beside it, and return the file's path.

    Raises:
        StudyError: There is no such trial.
        UsageError: The file's suffix and `format` contradict each other.
        ExportError: The trial cannot be exported, or the file cannot be written.
    """
    from anon_tune.export import export_anonymizer
    from anon_tune.methods.external.permission import external_allowed
    from anon_tune.study import read_study

    chosen = pick_trial(directory, options.leakage_at_most, options.trial, options.accuracy_at_least)
    output = options.output
    if options.format is not None:
        suffix = f".{options.format}"
        if output.suffix not in ("", suffix):
            rule = f"must agree with --format {options.format}"
            raise UsageError(str(output), rule, output.suffix, f"End it in {suffix}, or leave --format out")
        output = output.with_suffix(suffix)
    _, settings = read_study(directory)
    stills = settings.stills, settings.stills_fingerprint
    with external_allowed(options.allow_external):
        return export_anonymizer(directory, chosen, settings.clips, output, options.force, options.data_licence, stills)
