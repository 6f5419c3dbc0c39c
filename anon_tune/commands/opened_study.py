"""A study as a Python object: the contents of its directory, and the commands that work on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anon_tune.commands.results import (
    ExportOptions,
    check_outcome,
    export,
    pick_trial,
    read_trials,
    write_report,
)
from anon_tune.folder import Folder, Location

if TYPE_CHECKING:
    import pandas as pd

    from anon_tune.certificate import Certificate
    from anon_tune.commands.certify import CertifyStep
    from anon_tune.driver import VerifyStep
    from anon_tune.pareto import ParetoFront
    from anon_tune.search import SearchSpace
    from anon_tune.search.callers_sampler import CallersSampler
    from anon_tune.study import StudySettings
    from anon_tune.trial import Trial


class Study:
    """A study directory. Every property reads the directory again, so the object also follows a running study.

    Args:
        directory: A path or a URI.

    Raises:
        StudyError: No study is there.
    """

    def __init__(self, directory: Location) -> None:
        from anon_tune.study import read_study

        self._folder = Folder.at(directory)
        self._space, _ = read_study(self._folder)

    def __repr__(self) -> str:
        return f"open_study({self.directory!r})"

    @property
    def directory(self) -> str:
        """The study directory, a path or a URI."""
        return str(self._folder)

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self._space

    @property
    def settings(self) -> StudySettings:
        """The settings with which the study was last run."""
        from anon_tune.study import read_study

        return read_study(self._folder)[1]

    @property
    def trials(self) -> list[Trial]:
        """All trials, including the two anchors."""
        return read_trials(self._folder)

    @property
    def front(self) -> ParetoFront:
        """The front of privacy leakage against accuracy; a notebook shows it as a table and a plot."""
        from anon_tune.pareto import ParetoFront

        return ParetoFront.of(self.trials)

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with one row per trial, indexed by trial id and sorted by leakage, lowest first.

        The columns are those of ``anon-tune front --all --format csv``: method, state, front_rank, leakage and
        accuracy with floor, ceiling and interval, certified numbers, costs, and params. Unknown values are missing
        values.
        """
        import pandas as pd

        from anon_tune.pareto import FrontTable
        from anon_tune.study.certified import certificates_of

        trials = self.trials
        table = FrontTable.of(trials, all_trials=True, certificates=certificates_of(self._folder, trials))
        rows = [row.to_columns() for row in table.rows]
        return pd.DataFrame(rows).set_index("trial") if rows else pd.DataFrame({"trial": []}).set_index("trial")

    def pick(self, leakage_at_most: float | None = None, *, accuracy_at_least: float | None = None) -> Trial:
        """Return the best trial in one objective that keeps a limit for the other one; see `ParetoFront.pick`."""
        return self.front.pick(leakage_at_most, accuracy_at_least=accuracy_at_least)

    def trial(self, trial_id: str) -> Trial:
        """Return one trial.

        Raises:
            StudyError: No trial has that id.
        """
        return pick_trial(self._folder, None, trial_id)

    def resume(
        self,
        trials: int | None = None,
        stop: Mapping[str, Any] | None = None,
        sampler: CallersSampler | None = None,
        package: Sequence[str | Path] = (),
        on_change: Callable[[Sequence[Trial]], None] | None = None,
        allow_external: bool = False,
    ) -> Study:
        """Continue a study that was stopped, or make it longer, like ``anon-tune resume``; then write its report.

        Args:
            trials: New total number of trials; None to keep the number.
            stop: Stop rules that replace the current ones; None to keep them.
            sampler: Must be given if the study was started with your own Optuna sampler, and only then.
            package: Folders or wheels of Python packages to install for the driver and the workers.
            on_change: Called with all trials, anchors first, after every change.
            allow_external: Run the programs that methods ``external:COMMAND`` name.

        Raises:
            StudyError: Every trial failed.
        """
        from anon_tune.commands.study import prepare_resume

        study = prepare_resume(self._folder, trials, stop, sampler, package, allow_external).run(on_change)
        study.report()
        check_outcome(self._folder)
        return study

    def verify(
        self,
        seeds: int | None = None,
        retrain: bool = False,
        package: Sequence[str | Path] = (),
        on_step: Callable[[VerifyStep], None] | None = None,
        allow_external: bool = False,
    ) -> ParetoFront:
        """Measure the best trials again with new seeds, like ``anon-tune verify``; return the front of the means."""
        from anon_tune.commands.verify import verify

        verify(self._folder, seeds, retrain, package, on_step, allow_external)
        return self.front

    @property
    def certificates(self) -> dict[str, Certificate]:
        """The certificates of trials whose numbers hold, by trial id: none that was REFUSED or is out of date."""
        from anon_tune.study.certified import certificates_of

        return certificates_of(self._folder, self.trials)

    def certify(
        self,
        trials: Sequence[str] = (),
        seeds: int | None = None,
        set: Mapping[str, Any] | None = None,
        package: Sequence[str | Path] = (),
        on_step: Callable[[CertifyStep], None] | None = None,
        allow_external: bool = False,
    ) -> dict[str, Certificate]:
        """Audit the front, or these trials, in parallel, like ``anon-tune certify``; return their certificates."""
        from anon_tune.commands.certify import certify

        return certify(self._folder, trials, seeds, set, package, on_step, allow_external)

    def report(self, output: str | Path | None = None) -> Path | str:
        """Write the study's report and return its path or URI; the default path is DIR/report.html."""
        return write_report(self._folder, None if output is None else Path(output))

    def export(
        self,
        output: str | Path,
        *,
        leakage_at_most: float | None = None,
        accuracy_at_least: float | None = None,
        trial: str | None = None,
        format: str | None = None,
        data_licence: str = "not stated",
        force: bool = False,
        allow_external: bool = False,
    ) -> Path:
        """Write a trial's anonymizer and its model card, like ``anon-tune export``; return the anonymizer's path."""
        options = ExportOptions(
            output=Path(output),
            leakage_at_most=leakage_at_most,
            accuracy_at_least=accuracy_at_least,
            trial=trial,
            format=format,
            data_licence=data_licence,
            force=force,
            allow_external=allow_external,
        )
        return export(self._folder, options)


def open_study(directory: Location) -> Study:
    """Open a study directory, even while the study runs.

    Args:
        directory: A path or a URI.

    Raises:
        StudyError: No study is there.
    """
    return Study(directory)
