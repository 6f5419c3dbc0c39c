"""The options of ``anon-tune audit``, as typer reads them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from anon_tune.folder import Folder


class Format(StrEnum):
    """How a certificate is printed."""

    TABLE = "table"
    JSON = "json"


Study = Annotated[
    Folder | None, typer.Argument(metavar="STUDY", parser=Folder.at, help="Study directory, with --trial.")
]
Trial = Annotated[str | None, typer.Option(help="Audit this trial of STUDY, on the study's clips.")]
Method = Annotated[str | None, typer.Option(help="Audit an anonymizer that nobody trains, as pixelate:8.")]
File = Annotated[Path | None, typer.Option(help="Audit an anonymizer file that 'export' wrote.")]
Clips = Annotated[
    str | None,
    typer.Option(metavar="avatars|DIR|URI", help="Built-in clips, or a clip store; with --method, --file."),
]
Original = Annotated[Path | None, typer.Option(help="Folder of videos; options from here to --skip-bad go with it.")]
Anonymized = Annotated[Path | None, typer.Option(help="Audit what any tool made of them: the same names.")]
AnonymizedSuffix = Annotated[
    str | None, typer.Option(help="What the tool adds to names: _anonymized for a_anonymized.mp4.")
]
Pattern = Annotated[str | None, typer.Option(help="As in 'clips import', over the names in --original.")]
Action = Annotated[str | None, typer.Option(help="Named group that is the action.")]
Private = Annotated[list[str] | None, typer.Option(help="Named groups that are private; one or more.")]
Group = Annotated[str | None, typer.Option(help="Named group that no two splits may share.")]
TestGroups = Annotated[list[str] | None, typer.Option(help="Values of the group that are tested on.")]
ValGroups = Annotated[list[str] | None, typer.Option(help="Values of the group that select.")]
ValFraction = Annotated[float | None, typer.Option(help="Else the share of training clips that does; 0.15.")]
NumFrames = Annotated[int | None, typer.Option(min=1, help="Frames of a clip; 16 if left out.")]
Size = Annotated[str | None, typer.Option(metavar="HxW", help="Of a frame; 112x112 if left out.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out videos that cannot be decoded.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Certificate to write, JSON.")]
PrintedAs = Annotated[Format, typer.Option(help="What is printed: table or json.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Seeds of every attacker.")]
Codec = Annotated[
    Literal["h264"] | None, typer.Option(help="Put all clips through this codec before any attacker sees them.")
]
Crf = Annotated[int | None, typer.Option(min=0, max=51, help="Constant rate factor of the codec.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What attackers may spend: max_steps=400.")
]
Cache = Annotated[
    Path | None, typer.Option(file_okay=False, help="Where to keep what raw clips teach, for further audits.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1; auto takes a GPU if there is one.")]
