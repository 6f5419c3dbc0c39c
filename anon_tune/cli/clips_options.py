"""The options of ``anon-tune clips import`` and of what makes generated clips, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anon_tune.cli.local_output import local_output

_FOLDER = "For a folder, whose labels are in the paths of its files"
_DATA_SET = "For a data set"

Source = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER|NAME",
        help="Folder of videos, searched recursively. With --root, the name of a data set instead: ucf101, "
        "hmdb51, pa-hmdb51, vispr, vp-ucf101, vp-hmdb51, kth, ixmas, ucf-crime, shanghaitech, or csv for a table of "
        "your own.",
    ),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", parser=local_output, help="Clip store to write.")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="The same seed gives the same clips.")]
NumFrames = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Frames per clip, spread evenly over the video. Default: 16.")
]
FrameStep = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        min=1,
        help="Instead of spreading frames evenly, take every K-th frame, from the middle of the video.",
    ),
]
Windows = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        min=1,
        help="Number of windows to keep of each video, spread evenly over it. Training draws random windows, and the "
        "score of a clip is the mean over its windows. Default: 1.",
    ),
]
KeepFrames = Annotated[
    int | None,
    typer.Option(
        metavar="F",
        min=1,
        help="Instead of windows, keep up to F frames from the middle of each video (every K-th frame with "
        "--frame-step K). A window may begin at any of them.",
    ),
]
Size = Annotated[str, typer.Option(metavar="HxW", help="Height and width of a frame in pixels.")]
ValFraction = Annotated[
    float,
    typer.Option(
        metavar="FRACTION", help="If there is no validation split: share of training clips held out for validation."
    ),
]
TestGroups = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VALUE...",
        help="Values of the group that form the test split; one or more. Default: d4 for kth, 2 for ixmas.",
    ),
]
Gray = Annotated[bool, typer.Option("--gray", help="Convert frames to gray.")]
AcceptDamage = Annotated[
    bool,
    typer.Option("--accept-damage", help="If damage is only suspected, import the frames that can be decoded."),
]
KeyPoints = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Key points of the people in the videos, as COCO JSON or Parquet, for the method avatar. See "
        "docs/keypoints.md.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Number of files to decode at a time: in processes on this machine, or in tasks on the cluster that "
        "RAY_ADDRESS or a Ray job names. Default: one per CPU.",
    ),
]
SkipBad = Annotated[bool, typer.Option(help="Exit with 0 even if some files could not be used.")]
Force = Annotated[bool, typer.Option(help="Replace an existing clip store.")]
Pattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX", help="Regular expression with named groups; matches relative paths.", rich_help_panel=_FOLDER
    ),
]
Action = Annotated[
    str | None, typer.Option(metavar="NAME", help="Named group that holds the action.", rich_help_panel=_FOLDER)
]
Private = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME...", help="Named groups that hold private attributes; one or more.", rich_help_panel=_FOLDER
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Named group whose values are never shared by two splits, such as a take or a person.",
        rich_help_panel=_FOLDER,
    ),
]
ValGroups = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VALUE...",
        help="Values of the group that form the validation split; one or more.",
        rich_help_panel=_FOLDER,
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the data set's videos or stills.", rich_help_panel=_DATA_SET),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR|FILE", help="Folder or file of labels, if they are not in --root.", rich_help_panel=_DATA_SET
    ),
]
Split = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Number of the published split, 1 to 3, for ucf101, hmdb51 and vp-*. Default: 1.",
        rich_help_panel=_DATA_SET,
    ),
]
Attributes = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Attribute set for vispr: vispr1 (default), vispr2 or pa-hmdb51 (merged).",
        rich_help_panel=_DATA_SET,
    ),
]
Partial = Annotated[
    bool,
    typer.Option("--partial", help="Accept missing files, and import the others.", rich_help_panel=_DATA_SET),
]
