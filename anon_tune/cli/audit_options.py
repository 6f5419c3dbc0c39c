"""The options of ``anon-tune audit``, as typer reads them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from anon_tune.cli.local_output import local_output
from anon_tune.folder import Folder


class Format(StrEnum):
    """How a certificate is printed."""

    TABLE = "table"
    JSON = "json"


Study = Annotated[
    Folder | None, typer.Argument(metavar="STUDY", parser=Folder.at, help="Study directory; needs --trial.")
]
Trial = Annotated[str | None, typer.Option(metavar="TRIAL", help="Audit this trial of STUDY on the study's clips.")]
Method = Annotated[
    str | None, typer.Option(metavar="METHOD", help="Audit a closed-form anonymizer, such as pixelate:8.")
]
File = Annotated[Path | None, typer.Option(metavar="FILE", help="Audit an anonymizer file written by 'export'.")]
Clips = Annotated[
    str | None,
    typer.Option(
        metavar="avatars|avatars-anomaly|DIR|URI", help="Built-in clips, or a clip store; for --method and --file."
    ),
]
Original = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Folder of original videos. The options from here to --skip-bad are for --original only."
    ),
]
Anonymized = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the same videos with the same names, anonymized by any tool."),
]
AnonymizedSuffix = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Suffix that the tool adds to names, such as _anonymized for a_anonymized.mp4."),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX", help="Regular expression with named groups, as in 'clips import'; matches paths in --original."
    ),
]
Action = Annotated[str | None, typer.Option(metavar="NAME", help="Named group that holds the action.")]
Private = Annotated[
    list[str] | None, typer.Option(metavar="NAME...", help="Named groups that hold private attributes; one or more.")
]
Group = Annotated[
    str | None, typer.Option(metavar="NAME", help="Named group whose values are never shared by two splits.")
]
TestGroups = Annotated[
    list[str] | None, typer.Option(metavar="VALUE...", help="Values of --group that form the test split.")
]
ValGroups = Annotated[
    list[str] | None, typer.Option(metavar="VALUE...", help="Values of --group that form the validation split.")
]
ValFraction = Annotated[
    float | None,
    typer.Option(
        metavar="FRACTION", help="Without --val-groups: share of training clips held out for validation. Default: 0.15."
    ),
]
NumFrames = Annotated[int | None, typer.Option(metavar="N", min=1, help="Frames per clip. Default: 16.")]
Size = Annotated[
    str | None, typer.Option(metavar="HxW", help="Height and width of a frame in pixels. Default: 112x112.")
]
AcceptDamage = Annotated[
    bool,
    typer.Option("--accept-damage", help="If damage is only suspected, use the frames that can be decoded."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out videos that cannot be decoded.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", parser=local_output, help="JSON file to write the certificate to."),
]
PrintedAs = Annotated[Format, typer.Option(metavar="table|json", help="Print the certificate as a table or as json.")]
Seeds = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Number of seeds that each attacker is trained with.")
]
Codec = Annotated[
    Literal["h264"] | None,
    typer.Option(metavar="h264", help="Put all clips through this codec before any attacker sees them."),
]
Crf = Annotated[int | None, typer.Option(metavar="N", min=0, max=51, help="Constant rate factor of the codec.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set the effort of the audit: which attackers train, and how long. Such as max_steps=400. May be "
        "repeated.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        file_okay=False,
        help="Folder for the baseline, which is measured on raw clips. Later audits can reuse it. Default: beside the "
        "clip store.",
    ),
]
Device = Annotated[
    str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:1. auto uses a GPU if there is one.")
]
