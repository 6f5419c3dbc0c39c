"""What is told of an anonymized video: progress while it is made, and the report beside it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anon_tune
from anon_tune.cli.anonymize_subject import Chosen

if TYPE_CHECKING:
    from anon_tune.export import AnonymizedVideo, VideoOptions

_LINE_S = 5.0  # between two lines of progress where no bar can be drawn


def document(
    source: Path, target: Path, done: AnonymizedVideo, chosen: Chosen, options: VideoOptions
) -> dict[str, Any]:
    """Return the report of one video; fractions are in [0, 1]."""
    facts, busy = done.source, sum(done.busy_s.values()) or 1.0
    certificate = chosen.certificate
    return {
        "schema": "anon_tune.anonymized/1",
        "anon_tune": anon_tune.__version__,
        "input": {
            "file": str(source),
            "container": facts.container,
            "codec": facts.codec,
            "height": facts.height,
            "width": facts.width,
            "quarter_turns": facts.quarters,
            "fps": facts.fps,
            "seconds": facts.seconds,
            "audio": list(facts.audio),
            "other_streams": list(facts.other),
        },
        "output": {
            "file": str(target),
            "codec": "h264",
            "crf": options.crf,
            "height": done.height,
            "width": done.width,
            "num_frames": done.num_frames,
            "audio": "none" if options.drop_audio or not facts.audio else "copied; voices are not anonymized",
            "shows_original": options.preview,
        },
        "anonymizer": {
            "kind": chosen.loaded.subject.kind,
            "name": chosen.loaded.subject.name,
            "method": chosen.loaded.subject.method,
            "fingerprint": chosen.loaded.subject.fingerprint,
            "height": done.worked_at[0],
            "width": done.worked_at[1],
            "trained_at": chosen.clip_size,
            "frames_at_once": done.chunk,
            "device": str(options.device),
            "model_card": chosen.loaded.card,
        },
        "seconds": done.seconds,
        "fps": done.num_frames / done.seconds,
        "share_of_time": {name: seconds / busy for name, seconds in done.busy_s.items()},
        "limits": _limits(done, chosen),
        "certificate": None if certificate is None else json.loads(certificate.to_json()),
        "measured": "Nothing was measured: no certificate of this anonymizer is at hand. See 'anon-tune audit'."
        if certificate is None
        else "The certificate is of this anonymizer on the clips it names; nothing was measured on this video.",
    }


def _limits(done: AnonymizedVideo, chosen: Chosen) -> list[str]:
    limits = []
    if chosen.loaded.subject.method.startswith(("person-", "area-")):
        limits.append("Where the detector finds nobody, frames are left as they are; look at the result.")
    if chosen.clip_size not in (None, done.worked_at):
        limits.append("It worked at another size than it was trained and measured at; --scale takes that one.")
    return limits


class VideoProgress:
    """Frames done, frames a second and time left: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._name, self._started, self._said = name, time.monotonic(), time.monotonic()
        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[fps]:.1f} fps"), TimeRemainingColumn())
        text = TextColumn("{task.description}", markup=False)
        self._bar = Progress(text, *columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(name, total=None, fps=0.0)

    def __enter__(self) -> VideoProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Show frames done of all, 0 if nobody knows how many."""
        now = time.monotonic()
        fps = done / max(now - self._started, 1e-9)
        if not self._bar.disable:
            self._bar.update(self._task, completed=done, total=total or None, fps=fps)
        elif now - self._said >= _LINE_S:
            self._said = now
            left = f", about {time.strftime('%H:%M:%S', time.gmtime(max(0, total - done) / fps))} left" if total else ""
            of = f" of {total}" if total else ""
            print(f"{self._name}: {done}{of} frames, {fps:.1f} a second{left}", file=sys.stderr, flush=True)
