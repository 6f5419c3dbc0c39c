"""``anon-tune anonymize``: videos in, anonymized videos out, each with a report of what was done."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anon_tune.cli.anonymize_subject import Chosen, certified, choose
from anon_tune.errors import AnonTuneError, ExportError, UsageError
from anon_tune.folder import File, Folder

if TYPE_CHECKING:
    from anon_tune.export import VideoOptions

_VIDEOS = {
    *(".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf"),
    *(".ogv", ".ts", ".vob", ".webm", ".wmv"),
}
_KEPT = (".mp4", ".m4v", ".mov", ".mkv")


def anonymize(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Videos, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File for one video, else a folder.")],
    file: Annotated[Path | None, typer.Option(help="By what 'export' wrote, .safetensors.")] = None,
    study: Annotated[
        Folder | None, typer.Option(metavar="DIR|URI", parser=Folder.at, help="By a trial of this study.")
    ] = None,
    trial: Annotated[str | None, typer.Option(help="Which trial of --study.")] = None,
    leakage_at_most: Annotated[
        float | None, typer.Option(min=0, max=1, help="Or the most accurate that leaks no more than this cMAP.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="By one that nobody trains, as blur:4.")] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Its certificate, for the report; a study's own is found.")
    ] = None,
    scale: Annotated[bool, typer.Option("--scale", help="Work at the size it was trained at; looks coarser.")] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show the original on the left, to look at; not for release.")
    ] = False,
    drop_audio: Annotated[
        bool, typer.Option("--drop-audio", help="Leave out the audio, which is copied as it is otherwise: voices too.")
    ] = False,
    crf: Annotated[int, typer.Option(min=0, max=51, help="Quality of H.264, 0 is finest.")] = 20,
    chunk: Annotated[
        int | None, typer.Option(min=2, help="Frames in which detector=background looks for what moves; 32.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1; auto takes a GPU if there is one.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Anonymize videos: same size, frames, times and audio; nothing else is kept.

    anon-tune anonymize in.mp4 -o out.mp4 --file anonymizer.safetensors

    anon-tune anonymize videos -o anonymized --study runs/first
    --leakage-at-most 0.75

    Written are H.264 in .mp4, .m4v, .mov or .mkv, upright, and beside each a
    report (out.mp4.json) with the certificate if there is one. Place, device and
    other metadata, subtitles and data streams stay behind. A video that cannot be
    read is named, the others are done, and the exit code is 2.
    """
    from anon_tune.export import VideoOptions
    from anon_tune.networks import pick_device

    chosen = certified(choose(file, study, trial, leakage_at_most, method), certificate)
    if scale and chosen.clip_size is None:
        rule = "nobody knows what size it was trained at"
        raise UsageError(
            "--scale", rule, chosen.loaded.subject.name, "Leave it out, or export the trial again with its clips"
        )
    options = VideoOptions(
        crf=crf,
        drop_audio=drop_audio,
        preview=preview,
        scale=chosen.clip_size if scale else None,
        clip_frames=chunk,
        force=force,
        device=pick_device(device),
    )
    jobs = find_jobs(inputs, output)
    failed = _run_all(jobs, chosen, options)
    if len(jobs) == 1 and failed:
        raise failed[0]
    if failed:
        rule = f"{len(failed)} of {len(jobs)} videos were not anonymized"
        raise ExportError("anonymize", rule, remedy="The others are done; see above")


def find_jobs(inputs: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """Return every video with the file it becomes.

    A folder is searched with its subfolders for files that end as videos do, but for hidden ones and those
    below the output; names relative to it are kept. What is not written by its ending becomes .mp4.

    Raises:
        AnonTuneError: There are no videos, or two would become one file.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if single and not output.is_dir():
        return [(inputs[0], output)]
    if output.exists() and not output.is_dir():
        raise UsageError(str(output), "must be a folder for several videos", "a file", "Name another")
    jobs: list[tuple[Path, Path]] = []
    for given in inputs:
        for source in _videos(given, output) if given.is_dir() else [given]:
            name = source.relative_to(given) if given.is_dir() else Path(source.name)
            jobs.append((source, output / (name if name.suffix.lower() in _KEPT else name.with_suffix(".mp4"))))
    if not jobs:
        where = ", ".join(map(str, inputs))
        raise UsageError(where, "holds no file that ends as videos do", remedy="Name the files themselves")
    targets = Counter(target for _, target in jobs)
    for source, target in jobs:
        if targets[target] > 1:
            rule = f"is not the only video that would become {target}"
            raise UsageError(str(source), rule, remedy="Rename one, or take two output folders")
    return jobs


def _videos(folder: Path, output: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in _VIDEOS and path.is_file() and not hidden:
            found.append(path)
    return [path for path in found if not path.resolve().is_relative_to(output.resolve())]


def _run_all(jobs: list[tuple[Path, Path]], chosen: Chosen, options: VideoOptions) -> list[AnonTuneError]:
    """Anonymize every video; return the errors of those that could not be."""
    from anon_tune.cli.anonymize_view import VideoProgress, document
    from anon_tune.export import anonymize_video

    failed: list[AnonTuneError] = []
    for source, target in jobs:
        report = target.with_name(f"{target.name}.json")
        try:
            if report.exists() and not options.force:
                raise UsageError(str(report), "already exists", remedy="Name another file or add --force")
            with VideoProgress(source.name) as progress:
                done = anonymize_video(source, target, chosen.loaded.anonymizer, options, progress.show)
            _write(report, json.dumps(document(source, target, done, chosen, options), indent=2) + "\n")
        except AnonTuneError as error:
            failed.append(error)
            if len(jobs) > 1:
                print(f"error: {error}", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print(f"Stopped. {target} was not written; what came before is done.", file=sys.stderr)
            raise typer.Exit(130) from None
        else:
            print(target, flush=True)
    return failed


def _write(path: Path, text: str) -> None:
    try:
        File.at(path).write(text.encode())
    except OSError as error:
        raise ExportError(str(path), "cannot be written", remedy="Free the disk", cause=error.strerror) from None
