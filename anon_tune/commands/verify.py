"""Measure the best trials of a study again, so that its front can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.commands.study import check_external, make_body
from anon_tune.commands.study_clips import clips_of_study, find_stills
from anon_tune.driver.packages import bring_packages
from anon_tune.errors import StudyError
from anon_tune.folder import Folder, Location

if TYPE_CHECKING:
    from anon_tune.driver import VerifyStep


def verify(
    directory: Location,
    seeds: int | None = None,
    retrain: bool = False,
    package: Sequence[str | Path] = (),
    on_step: Callable[[VerifyStep], None] | None = None,
    allow_external: bool = False,
) -> None:
    """Measure the best trials of a study again with new seeds. Its front, picks and report then use the means.

    Args:
        directory: A study directory.
        seeds: Number of repeats that each measured trial should have, at least 1; None for three, and up to eight if
            these differ much.
        retrain: Also train each repeat from scratch, with its own training seed.
        package: Folders or wheels of Python packages to install for the driver and the workers.
        on_step: Called after every repeat.
        allow_external: Run the programs that methods ``external:COMMAND`` name.

    Raises:
        StudyError: The clips or stills are not those of the study, or `verify_study` raises it.
        StudyInterrupted: A signal stopped the run; repeats that had arrived are in the ledger.
    """
    from anon_tune.driver import verify_study
    from anon_tune.study import load_study
    from anon_tune.study.privacy import is_private

    bring_packages(package)
    folder = Folder.at(directory)
    space, settings = load_study(folder)
    check_external(space, allow_external)
    if retrain and is_private(space):
        rule = "--retrain would train more private runs, after the study has paid for its own"
        raise StudyError(str(folder), rule, remedy="Leave --retrain out")
    clips = clips_of_study(settings, folder)
    if retrain and settings.stills:
        stills = find_stills(settings.stills, clips)
        if stills.fingerprint != settings.stills_fingerprint:
            rule = f"the study's privacy branches learned on stills {settings.stills_fingerprint}"
            raise StudyError(stills.location, rule, stills.fingerprint, "Restore those stills")
    verify_study(folder, make_body(folder, clips, settings, allow_external), seeds, retrain, on_step)
