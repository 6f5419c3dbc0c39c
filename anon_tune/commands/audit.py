"""An audit from start to end: find the subject, anonymize and encode clips, get the baseline, write the certificate."""

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
    """Audit the anonymizer that the options name, and write the certificate to the output they name.

    The certificate of a trial is also written into its study.

    Raises:
        UsageError: Options that do not go together, or a value in `set` that `AuditRecipe` does not allow.
        DataError: Clips cannot be used, or there are too few for a measurement.
        StudyError: There is no such trial, or it has no weights.
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
    """Check at the start that the file can be written, so that an hour of work is not lost at the end."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise UsageError(str(file), "must be a file", "a folder", "Name another file")
        tempfile.TemporaryFile(dir=file.parent).close()
    except OSError as error:
        raise UsageError(str(file), "cannot be written", remedy="Name another place", cause=error.strerror) from None


def _effort(options: AuditOptions) -> AuditRecipe:
    given = {"num_seeds": options.seeds, "codec": options.codec, "crf": options.crf}
    # These options take precedence over the same names under --set.
    params = {**options.set, **{name: value for name, value in given.items() if value is not None}}
    effort = AuditRecipe.from_params(params, "--set")
    check_attackers(effort.attackers, "--set")
    if options.crf is not None and not effort.codec:
        raise UsageError("--crf", "needs a codec", options.crf, "Add --codec h264")
    return effort


def _usable_cache(given: Path | None, default: Path) -> Path | None:
    """Return the first usable folder for baselines: the given one, the default, or the user's cache; None if none."""
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
    """Audit an anonymizer, or clips that another tool anonymized.

    The baseline is measured on raw clips. It is computed once for the same clips, effort and version, and is kept in
    `cache` as soon as it is complete. Later audits on the same clips reuse it, and so does an audit that was
    interrupted.

    Args:
        anonymized: f_A, or a clip store with the same rows, labels and splits as `clips`.
        clips: The raw clips, with the splits train, val and test.
        clips_name: The name by which the user gave the clips.
        subject: What is audited.
        effort: How long attackers train, and the codec.
        cache: Directory that keeps baselines; None to keep none.
        device: Where to compute.
        progress: Called with the current task, its steps done and its total steps.
        extra_attackers: Attackers that the method adds to those of the effort.
        attacker_inputs: Computes what these attackers get in addition to frames; None if they get frames only.

    Raises:
        DataError: There are too few clips, or too few positives of an attribute, for a measurement.
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
        # The digest is of the clips after the codec, whose output may change with the codec's version.
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
    """Load a cached baseline. A file whose digest is wrong is deleted, so that the baseline is computed again."""
    for file in sorted(cache.glob(f"baseline-{key}-*.safetensors")):
        if file.stem.endswith(f"-{_digest(file)}"):
            return Baseline.load(file)
        file.unlink(missing_ok=True)
    return None


def _keep(baseline: Baseline, cache: Path, key: str) -> None:
    """Write a baseline under a name with its digest, so that a partial or damaged file is never used."""
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        made = Path(scratch) / "baseline.safetensors"
        baseline.save(made)
        File.at(cache / f"baseline-{key}-{_digest(made)}.safetensors").write(made.read_bytes())


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
