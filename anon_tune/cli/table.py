"""``anon-tune table``: the rows that a paper prints."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from anon_tune.folder import Folder


class TableFormat(StrEnum):
    """How a table is printed."""

    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"


class Published(StrEnum):
    """A table that a paper printed."""

    UCF101 = "ucf101-vispr1"
    PA_HMDB51 = "pa-hmdb51"
    VP_HMDB51 = "vp-hmdb51"


def table(
    studies: Annotated[
        list[Folder], typer.Argument(metavar="STUDY...", parser=Folder.at, help="Study directories or URIs.")
    ],
    format: Annotated[
        TableFormat, typer.Option(metavar="markdown|latex|csv", help="markdown, latex or csv.")
    ] = TableFormat.MARKDOWN,
    published: Annotated[
        Published | None,
        typer.Option(
            metavar="TABLE",
            help="Also print published rows, with their chance level and known errors: ucf101-vispr1, pa-hmdb51 or "
            "vp-hmdb51.",
        ),
    ] = None,
) -> None:
    """Print the fronts, anchors and audited trials of studies as a table for a paper.

    A trial that has a certificate is printed with its certified numbers. Markdown and
    LaTeX tables have percentages and footnotes. CSV has fractions. The last column of a
    CSV row has the notes of the row, and other notes are printed on stderr.
    """
    from anon_tune.cli.table_formats import csv_text, latex, markdown
    from anon_tune.commands.table import result_table

    found = result_table(studies, None if published is None else published.value)
    if format is TableFormat.CSV:
        for note in found.notes:
            print(note, file=sys.stderr)
    writers = {TableFormat.MARKDOWN: markdown, TableFormat.LATEX: latex, TableFormat.CSV: csv_text}
    print(writers[format](found), end="")
