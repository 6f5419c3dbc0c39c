"""``anon-tune clips``: make or import a clip store, and look at one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from anon_tune.cli import readers
from anon_tune.errors import DataError, UsageError

app = typer.Typer(
    name="clips", help="Import videos into a clip store, or make the built-in clips.", no_args_is_help=True
)

_LISTS = ("--private", "--test-groups", "--val-groups")


def spread_lists(args: list[str]) -> list[str]:
    """Let a list option of ``clips import`` and ``audit`` take several values: ``--private a b`` is given twice."""
    if args[:2] != ["clips", "import"] and args[:1] != ["audit"]:
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
        raise UsageError("--size", "must be height x width in pixels", text, "Write for example 48x64")
    return int(match[1]), int(match[2])


_FOLDER = "Of a folder: labels are in the paths of its files"
_DATA_SET = "Of a data set"


@app.command("import")
def import_clips(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|NAME",
            help="Folder of videos, searched with its subfolders; or with --root the name of a data set: ucf101, "
            "hmdb51, pa-hmdb51, vispr, vp-ucf101, vp-hmdb51, kth, ixmas, or csv for a table of your own.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Clip store to write.")],
    num_frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a clip, spread evenly over the video. Default: 16.")
    ] = None,
    frame_step: Annotated[
        int | None,
        typer.Option(min=1, help="Take frames that are this many apart, from the middle of the video, instead."),
    ] = None,
    size: Annotated[str, typer.Option(metavar="HxW", help="Height and width of a frame in pixels.")] = "112x112",
    val_fraction: Annotated[
        float, typer.Option(help="Without a validation split: the share of training clips that is held out to select.")
    ] = 0.15,
    test_groups: Annotated[
        list[str] | None,
        typer.Option(help="Values of the group that are tested on; one or more. Default: of kth d4, of ixmas 2."),
    ] = None,
    gray: Annotated[bool, typer.Option("--gray", help="Take colour away.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Files to decode at a time. Default: one a CPU, of the cluster if any.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option(help="Exit with 0 although some files could not be decoded.")] = False,
    force: Annotated[bool, typer.Option(help="Replace a clip store that is there.")] = False,
    pattern: Annotated[
        str | None,
        typer.Option(help="Regular expression with named groups, over relative paths.", rich_help_panel=_FOLDER),
    ] = None,
    action: Annotated[str | None, typer.Option(help="Named group that is the action.", rich_help_panel=_FOLDER)] = None,
    private: Annotated[
        list[str] | None, typer.Option(help="Named groups that are private; one or more.", rich_help_panel=_FOLDER)
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Named group that no two splits may share: a take, a person.", rich_help_panel=_FOLDER),
    ] = None,
    val_groups: Annotated[
        list[str] | None,
        typer.Option(help="Values of the group that select; one or more.", rich_help_panel=_FOLDER),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder of its videos or stills.", rich_help_panel=_DATA_SET)
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Folder or file of labels, if not in --root.", rich_help_panel=_DATA_SET)
    ] = None,
    split: Annotated[
        int | None,
        typer.Option(help="Published split, 1 to 3, of ucf101, hmdb51, vp-*. Default: 1.", rich_help_panel=_DATA_SET),
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(help="Of vispr: vispr1 (default), vispr2, pa-hmdb51 (merged).", rich_help_panel=_DATA_SET),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Import what is there, not all.", rich_help_panel=_DATA_SET)
    ] = False,
) -> None:
    """Import videos with their labels: a folder by a pattern, or a data set of the field.

    Stopped or broken off, the same command goes on where it was. Files are
    decoded by processes of this machine, or by tasks of the cluster that
    RAY_ADDRESS or a Ray job names; the clip store is the same, to the byte.

    Example: anon-tune clips import ixmas --pattern '(?P<person>\\D+)(?P<take>\\d)_\\d+_(?P<action>.+)_cam\\d'
    --action action --private person --group take --test-groups 2 --size 64x48 -o clips/ixmas

    Example: anon-tune clips import vp-hmdb51 --root HMDB51 --labels HMDB51_labels -o clips/vp-hmdb51
    """
    options = {
        "--num-frames": num_frames,
        "--frame-step": frame_step,
        "--gray": gray or None,
        "--workers": workers,
        "--val-fraction": val_fraction,
        "--test-groups": test_groups,
        "--skip-bad": skip_bad or None,
        "--force": force or None,
        "--pattern": pattern,
        "--action": action,
        "--private": private,
        "--group": group,
        "--val-groups": val_groups,
        "--root": root,
        "--labels": labels,
        "--split": split,
        "--attributes": attributes,
        "--partial": partial or None,
    }
    readers.check_options(source, options)
    imported = readers.run_import(source, parse_size(size), output, options)
    info(str(output))
    if imported.bad and not skip_bad:
        rule = f"{len(imported.bad)} of {len(imported.bad) + imported.num_imported} files could not be decoded"
        where = source if root is None else str(root)
        raise DataError(where, rule, remedy="The others are imported; mend the files or add --skip-bad")


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
    info(str(output))


@app.command("copy")
def copy(
    store: Annotated[Path, typer.Argument(metavar="DIR", help="Clip store.")],
    uri: Annotated[str, typer.Argument(metavar="URI", help="Where to, as s3://bucket/store or gs://bucket/store.")],
) -> None:
    """Copy a clip store to S3, GCS or another filesystem, from where each node of a cluster fetches it once."""
    from anon_tune.clips import open_clips
    from anon_tune.clips.node_cache import save_store
    from anon_tune.folder import Folder

    if not Folder.at(uri).is_remote:
        raise UsageError("clips copy", "needs a URI of another place", uri, "Copy a folder of this machine with cp -r")
    save_store(open_clips(store).directory, uri)
    info(uri)


@app.command("info")
def info(store: Annotated[str, typer.Argument(metavar="DIR|URI", help="Clip store.")]) -> None:
    """Print what a clip store holds."""
    from anon_tune.clips import open_clips

    clips = open_clips(store)
    num_frames, height, width, _ = clips.shape
    splits = Counter(entry.split for entry in clips.manifest.entries)
    print(f"{clips.location}: {clips.num_clips} clips of {num_frames} frames, {height} x {width} pixels")
    print("splits:", ", ".join(f"{name} {count}" for name, count in splits.items()))
    print(f"actions ({len(clips.actions)}):", ", ".join(clips.actions))
    print(f"private attributes ({len(clips.attributes)}):", ", ".join(clips.attributes))
