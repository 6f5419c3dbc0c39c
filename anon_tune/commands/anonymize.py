"""Anonymize videos: find the files and the anonymizer, and write a report beside each output."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.commands.anonymize_report import document
from anon_tune.commands.anonymize_subject import Chosen, certified, choose
from anon_tune.errors import AnonTuneError, DataError, ExportError, UsageError
from anon_tune.folder import File, Folder
from anon_tune.video.folder_files import files_below, is_video, left_out, printable

if TYPE_CHECKING:
    from anon_tune.clips.keypoint_file import KeyPoints
    from anon_tune.export import VideoOptions

_NAME_MAX = 255  # bytes, on the file systems of Linux and macOS
_KEPT = (".mp4", ".m4v", ".mov", ".mkv")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizeOptions:
    """The options of ``anon-tune anonymize``.

    Attributes:
        inputs: Videos, or folders of videos.
        output: Output file for one video, or output folder.
        file: Use this anonymizer file, written by ``export``.
        study: Or use a trial of this study.
        trial: Id of that trial.
        leakage_at_most: Or use the most accurate trial of the study that leaks no more than this cMAP, in [0, 1].
        method: Or use a closed-form anonymizer, such as ``blur:4``.
        certificate: Certificate of the anonymizer, for the report; None for the one in the study, if any.
        scale: Anonymize at the size the anonymizer was trained at, then enlarge.
        preview: Show the original to the left of the result.
        drop_audio: Leave out the audio.
        encode_audio: Encode audio as AAC if the output cannot hold it as it is.
        accept_damage: Continue if damage is only suspected, and describe it in the report.
        ending: Suffix of the outputs in a folder; None for the input's suffix, or .mp4 if that cannot be written.
        crf: Quality of H.264, 0 (finest) to 51.
        chunk: Frames per chunk for a method that looks at whole clips; None for the length of the clips that the
            anonymizer was trained on, or 32 if that is unknown.
        keypoints: File with key points of the people in the videos, for a method that has a use for them.
        device: auto, cpu, cuda or cuda:1.
        force: Replace existing files.
        allow_external: Run the program that a method ``external:COMMAND`` names.
    """

    inputs: Sequence[Path]
    output: Path
    file: Path | None = None
    study: Folder | None = None
    trial: str | None = None
    leakage_at_most: float | None = None
    method: str | None = None
    certificate: Path | None = None
    scale: bool = False
    preview: bool = False
    drop_audio: bool = False
    encode_audio: bool = False
    accept_damage: bool = False
    ending: str | None = None
    crf: int = 20
    chunk: int | None = None
    keypoints: Path | None = None
    device: str = "auto"
    force: bool = False
    allow_external: bool = False


class AnonymizeWatch:
    """Receives the progress of anonymizing videos. This class shows nothing; override the methods you need."""

    def begin(self, source: Path, target: Path) -> AbstractContextManager[Callable[[int, int], None]]:
        """Called before each video. Yield a function to be called with frames done and total frames (0 if unknown)."""
        return nullcontext(lambda done, total: None)

    def left_out(self, folder: Path, said: str) -> None:
        """Called for a folder with files whose suffix is not that of a video; `said` tells how many there are."""

    def without_keypoints(self, said: str) -> None:
        """Called once, if the file of key points does not know some of the videos; `said` tells how many."""

    def told(self, promise: str) -> None:
        """Called once, if the method keeps differential privacy: what it protects."""

    def done(self, target: Path) -> None:
        """Called after a video was written."""

    def failed(self, error: AnonTuneError) -> None:
        """Called with the error if one of several videos could not be anonymized."""


def run_anonymize(options: AnonymizeOptions, watch: AnonymizeWatch) -> list[Path]:
    """Anonymize videos and return the files that were written. A report is written beside each of them.

    Raises:
        UsageError: Options that do not go together, or no video.
        ExportError: A video could not be anonymized. The others are done.
    """
    from anon_tune.export import VideoOptions
    from anon_tune.methods import release_of
    from anon_tune.methods.external.permission import external_allowed
    from anon_tune.networks import pick_device

    with external_allowed(options.allow_external):
        chosen = choose(options.file, options.study, options.trial, options.leakage_at_most, options.method)
    chosen = certified(chosen, options.certificate)
    if options.scale and chosen.clip_size is None:
        rule = "needs an anonymizer whose training size is known"
        raise UsageError(
            "--scale", rule, chosen.loaded.subject.name, "Leave it out, or export the trial again with its clips"
        )
    points = _keypoints(options, chosen)
    how = VideoOptions(
        crf=options.crf,
        drop_audio=options.drop_audio,
        encode_audio=options.encode_audio,
        accept_damage=options.accept_damage,
        preview=options.preview,
        scale=chosen.clip_size if options.scale else None,
        clip_frames=options.chunk or chosen.clip_frames,
        force=options.force,
        device=pick_device(options.device),
    )
    jobs = find_jobs(options.inputs, options.output, options.ending, watch)
    names = [_name(source, options.inputs) for source, _ in jobs]
    if points is not None:
        _check_named(points, names, chosen, watch)
    if promise := release_of(chosen.loaded.subject.method):
        watch.told(promise)
    failed: list[AnonTuneError] = []
    for (source, target), name in zip(jobs, names, strict=True):
        try:
            known = replace(how, keypoints=partial(points.of, name)) if points and points.has(name) else how
            _anonymize_one(source, name, target, chosen, known, watch)
        except AnonTuneError as error:
            if len(jobs) == 1:
                raise
            failed.append(error)
            watch.failed(error)
        else:
            watch.done(target)
    if failed:
        rule = f"{len(failed)} of {len(jobs)} videos were not anonymized"
        remedy = "The others are done; see above" if len(failed) < len(jobs) else "See above"
        raise ExportError("anonymize", rule, remedy=remedy)
    return [target for _, target in jobs]


def _keypoints(options: AnonymizeOptions, chosen: Chosen) -> KeyPoints | None:
    """Read the key points of the videos.

    Raises:
        UsageError: There are some but the anonymizer has no use for them, or it needs some and there are none.
        DataError: The file cannot be read.
    """
    from anon_tune.methods import find
    from anon_tune.methods.clip_needs import check_keypoints_known

    if options.keypoints is None:
        check_keypoints_known(chosen.loaded.subject.method, False, "anonymize")
        return None
    method = chosen.loaded.subject.method
    if not chosen.loaded.anonymizer.uses_keypoints or find(method).values.get("pose") == "silhouette":
        raise UsageError("--keypoints", "needs a method that moves figures by them", method, "Use the method avatar")
    from anon_tune.clips.keypoint_file import read_keypoints

    return read_keypoints(options.keypoints)


def _check_named(points: KeyPoints, names: Sequence[str], chosen: Chosen, watch: AnonymizeWatch) -> None:
    """Tell of videos without key points, or refuse them if the method uses nothing else: people would stay visible.

    Raises:
        DataError: The method needs key points, and some videos have none; or no video has any.
    """
    from anon_tune.methods import find

    points.check(names)
    if said := points.missing(names):
        if find(chosen.loaded.subject.method).values.get("pose") == "keypoints":
            remedy = "Name videos by their path in the folder that is read, or write pose=any"
            raise DataError(printable(points.path), said, remedy=remedy)
        watch.without_keypoints(f"{printable(points.path)}: {said}. Silhouettes are used instead; check the results.")


def _name(source: Path, inputs: Sequence[Path]) -> str:
    """Return the path of a video in the folder that was given, or its name."""
    folder = next((given for given in inputs if given.is_dir() and source.is_relative_to(given)), source.parent)
    return source.relative_to(folder).as_posix()


def _anonymize_one(
    source: Path, name: str, target: Path, chosen: Chosen, options: VideoOptions, watch: AnonymizeWatch
) -> None:
    from anon_tune.export import anonymize_video

    report = target.with_name(f"{target.name}.json")
    _check_length(target, report, "the name of its report")
    if report.exists() and not options.force:
        raise UsageError(printable(report), "already exists", remedy="Name another file or add --force")
    with watch.begin(source, target) as show:
        done = anonymize_video(source, target, chosen.loaded.anonymizer, options, show)
    _write(report, json.dumps(document(name, target, done, chosen, options), indent=2) + "\n")


def _check_length(output: Path, written: Path, what: str) -> None:
    """Refuse an output if a file or folder that is written for it would have too long a name. Nothing is written yet.

    Args:
        output: The output, for errors.
        written: The path to be written.
        what: What has the name, in words.
    """
    num_bytes = max((len(os.fsencode(part)) for part in written.parts), default=0)
    if num_bytes > _NAME_MAX:
        rule, remedy = f"{what} must have at most {_NAME_MAX} bytes", "Name a shorter output with -o"
        raise UsageError(printable(output), rule, num_bytes, f"{remedy}, or rename the input")


def find_jobs(
    inputs: Sequence[Path], output: Path, ending: str | None, watch: AnonymizeWatch
) -> list[tuple[Path, Path]]:
    """Return every input video with its output file.

    Folders are searched by `files_below` for files with the suffix of a video; files below the output folder are
    skipped. Outputs keep their path relative to the searched folder. They also keep their suffix, if it can be written
    and no other is asked for.

    Raises:
        UsageError: There are no videos, two videos have the same output file, or the output's name is too long.
    """
    if ending is not None and ending not in _KEPT:
        raise UsageError("--ending", f"must be one of {', '.join(_KEPT)}", ending, "The default is .mp4")
    _check_length(output, output, "a name")  # before the file system is asked, which raises its own error
    single = len(inputs) == 1 and not inputs[0].is_dir()
    if single and not output.is_dir():
        return [(inputs[0], output)]
    if output.exists() and not output.is_dir():
        raise UsageError(printable(output), "must be a folder for several videos", "a file", "Name a folder with -o")
    jobs: list[tuple[Path, Path]] = []
    for given in inputs:
        if given.is_dir() and _is_below(given, output):
            rule = f"must not hold the folder of the input {printable(given)}"
            raise UsageError(printable(output), rule, remedy="Name another folder with -o")
        for source in _videos(given, output, watch) if given.is_dir() else [given]:
            name = source.relative_to(given) if given.is_dir() else Path(source.name)
            kept = name.suffix.lower() in _KEPT and ending in (None, name.suffix.lower())
            jobs.append((source, output / (name if kept else name.with_suffix(ending or ".mp4"))))
    if not jobs:
        where = ", ".join(map(printable, inputs))
        raise UsageError(where, "holds no file with the suffix of a video", remedy="Name the files themselves")
    targets = Counter(target for _, target in jobs)
    for source, target in jobs:
        if targets[target] > 1:
            rule = f"is not the only video that would become {printable(target)}"
            raise UsageError(printable(source), rule, remedy="Rename one of them, or use two output folders")
    return jobs


def _videos(folder: Path, output: Path, watch: AnonymizeWatch) -> list[Path]:
    files = [file for file in files_below(folder) if not _is_below(folder / file, output)]
    if said := left_out(file for file in files if not is_video(file)):
        watch.left_out(folder, said)
    return [folder / file for file in files if is_video(file)]


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _write(path: Path, text: str) -> None:
    try:
        File.at(path).write(text.encode())
    except OSError as error:
        remedy = "Free space, or choose another folder with -o"
        raise ExportError(printable(path), "cannot be written", remedy=remedy, cause=error.strerror) from None
