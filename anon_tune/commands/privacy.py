"""The privacy statement of a study, a trial or an anonymizer file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anon_tune.accounting import verify
from anon_tune.accounting.private_run import PrivateRun
from anon_tune.commands.results import read_trials
from anon_tune.errors import StudyError, UsageError
from anon_tune.folder import Folder, is_uri
from anon_tune.study_directory import StudyDirectory, TrialDirectory

_NONE = "holds no private training that has begun, so nothing can be stated"
_TAU = 0.5


def privacy(subject: str, check: bool = False, draws: int | None = None) -> list[tuple[str, str]]:
    """Return the privacy statement of a study directory, a trial's directory or an anonymizer file.

    Args:
        subject: A path or a URI.
        check: Also check the claim of a study by Monte Carlo. A claim that is not accepted is not stated.
        draws: Number of draws of this check in each direction; None for as many as its bound asks for.

    Raises:
        UsageError: The subject was not trained privately.
        StudyError: The claim of the study was refused.
        DataError: The file cannot be read.
    """
    if not is_uri(subject) and Path(subject).is_file():
        return _of_file(Path(subject))
    weights = TrialDirectory.at(subject).weights
    if not StudyDirectory.at(subject).frozen.exists() and weights.exists():
        with weights.reading() as path:
            return _of_weights(path, subject)
    return _of_study(subject, check, draws)


def _of_study(subject: str, check: bool, draws: int | None) -> list[tuple[str, str]]:
    from anon_tune.study.privacy_check import keep_verdict
    from anon_tune.study.privacy_statement import privacy_of, statement

    study = StudyDirectory.at(Folder.at(subject))
    found = privacy_of(study, read_trials(study), checked=not check)
    if found is None:
        raise UsageError(subject, _NONE, remedy="Train with 'dp.clip_norm' and 'dp.noise_multiplier'")
    if check and not found.refused:
        if found.rule == "best of drawn":
            rule = "--verify checks the runs of a study, not what choosing among a drawn number of them costs"
            raise UsageError(subject, rule, remedy="Leave --verify out")
        verdict = verify(found.phases, found.epsilon, found.delta, tau=_TAU, num_draws=draws)
        keep_verdict(study, found, verdict)
        found = found.checked(verdict)
        if not verdict.accepted:
            rule = f"the claim of epsilon {found.epsilon:.4g} was refused by {verdict.num_draws} draws"
            raise StudyError(subject, rule, f"delta {verdict.estimate:.3g}", "Use more --draws")
    return statement(found)


def _of_file(path: Path) -> list[tuple[str, str]]:
    if path.suffix == ".safetensors":
        return _of_weights(path, str(path))
    remedy = "Give the safetensors file, or the study directory"
    raise UsageError(str(path), "carries no privacy statement that can be read", path.suffix, remedy)


def _of_weights(path: Path, where: str) -> list[tuple[str, str]]:
    from anon_tune.networks.weights import read_tensors
    from anon_tune.study.privacy_statement import run_statement

    metadata = read_tensors(path)[1]
    card: dict[str, Any] = json.loads(metadata.get("model_card", "{}"))
    if card.get("privacy"):
        return [(str(name), str(words)) for name, words in card["privacy"].items()]
    if "account" not in metadata:
        raise UsageError(where, _NONE, remedy="Train with 'dp.clip_norm' and 'dp.noise_multiplier'")
    return run_statement(PrivateRun.from_json(metadata["account"], where))
