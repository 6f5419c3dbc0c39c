"""An audit from start to end: what it is of, clips through the anonymizer and the codec, the cached baseline, the
certificate."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

import anon_tune
from anon_tune.attackers import AttackerInputs, AttackerSpec, check_attackers
from anon_tune.certificate import Certificate, Subject
from anon_tune.clips import Clips, ClipSet, round_trip_split
from anon_tune.clips.manifest import SPLITS
from anon_tune.clips.node_cache import user_cache
from anon_tune.commands.audit_options import AuditOptions, check_options
from anon_tune.commands.audit_subject import find_case
from anon_tune.commands.watch import AuditWatch
from anon_tune.errors import UsageError
from anon_tune.evaluation import Baseline, anonymize_split, certify, count_data, make_baseline
from anon_tune.evaluation.baseline import FORM, digest
from anon_tune.folder import File
from anon_tune.methods import attackers_of
from anon_tune.networks import Anonymizer, pick_device
from anon_tune.recipe import AuditRecipe

Progress = Callable[[str, int, int], None]


def run_audit(options: AuditOptions, watch: AuditWatch) -> Certificate:
    """Audit what options name, and write the certificate where they say, and a trial's into its study.

    Raises:
        UsageError: Options that do not go together, or an effort that no recipe allows.
        DataError: Clips cannot be used, or are too few to be told anything.
        StudyError: There is no such trial, or it has left no weights.
    """
    check_options(options)
    effort = _effort(options)
    if options.output is not None:
        check_writable(options.output)
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        case = find_case(options, Path(scratch), watch)
        if case.kept is not None and not case.kept.folder.is_remote:
            check_writable(case.kept.path)
        device = pick_device(options.device)
        cache = _usable_cache(options.cache, case.cache)
        watch.cached(cache)
        certificate = audit(
            case.anonymized,
            case.clips,
            case.clips_name,
            case.subject,
            effort,
            cache,
            device,
            watch.measured,
            *(attackers_of(case.recipe) if case.recipe else ()),
        )
        document = certificate.to_json().encode()
        if options.output is not None:
            File.at(options.output).write(document)
        if case.kept is not None:
            case.kept.write(document)
    return certificate


def check_writable(file: Path) -> None:
    """Refuse now what could not be written after an hour of work."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise UsageError(str(file), "must be a file", "a folder", "Name another")
        tempfile.TemporaryFile(dir=file.parent).close()
    except OSError as error:
        raise UsageError(str(file), "cannot be written", remedy="Name another place", cause=error.strerror) from None


def _effort(options: AuditOptions) -> AuditRecipe:
    given = {"num_seeds": options.seeds, "codec": options.codec, "crf": options.crf}
    # They count more than the same name under --set.
    params = {**options.set, **{name: value for name, value in given.items() if value is not None}}
    effort = AuditRecipe.from_params(params, "--set")
    check_attackers(effort.attackers, "--set")
    if options.crf is not None and not effort.codec:
        raise UsageError("--crf", "needs a codec", options.crf, "Add --codec h264")
    return effort


def _usable_cache(given: Path | None, default: Path) -> Path | None:
    """Return where baselines go: the user's folder, or the default, or the user's cache; None if all are read-only."""
    if given is not None:
        check_writable(given / "baseline")
        return given
    for folder in (default, user_cache()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def audit(
    anonymized: Anonymizer | Clips,
    clips: Clips,
    clips_name: str,
    subject: Subject,
    effort: AuditRecipe,
    cache: Path | None,
    device: torch.device,
    progress: Progress,
    extra_attackers: Sequence[str | AttackerSpec] = (),
    attacker_inputs: AttackerInputs | None = None,
) -> Certificate:
    """Audit an anonymizer, or clips that some other tool anonymized.

    What raw clips teach is computed once for clips, effort and version, and kept in `cache` as soon as it
    is there: an audit that is stopped later, or another one on the same clips, goes on from it.

    Args:
        anonymized: f_A, or a clip store with the same rows, labels and splits as `clips`.
        clips: The raw clips, with the splits train, val and test.
        clips_name: As a user names them.
        subject: What is audited.
        effort: What attackers may spend, and the codec.
        cache: Directory of baselines; None keeps none.
        device: Where to compute.
        progress: Called with what is done, steps done and steps in all.
        extra_attackers: Attackers of the method itself, in addition to those of the effort.
        attacker_inputs: What they get besides the frames; None for nothing.

    Raises:
        DataError: Clips or positives are too few to be told anything.
    """
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        folder = Path(scratch)
        raw = {name: clips.split(name) for name in SPLITS}
        codec = f"{effort.codec}, crf {effort.crf}" if effort.codec else ""
        data = count_data(raw, clips_name, clips.fingerprint, clips.attributes, clips.actions, codec)
        changed = _changed(anonymized, raw, folder, effort, device, progress, attacker_inputs)
        if effort.codec:
            raw = _through_codec(raw, folder, "raw", clips.fps, effort.crf, progress)
            changed = _through_codec(changed, folder, "anonymized", clips.fps, effort.crf, progress)
        # The digest is of what a codec left, which may change with the codec's own version.
        key = f"{clips.fingerprint}-{digest(raw)}-{effort.fingerprint()}-{Path(FORM).name}-{anon_tune.__version__}"
        baseline = _cached(cache, key) if cache else None
        if baseline is None:
            baseline = make_baseline(raw, effort, device, _named("raw clips", progress))
            if cache:
                _keep(baseline, cache, key)
        told = _named("anonymized clips", progress)
        return certify(raw, changed, baseline, subject, data, effort, device, told, extra_attackers)


def _named(stage: str, progress: Progress) -> Progress:
    return lambda what, done, total: progress(f"{stage}, {what}", done, total)


def _changed(
    anonymized: Anonymizer | Clips,
    raw: Mapping[str, ClipSet],
    folder: Path,
    effort: AuditRecipe,
    device: torch.device,
    progress: Progress,
    attacker_inputs: AttackerInputs | None,
) -> dict[str, ClipSet]:
    if isinstance(anonymized, Clips):
        return {name: anonymized.split(name) for name in SPLITS}
    changed: dict[str, ClipSet] = {}
    for at, (name, split) in enumerate(raw.items()):
        progress("anonymizing", at, len(raw))
        made = anonymize_split(anonymized, split, folder / name, effort.batch_clips, device, attacker_inputs)
        changed[name] = made.clips
    return changed


def _through_codec(
    splits: Mapping[str, ClipSet], folder: Path, what: str, fps: float, crf: int, progress: Progress
) -> dict[str, ClipSet]:
    return {
        name: round_trip_split(
            split,
            folder / f"{what}-{name}-coded",
            fps,
            crf,
            lambda done, total: progress(f"{what} clips, codec", done, total),
        )
        for name, split in splits.items()
    }


def _cached(cache: Path, key: str) -> Baseline | None:
    """Load a kept baseline; a file that is not what was written goes, so that it is made again."""
    for file in sorted(cache.glob(f"baseline-{key}-*.safetensors")):
        if file.stem.endswith(f"-{_digest(file)}"):
            return Baseline.load(file)
        file.unlink(missing_ok=True)
    return None


def _keep(baseline: Baseline, cache: Path, key: str) -> None:
    """Write a baseline under a name that holds its digest: half a file, or a damaged one, is never taken."""
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        made = Path(scratch) / "baseline.safetensors"
        baseline.save(made)
        File.at(cache / f"baseline-{key}-{_digest(made)}.safetensors").write(made.read_bytes())


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
