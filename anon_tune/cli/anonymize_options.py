"""The options of ``anon-tune anonymize``, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anon_tune.folder import Folder

Inputs = Annotated[list[Path], typer.Argument(metavar="IN...", help="Videos, or folders of them.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="File for one video, else a folder.")]
File = Annotated[Path | None, typer.Option(help="By what 'export' wrote, .safetensors.")]
Study = Annotated[Folder | None, typer.Option(metavar="DIR|URI", parser=Folder.at, help="By a trial of this study.")]
Trial = Annotated[str | None, typer.Option(help="Which trial of --study.")]
LeakageAtMost = Annotated[
    float | None, typer.Option(min=0, max=1, help="Or the most accurate that leaks no more than this cMAP.")
]
Method = Annotated[str | None, typer.Option(help="By one that nobody trains, as blur:4.")]
Certificate = Annotated[Path | None, typer.Option(help="Its certificate, for the report; a study's own is found.")]
Scale = Annotated[bool, typer.Option("--scale", help="Work at the size it was trained at; looks coarser.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show the original on the left, to look at; not for release.")]
DropAudio = Annotated[
    bool, typer.Option("--drop-audio", help="Leave out the audio, which is copied as it is otherwise: voices too.")
]
Crf = Annotated[int, typer.Option(min=0, max=51, help="Quality of H.264, 0 is finest.")]
Chunk = Annotated[int | None, typer.Option(min=2, help="Frames in which detector=background looks for what moves; 32.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1; auto takes a GPU if there is one.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]
