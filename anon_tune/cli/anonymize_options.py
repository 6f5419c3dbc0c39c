"""The options of ``anon-tune anonymize``, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anon_tune.cli.local_output import local_output
from anon_tune.folder import Folder

Inputs = Annotated[list[Path], typer.Argument(metavar="IN", help="Videos, or folders of videos.")]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE|DIR", parser=local_output, help="Output file for one video, or output folder."
    ),
]
File = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Use this anonymizer file (.safetensors), written by 'export'.")
]
Study = Annotated[
    Folder | None,
    typer.Option(
        metavar="DIR|URI",
        parser=Folder.at,
        help="Use a trial of this study. Choose it with --trial or --leakage-at-most.",
    ),
]
Trial = Annotated[str | None, typer.Option(metavar="TRIAL", help="Use this trial of --study.")]
LeakageAtMost = Annotated[
    float | None,
    typer.Option(
        metavar="CMAP", min=0, max=1, help="Use the most accurate trial of --study that leaks no more than this cMAP."
    ),
]
Method = Annotated[str | None, typer.Option(metavar="METHOD", help="Use a closed-form anonymizer, such as blur:4.")]
Certificate = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Certificate of the anonymizer, to put into the report. Default: the one in the study, if any.",
    ),
]
Scale = Annotated[
    bool,
    typer.Option(
        "--scale", help="Anonymize at the size of the training clips, then enlarge the result. It looks coarser."
    ),
]
Preview = Annotated[
    bool,
    typer.Option("--preview", help="Show the original to the left of the result, for inspection. Do not release it."),
]
DropAudio = Annotated[
    bool,
    typer.Option("--drop-audio", help="Leave out the audio. Without this option, it is copied, voices included."),
]
EncodeAudio = Annotated[
    bool, typer.Option("--encode-audio", help="Encode audio as AAC if the output cannot hold it as it is.")
]
AcceptDamage = Annotated[
    bool,
    typer.Option("--accept-damage", help="Continue if damage is only suspected. The report describes the damage."),
]
Ending = Annotated[
    str | None,
    typer.Option(
        metavar=".mp4|.m4v|.mov|.mkv",
        help="Suffix of the outputs in a folder. Default: that of the input, or .mp4 if that cannot be written.",
    ),
]
Crf = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, max=51, help="Constant rate factor of H.264; 0 is the best quality and the largest file."
    ),
]
Chunk = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        help="Frames per chunk for a method that looks at whole clips. Default: the number of frames of a training "
        "clip, or 32 if it is not known.",
    ),
]
Device = Annotated[
    str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or cuda:1. auto uses a GPU if there is one.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
