"""``anon-tune anonymize``: videos in, anonymized videos out, each with a report of what was done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from anon_tune.cli import anonymize_options as options
from anon_tune.commands.anonymize import AnonymizeOptions, AnonymizeWatch, run_anonymize
from anon_tune.errors import AnonTuneError


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
    crf: options.Crf = 20,
    chunk: options.Chunk = None,
    device: options.Device = "auto",
    force: options.Force = False,
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
    watch = _Watch()
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
        crf=crf,
        chunk=chunk,
        device=device,
        force=force,
    )
    try:
        run_anonymize(given, watch)
    except KeyboardInterrupt:
        if watch.target is None:
            raise
        print(f"Stopped. {watch.target} was not written; what came before is done.", file=sys.stderr)
        raise typer.Exit(130) from None


class _Watch(AnonymizeWatch):
    """Shows every video: a bar while it is made, then its name."""

    target: Path | None = None

    @contextmanager
    def begin(self, source: Path, target: Path) -> Iterator[Callable[[int, int], None]]:
        from anon_tune.cli.anonymize_view import VideoProgress

        self.target = target
        with VideoProgress(source.name) as progress:
            yield progress.show

    def done(self, target: Path) -> None:
        print(target, flush=True)

    def failed(self, error: AnonTuneError) -> None:
        print(f"error: {error}", file=sys.stderr, flush=True)
