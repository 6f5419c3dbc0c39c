"""``anon-tune clips``: make or import a clip store, and look at one."""

from __future__ import annotations

import re
import sys
from collections import Counter
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anon_tune.cli import clips_options as options
from anon_tune.cli.help_text import Group
from anon_tune.cli.import_bar import ImportBar
from anon_tune.commands.clip_import import ImportOptions
from anon_tune.commands.clip_import import import_clips as run_import
from anon_tune.errors import UsageError, on_one_line
from anon_tune.video.folder_files import printable

if TYPE_CHECKING:
    from anon_tune.clips.manifest import Manifest

app = typer.Typer(
    name="clips", cls=Group, help="Import videos into a clip store, or make the built-in clips.", no_args_is_help=True
)


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``HxW`` into height and width."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None or not all(int(n) for n in match.groups()):
        raise UsageError("--size", "must be height x width in pixels", text, "Write for example 48x64")
    return int(match[1]), int(match[2])


@app.command("import")
def import_clips(
    source: options.Source,
    output: options.Output,
    num_frames: options.NumFrames = None,
    frame_step: options.FrameStep = None,
    windows: options.Windows = None,
    keep_frames: options.KeepFrames = None,
    size: options.Size = "112x112",
    val_fraction: options.ValFraction = 0.15,
    test_groups: options.TestGroups = None,
    gray: options.Gray = False,
    accept_damage: options.AcceptDamage = False,
    workers: options.Workers = None,
    skip_bad: options.SkipBad = False,
    force: options.Force = False,
    pattern: options.Pattern = None,
    action: options.Action = None,
    private: options.Private = None,
    group: options.Group = None,
    val_groups: options.ValGroups = None,
    root: options.Root = None,
    labels: options.Labels = None,
    split: options.Split = None,
    attributes: options.Attributes = None,
    partial: options.Partial = False,
    keypoints: options.KeyPoints = None,
) -> None:
    """Import videos and their labels, from a folder or from a published data set.

    If the import is interrupted, run the same command again to continue it. Processes on
    this machine decode the files, or tasks on the cluster that RAY_ADDRESS or a Ray job
    names. Both give the same clip store, byte for byte.

    Example: anon-tune clips import ixmas --pattern '(?P<person>\\D+)(?P<take>\\d)_\\d+_(?P<action>.+)_cam\\d'
    --action action --private person --group take --test-groups 2 --size 64x48 -o clips/ixmas

    Example: anon-tune clips import vp-hmdb51 --root HMDB51 --labels HMDB51_labels -o clips/vp-hmdb51
    """
    given = ImportOptions(
        source=source, output=output, num_frames=num_frames, frame_step=frame_step, windows=windows,
        keep_frames=keep_frames, size=parse_size(size), val_fraction=val_fraction,
        test_groups=tuple(test_groups or ()), gray=gray, accept_damage=accept_damage, workers=workers,
        skip_bad=skip_bad, force=force, pattern=pattern, action=action, private=tuple(private or ()), group=group,
        val_groups=tuple(val_groups or ()), root=root, labels=labels, split=split, attributes=attributes,
        partial=partial,
        keypoints=keypoints,
    )  # fmt: skip
    _import(given)


def _import(given: ImportOptions) -> None:
    try:
        with ExitStack() as stack:
            bar = ImportBar(stack)
            run_import(given, bar, lambda store: bar.show_store(lambda: info(str(store))))
    except KeyboardInterrupt:
        print("Stopped. Decoded files are kept; run the same command again to continue.", file=sys.stderr)
        raise typer.Exit(130) from None


@app.command("avatars")
def avatars(
    output: options.Output,
    seed: options.Seed = 0,
    num_frames: Annotated[int, typer.Option(metavar="N", min=2, help="Frames per clip.")] = 8,
    size: options.Size = "32x32",
) -> None:
    """Make the built-in clips of generated people."""
    from anon_tune.clips import make_avatars

    height, width = parse_size(size)
    make_avatars(output, seed=seed, num_frames=num_frames, height=height, width=width)
    info(str(output))


@app.command("avatars-anomaly")
def avatars_anomaly(
    output: options.Output,
    seed: options.Seed = 0,
    num_frames: Annotated[int, typer.Option(metavar="N", min=16, help="Frames per clip.")] = 32,
    size: options.Size = "32x32",
) -> None:
    """Make the built-in normal and abnormal clips of generated people, with frame truth."""
    from anon_tune.clips import make_anomalies

    height, width = parse_size(size)
    make_anomalies(output, seed=seed, num_frames=num_frames, height=height, width=width)
    info(str(output))


class Detector(StrEnum):
    """How persons are found."""

    BACKGROUND = "background"
    HOG = "hog"


@app.command("persons")
def persons(
    store: Annotated[Path, typer.Argument(metavar="DIR", help="Clip store.")],
    detector: Annotated[
        Detector,
        typer.Option(
            metavar="background|hog",
            help="background: finds what moves; the camera must be still. hog: finds upright persons, with OpenCV.",
        ),
    ] = Detector.BACKGROUND,
    force: Annotated[bool, typer.Option("--force", help="Replace the person masks of the store.")] = False,
) -> None:
    """Find persons in the clips of a store, and add person masks to the store.

    Private training with dp.region=persons needs the masks. A person who is not found is
    not protected, so look at the shares that the command prints.

    Example: anon-tune clips persons clips/mine --detector hog
    """
    from anon_tune.methods.persons.store_masks import find_persons

    found = find_persons(store, detector.value, force)
    print(f"frames with a person  {found.frames:.1%}")
    print(f"pixels of persons     {found.pixels:.1%}")


@app.command("copy")
def copy(
    store: Annotated[Path, typer.Argument(metavar="DIR", help="Clip store.")],
    uri: Annotated[
        str, typer.Argument(metavar="URI", help="Destination, such as s3://bucket/store or gs://bucket/store.")
    ],
) -> None:
    """Copy a clip store to S3, GCS or another file system. Each node of a cluster fetches it from there once."""
    from anon_tune.address import refuse_secret
    from anon_tune.clips import open_clips
    from anon_tune.clips.node_cache import save_store
    from anon_tune.folder import Folder

    refuse_secret("clips copy", uri)
    if not Folder.at(uri).is_remote:
        raise UsageError("clips copy", "the destination must be a remote URI", uri, "On this machine, use cp -r")
    clips = open_clips(store)
    save_store(clips.directory, uri)
    _print_contents(uri, clips.manifest)


@app.command("info")
def info(store: Annotated[str, typer.Argument(metavar="DIR|URI", help="Clip store.")]) -> None:
    """Print the number of clips, splits, actions and private attributes of a clip store."""
    from anon_tune.address import refuse_secret
    from anon_tune.clips import open_clips
    from anon_tune.clips.node_cache import fetch_manifest
    from anon_tune.folder import Folder, is_uri

    refuse_secret("clips info", store)
    if is_uri(store) and (far := Folder.at(store)).is_remote:
        _print_contents(far.location, fetch_manifest(far.location))  # its frames may be many gigabytes
        return
    clips = open_clips(store)
    _print_contents(clips.location, clips.manifest)


def _print_contents(location: str, manifest: Manifest) -> None:
    num_frames, height, width, _ = manifest.shape
    splits = Counter(entry.split for entry in manifest.entries)
    what = f"{len(manifest.entries)} clips of {num_frames} frames, {height} x {width} pixels"
    print(f"{printable(location)}: {what}{_windows(manifest)}")
    print("splits:", on_one_line(", ".join(f"{name} {count}" for name, count in splits.items())))
    print(f"actions ({len(manifest.actions)}):", on_one_line(", ".join(manifest.actions)))
    print(f"private attributes ({len(manifest.attributes)}):", on_one_line(", ".join(manifest.attributes)))
    if known := [entry.frame_truth for entry in manifest.entries if entry.frame_truth is not None]:
        abnormal = sum(map(sum, known)) / sum(map(len, known))
        print(f"frame truth: {len(known)} clips, {abnormal:.1%} of their frames are abnormal")


def _windows(manifest: Manifest) -> str:
    """Return a phrase about the windows of each clip; empty if there is one."""
    form, num_frames = manifest.windows, manifest.shape[0]
    if form is None:
        return ""
    if form.stride == num_frames:
        return f", {form.stored_frames // num_frames} windows of each"
    lengths = [entry.end - entry.begin for entry in manifest.entries]
    return f", windows within {min(lengths)} to {max(lengths)} kept frames"
