"""An audit as the command runs it: check the options, find the subject, write the certificate."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from anon_tune.attackers import check_attackers
from anon_tune.attackers.by_size import audit_by_size
from anon_tune.certificate import Certificate
from anon_tune.clips.node_cache import user_cache
from anon_tune.commands.audit_options import AuditOptions, check_options
from anon_tune.commands.audit_subject import Case, find_case
from anon_tune.commands.watch import AuditWatch
from anon_tune.errors import UsageError
from anon_tune.evaluation import Audit
from anon_tune.folder import File, Folder, make_folder
from anon_tune.methods import attackers_of
from anon_tune.methods.external.permission import external_allowed
from anon_tune.networks import pick_device
from anon_tune.networks.weights import read_pretrained
from anon_tune.recipe import AuditRecipe
from anon_tune.training import check_task
from anon_tune.training.trial_run import check_measuring_networks, shape_for_classifier


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
        with external_allowed(options.allow_external):
            case = find_case(options, Path(scratch), watch)
        effort = _of_task(effort, case)
        check_task(effort.task, effort.segments, case.clips, "audit")
        if case.kept is not None and not case.kept.folder.is_remote:
            check_writable(case.kept.path)
        device = pick_device(options.device)
        cache = _usable_cache(options.cache, case.cache)
        watch.cached(cache)
        kept = None if cache is None else Folder.at(cache)
        effort = audit_by_size(effort, *case.clips.shape[1:3])
        _check_networks(effort, case.clips.shape)
        audit = Audit(case.clips, case.clips_name, effort, kept, device, watch.measured)
        extra = attackers_of(case.recipe) if case.recipe else ()
        certificate = audit.of(case.anonymized, case.subject, *extra)
        if case.kept is not None and case.recipe is not None:  # a trial, whose training clips these are
            certificate = audit.with_membership(certificate, case.recipe)
        document = certificate.to_json().encode()
        if options.output is not None:
            File.at(options.output).write(document)
        if case.kept is not None:
            case.kept.write(document)
    return certificate


def check_writable(file: Path) -> None:
    """Check at the start that the file can be written, so that an hour of work is not lost at the end."""
    try:
        make_folder(file.parent)
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


def _of_task(effort: AuditRecipe, case: Case) -> AuditRecipe:
    """Return the effort for the task of the subject; what the user set stays, unless the subject is a trial."""
    if case.recipe is None:
        return effort
    asked = {"task", "segments"} & effort.model_fields_set if case.kept is None else set[str]()
    found = effort.of_task(case.recipe.utility.task, case.recipe.utility.segments)
    return found.model_copy(update={name: getattr(effort, name) for name in asked})


def _check_networks(effort: AuditRecipe, clips_shape: tuple[int, ...]) -> None:
    """Check that networks of other libraries take the clips, and that files of weights fit their networks."""
    for file in effort.files.values():
        read_pretrained(file)  # of a file that is not there, or belongs to no network
    num_frames, height, width = clips_shape[:3]
    shape = num_frames, height, width
    shapes = shape, shape_for_classifier(shape, effort.task, effort.segments)
    check_measuring_networks(effort.attackers, effort.classifier, effort.files, shapes, "", "audit")


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
