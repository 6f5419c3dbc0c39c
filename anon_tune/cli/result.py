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

from anon_tune.errors import LedgerError, suggest

if TYPE_CHECKING:
    from anon_tune.trial import Trial

Study = Annotated[Path, typer.Argument(metavar="DIR", help="Study directory.")]


class Format(StrEnum):
    """How a front is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def read_trials(directory: Path) -> list[Trial]:
    """Read the trials of a study directory, also while it runs."""
    from anon_tune.ledger import Ledger

    if not (directory / "study.toml").exists():
        raise LedgerError(str(directory), "no study there", remedy="Give the directory that 'study --out' wrote")
    return Ledger(directory / "ledger").trials()


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
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, safetensors.")],
    leakage_at_most: Annotated[
        float | None, typer.Option(min=0, max=1, help="Take the most accurate trial that leaks no more than this cMAP.")
    ] = None,
    trial: Annotated[str | None, typer.Option(help="Take this trial.")] = None,
    force: Annotated[bool, typer.Option(help="Replace a file that is there.")] = False,
) -> None:
    """Write a trial's anonymizer as safetensors with a model card beside it."""
    from anon_tune.export import export_anonymizer
    from anon_tune.pareto import ParetoFront
    from anon_tune.study import load_study

    if (leakage_at_most is None) == (trial is None):
        raise LedgerError("export", "give one of --leakage-at-most and --trial", remedy="See 'anon-tune export --help'")
    trials = read_trials(directory)
    if leakage_at_most is not None:
        chosen = ParetoFront.of(trials).pick(leakage_at_most)
    else:
        by_id = {t.id: t for t in trials}
        if trial not in by_id:
            raise LedgerError(str(directory), f"no trial '{trial}'", remedy=suggest(str(trial), by_id))
        chosen = by_id[trial]
    _, settings = load_study(directory)
    print(export_anonymizer(directory, chosen, settings.clips, output, force))


def write(directory: Path, output: Path | None = None) -> Path:
    """Write the report of a study directory and return its path."""
    from anon_tune.report import write_report
    from anon_tune.study import importance, load_study

    trials = read_trials(directory)
    space, _ = load_study(directory)
    return write_report(directory, importance(trials, space), output)


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
            row["state"],
            "" if row["front_rank"] is None else str(row["front_rank"]),
            *(_certainty(row) if verified else []),
            _with_interval(row, "leakage"),
            "" if row["leakage_normalized"] is None else f"{row['leakage_normalized']:.2f}",
            _with_interval(row, "accuracy"),
            f"{row['seconds']:.0f}",
            " ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in row["params"].items()),
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


def _certainty(row: dict[str, Any]) -> list[str]:
    probability = row["probability_on_front"]
    return [str(row["num_repeats"]), "" if probability is None else f"{probability:.0%}"]


def _with_interval(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return ""
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} ({low:.3f} to {high:.3f})"
