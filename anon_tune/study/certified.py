"""The certificates of a study's trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anon_tune.certificate import Certificate, read_certificate
from anon_tune.errors import DataError
from anon_tune.recipe import MEASURE_VERSION, Recipe
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import Trial


def certificates_of(directory: StudyLocation, trials: Sequence[Trial]) -> dict[str, Certificate]:
    """Return the certificates whose numbers hold for these trials, by trial id: those of `all_certificates_of`
    without the REFUSED ones.
    """
    found = all_certificates_of(directory, trials)
    return {trial_id: one for trial_id, one in found.items() if one.status != "REFUSED"}


def all_certificates_of(directory: StudyLocation, trials: Sequence[Trial]) -> dict[str, Certificate]:
    """Return the certificates of these trials, by trial id, with any status.

    Left out are certificates of another version of the measurement or of another anonymizer than the trial's, and
    files that cannot be read.
    """
    study, by_id = StudyDirectory.at(directory), {trial.id: trial for trial in trials}
    found: dict[str, Certificate] = {}
    for trial_id, file in study.certificates():
        trial = by_id.get(trial_id)
        if trial is None:
            continue
        try:
            with file.reading() as path:
                certificate = read_certificate(path)
        except DataError:
            continue
        if _holds(certificate, trial):
            found[trial_id] = certificate
    return found


def has_effort(
    certificate: Certificate, effort: Mapping[str, float | int | str], usual: Mapping[str, float | int | str]
) -> bool:
    """True if a certificate was measured with this effort, or with the same and more seeds.

    Args:
        certificate: A certificate, perhaps of an earlier version, which did not tell all values.
        effort: The effort that is asked for.
        usual: The effort by default, which stands for values that the certificate does not tell.
    """
    seeds, other = "num_seeds", {**usual, **certificate.effort}
    return {**other, seeds: 0} == {**effort, seeds: 0} and int(other[seeds]) >= int(effort[seeds])


def is_whole(certificate: Certificate, recipe: Recipe) -> bool:
    """True unless the training was private and the certificate is from a version that did not attack it."""
    return certificate.membership is not None or not recipe.dp.is_on


def _holds(certificate: Certificate, trial: Trial) -> bool:
    return certificate.measure_version == MEASURE_VERSION and certificate.subject.fingerprint == trial.fingerprint
