"""What ``anon-tune clips import`` imports: a folder by a pattern, or a data set by its published labels."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from anon_tune.errors import UsageError, suggest

if TYPE_CHECKING:
    from anon_tune.datasets import ImportResult
    from anon_tune.datasets.readers import Listing
    from anon_tune.datasets.side_by_side import Map

_FOLDER_NEEDS = ("--pattern", "--action", "--private", "--group", "--test-groups")
_FOLDER_ONLY = ("--pattern", "--action", "--private", "--group", "--val-groups")
_DATA_SET_ONLY = ("--labels", "--split", "--attributes", "--partial")
_CHOICES = ("--labels", "--split", "--attributes", "--test-groups", "--num-frames", "--frame-step")
_REMEDY = "See 'anon-tune clips import --help'"


def check_options(source: str, options: Mapping[str, Any]) -> None:
    """Refuse options that do not go together.

    Args:
        source: A folder, or with ``--root`` the name of a data set.
        options: Every option of ``clips import`` by its flag; None for one that is not given.

    Raises:
        UsageError: On a missing or foreign option, or an unknown data set.
    """
    from anon_tune.datasets.readers import DATA_SETS

    given = [name for name, value in options.items() if value is not None]
    if "--root" in given:
        if source not in DATA_SETS:
            raise UsageError("clips import", f"unknown data set '{source}'", remedy=suggest(source, DATA_SETS))
        foreign = [*_FOLDER_ONLY, *(name for name in _CHOICES if name not in DATA_SETS[source])]
        missing = []
    else:
        if source in DATA_SETS and not Path(source).is_dir():
            raise UsageError("clips import", f"data set '{source}' needs --root", remedy=_REMEDY)
        foreign = [*_DATA_SET_ONLY]
        missing = [name for name in _FOLDER_NEEDS if name not in given]
    what = f"data set '{source}'" if "--root" in given else f"folder '{source}'"
    if wrong := [name for name in foreign if name in given]:
        raise UsageError("clips import", f"{', '.join(wrong)} cannot go with {what}", remedy=_REMEDY)
    if missing:
        raise UsageError("clips import", f"{what} needs {', '.join(missing)}", remedy=_REMEDY)


def run_import(source: str, size: tuple[int, int], output: Path, options: Mapping[str, Any]) -> ImportResult:
    """Import what `check_options` has found in order, with a progress bar, and name what is wrong with files.

    Args:
        source: As for `check_options`.
        size: Height and width in pixels.
        output: Clip store to write.
        options: As for `check_options`.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    importing = _data_set(source, options) if options["--root"] is not None else _folder(source, options)
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("Importing", total=None)
            imported = importing(
                height=size[0],
                width=size[1],
                output=output,
                val_fraction=options["--val-fraction"],
                gray=bool(options["--gray"]),
                skip_bad=bool(options["--skip-bad"]),
                force=bool(options["--force"]),
                progress=lambda done, total: bar.update(task, completed=done, total=total),
                decode_with=_side_by_side(options["--workers"]),
            )
    except KeyboardInterrupt:
        print("Stopped. What is decoded is kept; the same command goes on from there.", file=sys.stderr)
        raise typer.Exit(130) from None
    for bad in imported.bad:
        print(f"{bad.file}: cannot be decoded at frame {bad.frame}, got {bad.reason}.", file=sys.stderr)
    for file in imported.short:
        print(f"{file}: is too short for {imported.clips.shape[0]} frames; its clip repeats some.", file=sys.stderr)
    return imported


def _side_by_side(num_workers: int | None) -> Map:
    if os.environ.get("RAY_ADDRESS"):
        from anon_tune.driver.tasks import in_tasks

        return in_tasks(num_workers)
    from anon_tune.datasets.side_by_side import in_processes

    return in_processes(num_workers)


def _folder(source: str, options: Mapping[str, Any]) -> Callable[..., ImportResult]:
    from anon_tune.datasets import import_folder

    return partial(
        import_folder,
        folder=source,
        pattern=options["--pattern"],
        action=options["--action"],
        private=options["--private"],
        group=options["--group"],
        test_groups=options["--test-groups"],
        num_frames=options["--num-frames"] or 16,
        frame_step=options["--frame-step"],
        val_groups=options["--val-groups"] or (),
    )


def _data_set(source: str, options: Mapping[str, Any]) -> Callable[..., ImportResult]:
    from anon_tune.datasets.readers import import_listing, read_data_set

    listing = read_data_set(
        source,
        options["--root"],
        options["--labels"],
        num_frames=options["--num-frames"] or 16,
        split=1 if options["--split"] is None else options["--split"],
        attributes=options["--attributes"] or "vispr1",
        test_groups=options["--test-groups"] or (),
        frame_step=options["--frame-step"],
    )
    print_counts(listing)
    return partial(import_listing, listing, partial=bool(options["--partial"]))


def print_counts(listing: Listing) -> None:
    """Print what was found against what is published, a line a kind."""
    rows = [("", "found", "published")] + [
        (count.what, f"{count.found:,}", "-" if count.published is None else f"{count.published:,}")
        for count in listing.counts
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    for what, found, published in rows:
        print(f"{what:<{widths[0]}}  {found:>{widths[1]}}  {published:>{widths[2]}}")
    sys.stdout.flush()  # before whatever is said on stderr
