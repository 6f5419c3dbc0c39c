"""``anon-tune clips``: make or import a clip store, and look at one."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from anon_tune.errors import AnonTuneError, ClipsError

app = typer.Typer(
    name="clips", help="Import videos into a clip store, or make the built-in clips.", no_args_is_help=True
)

_LISTS = ("--private", "--test-groups", "--val-groups")


def spread_lists(args: list[str]) -> list[str]:
    """Let a list option of ``clips import`` take several values: ``--private a b`` becomes two options."""
    if args[:2] != ["clips", "import"]:
        return args
    spread: list[str] = []
    option, num_values = "", 0
    for arg in args:
        if arg.startswith("-"):
            option, num_values = (arg if arg in _LISTS else ""), 0
        elif option:
            num_values += 1
            if num_values > 1:
                spread.append(option)
        spread.append(arg)
    return spread


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``HxW`` into height and width."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or not all(int(n) for n in match.groups()):
        raise AnonTuneError("--size", "must be height x width in pixels", text, "Write for example 48x64")
    return int(match[1]), int(match[2])


@app.command("import")
def import_clips(
    folder: Annotated[Path, typer.Argument(help="Folder of videos, searched with its subfolders.")],
    pattern: Annotated[str, typer.Option(help="Regular expression with named groups, over a file's relative path.")],
    action: Annotated[str, typer.Option(help="Named group that is the action.")],
    private: Annotated[list[str], typer.Option(help="Named groups that are private; one or more.")],
    group: Annotated[str, typer.Option(help="Named group that no two splits may share, such as a take or a person.")],
    test_groups: Annotated[list[str], typer.Option(help="Values of the group that are tested on; one or more.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Clip store to write.")],
    val_groups: Annotated[list[str] | None, typer.Option(help="Values of the group that select; one or more.")] = None,
    val_fraction: Annotated[
        float, typer.Option(help="Without --val-groups: the share of training clips that is held out to select.")
    ] = 0.15,
    num_frames: Annotated[int, typer.Option(min=1, help="Frames of a clip, spread evenly over the video.")] = 16,
    size: Annotated[str, typer.Option(metavar="HxW", help="Height and width of a frame in pixels.")] = "112x112",
    skip_bad: Annotated[bool, typer.Option(help="Exit with 0 although some files could not be decoded.")] = False,
    force: Annotated[bool, typer.Option(help="Replace a clip store that is there.")] = False,
) -> None:
    """Import a folder of videos, with the labels in their paths.

    Example: anon-tune clips import ixmas --pattern '(?P<person>\\D+)(?P<take>\\d)_\\d+_(?P<action>.+)_cam\\d'
    --action action --private person --group take --test-groups 2 --size 48x64 -o clips/ixmas
    """
    from rich.console import Console
    from rich.progress import Progress

    from anon_tune.clips import import_folder

    height, width = parse_size(size)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Importing", total=None)
        imported = import_folder(
            folder=folder,
            pattern=pattern,
            action=action,
            private=private,
            group=group,
            test_groups=test_groups,
            num_frames=num_frames,
            height=height,
            width=width,
            output=output,
            val_groups=val_groups or (),
            val_fraction=val_fraction,
            skip_bad=skip_bad,
            force=force,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for bad in imported.bad:
        print(f"{bad.file}: cannot be decoded at frame {bad.frame}, got {bad.reason}.", file=sys.stderr)
    info(output)
    if imported.bad and not skip_bad:
        rule = f"{len(imported.bad)} of {len(imported.bad) + imported.num_imported} files could not be decoded"
        raise ClipsError(str(folder), rule, remedy="The others are imported; mend the files or add --skip-bad")


@app.command("avatars")
def avatars(
    output: Annotated[Path, typer.Option("--output", "-o", help="Clip store to write.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same clips.")] = 0,
    num_frames: Annotated[int, typer.Option(min=2, help="Frames of a clip.")] = 8,
    size: Annotated[str, typer.Option(metavar="HxW", help="Height and width of a frame in pixels.")] = "32x32",
) -> None:
    """Make the built-in clips of generated people."""
    from anon_tune.clips import make_avatars

    height, width = parse_size(size)
    make_avatars(output, seed=seed, num_frames=num_frames, height=height, width=width)
    info(output)


@app.command("info")
def info(store: Annotated[Path, typer.Argument(help="Clip store.")]) -> None:
    """Print what a clip store holds."""
    from anon_tune.clips import open_clips

    clips = open_clips(store)
    num_frames, height, width, _ = clips.shape
    splits = Counter(entry.split for entry in clips.manifest.entries)
    print(f"{clips.directory}: {clips.num_clips} clips of {num_frames} frames, {height} x {width} pixels")
    print("splits:", ", ".join(f"{name} {count}" for name, count in splits.items()))
    print(f"actions ({len(clips.actions)}):", ", ".join(clips.actions))
    print(f"private attributes ({len(clips.attributes)}):", ", ".join(clips.attributes))
