"""``anon-tune front``, ``report`` and ``export``: what a study found."""

from __future__ import annotations

import csv
import io
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anon_tune.errors import StudyError, UsageError, suggest
from anon_tune.folder import Folder
from anon_tune.study_directory import StudyDirectory, StudyLocation

if TYPE_CHECKING:
    from anon_tune.trial import Trial

Study = Annotated[Folder, typer.Argument(metavar="DIR|URI", parser=Folder.at, help="Study directory.")]


class Format(StrEnum):
    """How a front is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class FileFormat(StrEnum):
    """What an anonymizer is exported as."""

    SAFETENSORS = "safetensors"
    PT2 = "pt2"
    ONNX = "onnx"


def read_trials(directory: StudyLocation) -> list[Trial]:
    """Read the trials of a study directory, also while it runs."""
    from anon_tune.ledger import Ledger

    study = StudyDirectory.at(directory)
    study.check()
    return Ledger(study.ledger).trials()


def front(
    directory: Study,
    format: Annotated[Format, typer.Option(help="table, json or csv.")] = Format.TABLE,
    all_trials: Annotated[bool, typer.Option("--all", help="List every trial, not the front and the anchors.")] = False,
) -> None:
    """Print the front of a study, also while it runs; front rank 0 is the front itself."""
    from anon_tune.pareto import front_document

    document = front_document(read_trials(directory), all_trials)
    if format is Format.JSON:
        print(json.dumps(document, indent=2, allow_nan=False))
    elif format is Format.CSV:
        print(_csv(document), end="")
    else:
        _print_table(document)


def report(
    directory: Study,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; DIR/report.html if left out.")
    ] = None,
) -> None:
    """Write one self-contained HTML page about a study, also while it runs, and print its path."""
    print(write(directory, output))


def export(
    directory: Study,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; its ending, or --format, says what it is.")
    ],
    leakage_at_most: Annotated[
        float | None, typer.Option(min=0, max=1, help="Take the most accurate trial that leaks no more than this cMAP.")
    ] = None,
    trial: Annotated[str | None, typer.Option(help="Take this trial.")] = None,
    format: Annotated[
        FileFormat | None, typer.Option(help="safetensors (weights), pt2 (torch.export program) or onnx.")
    ] = None,
    data_licence: Annotated[str, typer.Option(help="Licence of the clips, for the model card.")] = "not stated",
    force: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
) -> None:
    """Write a trial's anonymizer with a model card beside it.

    Weights are for anon_tune; the programs, pt2 and onnx, run without it, and are
    checked against the weights on real frames. ONNX needs the extra 'onnx'.
    """
    from anon_tune.export import export_anonymizer
    from anon_tune.study import load_study

    chosen = pick_trial(directory, leakage_at_most, trial)
    if format is not None:
        suffix = f".{format.value}"
        if output.suffix not in ("", suffix):
            rule = f"must agree with --format {format.value}"
            raise UsageError(str(output), rule, output.suffix, f"End it in {suffix}, or leave the option out")
        output = output.with_suffix(suffix)
    _, settings = load_study(directory)
    stills = settings.stills, settings.stills_fingerprint
    print(export_anonymizer(directory, chosen, settings.clips, output, force, data_licence, stills))


def pick_trial(directory: StudyLocation, leakage_at_most: float | None, trial: str | None) -> Trial:
    """Return the trial of a study that a user chose by one of two options.

    Raises:
        StudyError: There is none, or not one of the two options is given.
    """
    from anon_tune.pareto import ParetoFront

    if (leakage_at_most is None) == (trial is None):
        raise UsageError("export", "give one of --leakage-at-most and --trial", remedy="See 'anon-tune export --help'")
    trials = read_trials(directory)
    if leakage_at_most is not None:
        return ParetoFront.of(trials).pick(leakage_at_most)
    by_id = {t.id: t for t in trials}
    if trial not in by_id:
        raise StudyError(str(directory), f"no trial '{trial}'", remedy=suggest(str(trial), by_id))
    return by_id[trial]


def write(directory: StudyLocation, output: Path | None = None) -> Path | str:
    """Write the report of a study directory and return its path or URI."""
    from anon_tune.report import importance_trials, write_report
    from anon_tune.search import importance
    from anon_tune.study import load_study

    trials = read_trials(directory)
    space, _ = load_study(directory)
    return write_report(directory, importance(importance_trials(trials), space), output, trials)


def _csv(document: dict[str, Any]) -> str:
    rows = [_flat(row) for row in document["trials"]]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {
        name: value for name, value in row.items() if name not in ("params", "leakage_interval", "accuracy_interval")
    }
    for name in ("leakage", "accuracy"):
        flat[f"{name}_low"], flat[f"{name}_high"] = row[f"{name}_interval"] or (None, None)
    return {**flat, **row["params"]}


def _print_table(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    verified = any(row["probability_on_front"] is not None for row in document["trials"])
    added = ["repeats", "on front"] if verified else []
    heads = ["trial", "method", "state", "rank", *added, "leakage", "normalized", "accuracy", "seconds", "params"]
    table = Table(*heads, box=None)
    for row in document["trials"]:
        table.add_row(
            row["trial"],
            row["method"],
            row["state"] if row["feasible"] else f"{row['state']} (breaks a constraint)",
            "" if row["front_rank"] is None else str(row["front_rank"]),
            *(_certainty(row) if verified else []),
            _with_interval(row, "leakage"),
            "" if row["leakage_normalized"] is None else f"{row['leakage_normalized']:z.2f}",
            _with_interval(row, "accuracy"),
            f"{row['seconds']:.0f}",
            " ".join(_param(name, value) for name, value in row["params"].items() if name != "method"),
        )
    # A pipe has no width to fit: one trial stays one line there.
    Console(width=None if sys.stdout.isatty() else 400).print(table)
    point = document["reference_point"]
    if point is None:
        print("No trial has a full score yet.")
        return
    print(
        f"hypervolume {document['hypervolume']:.4f} against leakage {point['leakage']:.3f} (raw clips) "
        f"and accuracy {point['accuracy']:.3f} (chance)"
    )


def _param(name: str, value: object) -> str:
    return f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"


def _certainty(row: dict[str, Any]) -> list[str]:
    probability = row["probability_on_front"]
    return [str(row["num_repeats"]), "" if probability is None else f"{probability:.0%}"]


def _with_interval(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return ""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} ({low:.3f} to {high:.3f})"
