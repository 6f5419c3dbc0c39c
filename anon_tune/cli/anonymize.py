"""``anon-tune anonymize``: anonymize videos, and write a report beside each."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from anon_tune.cli import anonymize_options as options
from anon_tune.cli.clips_options import KeyPoints
from anon_tune.cli.study_options import AllowExternal
from anon_tune.commands.anonymize import AnonymizeOptions, AnonymizeWatch, run_anonymize
from anon_tune.errors import AnonTuneError
from anon_tune.video.folder_files import printable


def anonymize(
    inputs: options.Inputs,
    output: options.Output,
    file: options.File = None,
    study: options.Study = None,
    trial: options.Trial = None,
    leakage_at_most: options.LeakageAtMost = None,
    method: options.Method = None,
    certificate: options.Certificate = None,
    scale: options.Scale = False,
    preview: options.Preview = False,
    drop_audio: options.DropAudio = False,
    encode_audio: options.EncodeAudio = False,
    accept_damage: options.AcceptDamage = False,
    ending: options.Ending = None,
    crf: options.Crf = 20,
    chunk: options.Chunk = None,
    keypoints: KeyPoints = None,
    device: options.Device = "auto",
    force: options.Force = False,
    allow_external: AllowExternal = False,
) -> None:
    """Anonymize videos. Frame size, number of frames, timestamps and audio stay the same.

    anon-tune anonymize in.mp4 -o out.mp4 --file anonymizer.safetensors

    anon-tune anonymize videos -o anonymized --study runs/first
    --leakage-at-most 0.75

    Writes upright H.264 in .mp4, .m4v, .mov or .mkv. Beside each video it writes a report
    (out.mp4.json), with the certificate if there is one. The report names the input and
    the training clips, so read it before you publish it. Location, device and other
    metadata, subtitles and data streams are dropped. If a video cannot be read, the
    command reports it, anonymizes the others, and exits with 2.
    """
    given = AnonymizeOptions(
        inputs=inputs,
        output=output,
        file=file,
        study=study,
        trial=trial,
        leakage_at_most=leakage_at_most,
        method=method,
        certificate=certificate,
        scale=scale,
        preview=preview,
        drop_audio=drop_audio,
        encode_audio=encode_audio,
        accept_damage=accept_damage,
        ending=ending,
        crf=crf,
        chunk=chunk,
        keypoints=keypoints,
        device=device,
        force=force,
        allow_external=allow_external,
    )
    _run(given)


def _run(given: AnonymizeOptions) -> None:
    watch = _Watch()
    # Otherwise a time limit of Slurm or a stop of a container would leave the unfinished file, hidden and for ever.
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        run_anonymize(given, watch)
    except (KeyboardInterrupt, _TerminatedError) as stop:
        is_terminated = isinstance(stop, _TerminatedError)
        if watch.target is not None:
            said = f"{printable(watch.target)} was not written; the videos before it are complete."
            print(f"Stopped. {said}", file=sys.stderr)
        elif not is_terminated:
            raise
        raise typer.Exit(143 if is_terminated else 130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _TerminatedError(BaseException):
    """The process was told to end, by SIGTERM."""


def _raise_terminated(number: int, frame: object) -> None:
    raise _TerminatedError


class _Watch(AnonymizeWatch):
    """Shows a progress bar for each video, then the name of its output."""

    target: Path | None = None

    @contextmanager
    def begin(self, source: Path, target: Path) -> Iterator[Callable[[int, int], None]]:
        from anon_tune.cli.anonymize_view import VideoProgress

        self.target = target
        with VideoProgress(printable(source.name)) as progress:
            yield progress.show

    def left_out(self, folder: Path, said: str) -> None:
        print(f"{printable(folder)}: {said}. To include one, name it as an input.", file=sys.stderr, flush=True)

    def without_keypoints(self, said: str) -> None:
        print(said, file=sys.stderr, flush=True)

    def told(self, promise: str) -> None:
        print(promise, file=sys.stderr, flush=True)

    def done(self, target: Path) -> None:
        print(printable(target), flush=True)

    def failed(self, error: AnonTuneError) -> None:
        print(f"error: {error}", file=sys.stderr, flush=True)
