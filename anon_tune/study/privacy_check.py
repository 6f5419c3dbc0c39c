"""The outcome of the last Monte Carlo check of a study's privacy claim, kept beside its results.

The page, model cards and exports read it, so that a claim which was refused is released by none of them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from anon_tune.accounting import Verdict
from anon_tune.study.privacy import StudyPrivacy
from anon_tune.study_directory import StudyDirectory, StudyLocation


def keep_verdict(directory: StudyLocation, privacy: StudyPrivacy, verdict: Verdict) -> None:
    """Keep the outcome of a check of a claim, in the place of an earlier one."""
    kept = {"claim": _claim_of(privacy), "verdict": asdict(verdict)}
    StudyDirectory.at(directory).privacy_check.write(json.dumps(kept).encode())


def with_kept_check(directory: StudyLocation, privacy: StudyPrivacy) -> StudyPrivacy:
    """Return a claim with the outcome of its last check, if it was checked; it is refused if that cannot be read."""
    file = StudyDirectory.at(directory).privacy_check
    if not file.exists():
        return privacy
    try:
        kept = json.loads(file.read())
        return privacy.checked(Verdict(**kept["verdict"])) if kept["claim"] == _claim_of(privacy) else privacy
    except (KeyError, TypeError, ValueError):
        refused = f"{file} cannot be read; check the claim again with 'anon-tune privacy --verify'"
        return replace(privacy, refused=privacy.refused or refused)


def _claim_of(privacy: StudyPrivacy) -> list[object]:
    runs = sorted([phase.rate, phase.noise_multiplier, phase.num_updates] for phase in privacy.phases)
    return [privacy.epsilon, privacy.delta, runs]
