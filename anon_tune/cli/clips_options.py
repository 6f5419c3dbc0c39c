"""The options of ``anon-tune clips import``, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_FOLDER = "Of a folder: labels are in the paths of its files"
_DATA_SET = "Of a data set"

Source = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER|NAME",
        help="Folder of videos, searched with its subfolders; or with --root the name of a data set: ucf101, "
        "hmdb51, pa-hmdb51, vispr, vp-ucf101, vp-hmdb51, kth, ixmas, or csv for a table of your own.",
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Clip store to write.")]
NumFrames = Annotated[
    int | None, typer.Option(min=1, help="Frames of a clip, spread evenly over the video. Default: 16.")
]
FrameStep = Annotated[
    int | None,
    typer.Option(min=1, help="Take frames that are this many apart, from the middle of the video, instead."),
]
Size = Annotated[str, typer.Option(metavar="HxW", help="Height and width of a frame in pixels.")]
ValFraction = Annotated[
    float, typer.Option(help="Without a validation split: the share of training clips that is held out to select.")
]
TestGroups = Annotated[
    list[str] | None,
    typer.Option(help="Values of the group that are tested on; one or more. Default: of kth d4, of ixmas 2."),
]
Gray = Annotated[bool, typer.Option("--gray", help="Take colour away.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Files to decode at a time. Default: one a CPU, of the cluster if any.")
]
SkipBad = Annotated[bool, typer.Option(help="Exit with 0 although some files could not be decoded.")]
Force = Annotated[bool, typer.Option(help="Replace a clip store that is there.")]
Pattern = Annotated[
    str | None,
    typer.Option(help="Regular expression with named groups, over relative paths.", rich_help_panel=_FOLDER),
]
Action = Annotated[str | None, typer.Option(help="Named group that is the action.", rich_help_panel=_FOLDER)]
Private = Annotated[
    list[str] | None, typer.Option(help="Named groups that are private; one or more.", rich_help_panel=_FOLDER)
]
Group = Annotated[
    str | None,
    typer.Option(help="Named group that no two splits may share: a take, a person.", rich_help_panel=_FOLDER),
]
ValGroups = Annotated[
    list[str] | None,
    typer.Option(help="Values of the group that select; one or more.", rich_help_panel=_FOLDER),
]
Root = Annotated[Path | None, typer.Option(help="Folder of its videos or stills.", rich_help_panel=_DATA_SET)]
Labels = Annotated[
    Path | None, typer.Option(help="Folder or file of labels, if not in --root.", rich_help_panel=_DATA_SET)
]
Split = Annotated[
    int | None,
    typer.Option(help="Published split, 1 to 3, of ucf101, hmdb51, vp-*. Default: 1.", rich_help_panel=_DATA_SET),
]
Attributes = Annotated[
    str | None,
    typer.Option(help="Of vispr: vispr1 (default), vispr2, pa-hmdb51 (merged).", rich_help_panel=_DATA_SET),
]
Partial = Annotated[bool, typer.Option("--partial", help="Import what is there, not all.", rich_help_panel=_DATA_SET)]
