"""The JSON report that is written beside an anonymized video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anon_tune
from anon_tune.commands.anonymize_subject import Chosen
from anon_tune.video.folder_files import printable

if TYPE_CHECKING:
    from anon_tune.export import AnonymizedVideo, VideoOptions


def document(name: str, target: Path, done: AnonymizedVideo, chosen: Chosen, options: VideoOptions) -> dict[str, Any]:
    """Return the report of one video; fractions are in [0, 1].

    It lies beside a video that may be released, so it does not name the folders of this machine.

    Args:
        name: Path of the input in the folder that was given, or its name.
        target: The output.
        done: The result.
        chosen: The anonymizer.
        options: How it was applied.
    """
    facts, busy = done.source, sum(done.busy_s.values()) or 1.0
    certificate = chosen.certificate
    return {
        "schema": "anon_tune.anonymized/1",
        "anon_tune": anon_tune.__version__,
        "input": {
            "file": printable(name),
            "container": facts.container,
            "codec": facts.codec,
            "height": facts.height,
            "width": facts.width,
            "quarter_turns": facts.orientation.quarters,
            "mirrored": facts.orientation.mirrored,
            "interlaced": done.interlaced,
            "bits": facts.bits,
            "hdr": facts.hdr,
            "alpha": facts.alpha,
            "fps": facts.fps,
            "seconds": facts.seconds,
            "audio": list(facts.audio),
            "other_streams": list(facts.other),
            "damage": list(done.damage),
        },
        "output": {
            "file": printable(target.name),
            "codec": "h264",
            "crf": options.crf,
            "height": done.height,
            "width": done.width,
            "num_frames": done.num_frames,
            "audio": _audio(done, options),
            "shows_original": options.preview,
        },
        "anonymizer": _anonymizer(done, chosen, options),
        "private_release": _promise(chosen),
        "seconds": done.seconds,
        "fps": done.num_frames / done.seconds,
        "share_of_time": {name: seconds / busy for name, seconds in done.busy_s.items()},
        "limits": _limits(done, chosen),
        "certificate": None if certificate is None else json.loads(certificate.to_json()),
        "measured": "Nothing was measured: no certificate of this anonymizer was given or found. See 'anon-tune audit'."
        if certificate is None
        else "The certificate is of this anonymizer on the clips that it names. Nothing was measured on this video.",
    }


def _anonymizer(done: AnonymizedVideo, chosen: Chosen, options: VideoOptions) -> dict[str, Any]:
    return {
        "kind": chosen.loaded.subject.kind,
        "name": chosen.loaded.subject.name,
        "method": chosen.loaded.subject.method,
        "fingerprint": chosen.loaded.subject.fingerprint,
        "height": done.worked_at[0],
        "width": done.worked_at[1],
        "trained_at": chosen.clip_size,
        "frames_at_once": done.chunk,
        "keypoints": options.keypoints is not None,
        "device": str(options.device),
        "model_card": chosen.loaded.card,
    }


def _promise(chosen: Chosen) -> str | None:
    from anon_tune.methods import release_of

    return release_of(chosen.loaded.subject.method) or None


def _audio(done: AnonymizedVideo, options: VideoOptions) -> str:
    if options.drop_audio or not done.source.audio:
        return "none"
    how = f"encoded again as AAC ({', '.join(done.encoded_audio)})" if done.encoded_audio else "copied"
    return f"{how}; voices are not anonymized"


def _limits(done: AnonymizedVideo, chosen: Chosen) -> list[str]:
    from anon_tune.methods import find

    limits, facts = [], done.source
    if chosen.loaded.anonymizer.uses_keypoints:
        limits.append(
            "The background is the mean of the frames. Whom neither the detector nor key points find stays visible in "
            "it while they are still; check the result."
        )
    elif "persons" in find(chosen.loaded.subject.method).spec.needs:
        limits.append("If the detector finds no one in a frame, the frame is left unchanged; check the result.")
    if chosen.clip_size not in (None, done.worked_at):
        limits.append(
            "The anonymizer ran at another size than the one it was trained and measured at. --scale uses that size."
        )
    if done.interlaced:
        limits.append("The input is interlaced. It was deinterlaced, so each output frame is a whole picture.")
    if facts.hdr:
        limits.append(
            f"The input is HDR ({facts.hdr}, {facts.bits} bits). The output is marked as {facts.hdr} too, but has "
            "8 bits, so that gradients may show bands; HDR metadata is dropped."
        )
    elif facts.bits > 8:
        limits.append(f"The input has {facts.bits} bits per sample; the output has 8.")
    if facts.alpha:
        limits.append("The input has an alpha channel. The output has none: what was transparent is now visible.")
    if done.damage:
        limits.append("Damage was suspected and accepted: frames may be missing or wrong; see input.damage.")
    return limits
