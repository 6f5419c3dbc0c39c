"""``anon-tune front``, ``report`` and ``export``: the results of a study."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anon_tune.cli.local_output import local_output
from anon_tune.cli.rows import lay_out, terminal_width
from anon_tune.cli.study_options import AllowExternal
from anon_tune.commands.results import ExportOptions, measure_note, read_trials, write_report
from anon_tune.commands.results import export as run_export
from anon_tune.errors import on_one_line
from anon_tune.folder import Folder

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.pareto import FrontRow, FrontTable
    from anon_tune.trial import Reading

Study = Annotated[Folder, typer.Argument(metavar="DIR|URI", parser=Folder.at, help="Study directory.")]


class Format(StrEnum):
    """How a front is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class FileFormat(StrEnum):
    """File format of an exported anonymizer."""

    SAFETENSORS = "safetensors"
    PT2 = "pt2"
    ONNX = "onnx"


def front(
    directory: Study,
    format: Annotated[Format, typer.Option(metavar="table|json|csv", help="table, json or csv.")] = Format.TABLE,
    all_trials: Annotated[
        bool, typer.Option("--all", help="List every trial, not only the front and the anchors.")
    ] = False,
) -> None:
    """Print the Pareto front of a study, even while it runs. Front rank 0 is the front itself."""
    from anon_tune.pareto import FrontTable
    from anon_tune.study.certified import certificates_of

    trials = read_trials(directory)
    table = FrontTable.of(trials, all_trials, certificates_of(directory, trials))
    if old := measure_note(directory):
        print(f"{directory}: {old}", file=sys.stderr)
    if format is Format.JSON:
        print(json.dumps(table.to_json(), indent=2, allow_nan=False))
    elif format is Format.CSV:
        print(_csv(table), end="")
    else:
        _print_table(table)


def report(
    directory: Study,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", parser=local_output, help="File to write. Default: DIR/report.html."
        ),
    ] = None,
) -> None:
    """Write one self-contained HTML page about a study, even while it runs, and print its path."""
    print(write_report(directory, output))


def export(
    directory: Study,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            parser=local_output,
            help="File to write. Its suffix, or --format, sets the file format.",
        ),
    ],
    leakage_at_most: Annotated[
        float | None,
        typer.Option(
            metavar="CMAP", min=0, max=1, help="Export the most accurate trial that leaks no more than this cMAP."
        ),
    ] = None,
    accuracy_at_least: Annotated[
        float | None,
        typer.Option(
            metavar="ACCURACY",
            min=0,
            max=1,
            help="Export the trial with the least leakage among those with at least this accuracy.",
        ),
    ] = None,
    trial: Annotated[str | None, typer.Option(metavar="TRIAL", help="Export this trial.")] = None,
    format: Annotated[
        FileFormat | None,
        typer.Option(
            metavar="FORMAT",
            help="safetensors (weights), pt2 (torch.export program) or onnx (program). Default: by the suffix of FILE.",
        ),
    ] = None,
    data_licence: Annotated[
        str, typer.Option(metavar="TEXT", help="Licence of the clips, for the model card.")
    ] = "not stated",
    force: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
    allow_external: AllowExternal = False,
) -> None:
    """Write a trial's anonymizer to a file, with a model card beside it.

    A safetensors file holds weights for anon_tune. A pt2 or onnx file is a program that
    runs without anon_tune; it is checked against the weights on real frames. ONNX needs
    the extra 'onnx'.
    """
    options = ExportOptions(
        output=output,
        leakage_at_most=leakage_at_most,
        accuracy_at_least=accuracy_at_least,
        trial=trial,
        format=None if format is None else format.value,
        data_licence=data_licence,
        force=force,
        allow_external=allow_external,
    )
    print(run_export(directory, options))


def _csv(table: FrontTable) -> str:
    rows = [row.to_columns() for row in table.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _print_table(table: FrontTable) -> None:
    verified = any(row.probability_on_front is not None for row in table.rows)
    is_certified = any(row.certificate is not None for row in table.rows)
    added = ["repeats", "on front"] if verified else []
    last = ["certified leakage", "normalized"] if is_certified else []
    objective = table.front.task.objective
    heads = ["trial", "method", "state", "front rank", *added, "leakage", "normalized", objective, *last]
    heads += ["seconds", "params"]
    print(lay_out(heads, [_cells(row, verified, is_certified) for row in table.rows], terminal_width()))
    front = table.front
    if (point := front.reference_point) is not None:
        print(
            f"hypervolume {front.hypervolume:.4f} against leakage {point.leakage:.3f} (raw clips) "
            f"and {front.task.objective} {point.accuracy:.3f} (chance)"
        )
    if front.empty is not None:
        print(on_one_line(str(front.empty)))


def _cells(row: FrontRow, verified: bool, is_certified: bool) -> list[str]:
    trial, score = row.trial, row.score
    certainty = [str(len(trial.repeats)), "" if (p := row.probability_on_front) is None else f"{p:.0%}"]
    return [
        trial.id,
        trial.method,
        trial.state.value if trial.is_feasible else f"{trial.state.value} (breaks a constraint)",
        "" if row.front_rank is None else str(row.front_rank),
        *(certainty if verified else []),
        "" if score is None else _with_interval(score.leakage),
        "" if score is None else _normalized(score.leakage.normalized),
        "" if score is None else _with_interval(score.accuracy),
        *(_certified(row.certificate) if is_certified else []),
        f"{trial.seconds:.0f}",
        " ".join(_param(name, value) for name, value in trial.params.items() if name != "method"),
    ]


def _certified(certificate: Certificate | None) -> list[str]:
    if certificate is None:
        return ["", ""]
    more = " or more" if certificate.status == "LOWER_BOUND" else ""
    return [f"{certificate.leakage:.3f}{more}", _normalized(certificate.leakage_normalized)]


def _normalized(value: float) -> str:
    return f"{value:z.2f}" if math.isfinite(value) else ""


def _param(name: str, value: object) -> str:
    return f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"


def _with_interval(reading: Reading) -> str:
    return f"{reading.value:.3f} ({reading.low:.3f} to {reading.high:.3f})" if math.isfinite(reading.value) else ""
