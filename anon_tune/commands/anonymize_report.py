"""The JSON report that is written beside an anonymized video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anon_tune
from anon_tune.commands.anonymize_subject import Chosen

if TYPE_CHECKING:
    from anon_tune.export import AnonymizedVideo, VideoOptions


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
    from anon_tune.methods import find

    limits = []
    if "persons" in find(chosen.loaded.subject.method).spec.needs:
        limits.append("If the detector finds no one in a frame, the frame is left unchanged; check the result.")
    if chosen.clip_size not in (None, done.worked_at):
        limits.append("It ran at another size than the one it was trained and measured at; --scale uses that size.")
    return limits
