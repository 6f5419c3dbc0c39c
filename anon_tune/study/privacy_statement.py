"""The statement of what a study's private training promises, as a table that page, model card and terminal show."""

from __future__ import annotations

from collections.abc import Sequence

from anon_tune.accounting import Verdict, replacement_epsilon
from anon_tune.accounting.private_run import PrivateRun
from anon_tune.errors import AnonTuneError
from anon_tune.study.certified import all_certificates_of
from anon_tune.study.frozen_study import read_study
from anon_tune.study.privacy import Protected, StudyPrivacy, is_private, study_privacy
from anon_tune.study.privacy_check import with_kept_check
from anon_tune.study_directory import StudyLocation
from anon_tune.trial import Trial

Rows = list[tuple[str, str]]

_UNITS = {"clips": "one clip", "groups": "all clips of one group, such as a person"}
_REGIONS = {
    "everything": "the whole unit is added or removed",
    "persons": "the pixels of persons in one unit are there, or are grey. The masks of persons, everything outside of "
    "them, and labels count as public",
}
NOT_SAID = (
    "Nothing about people in videos that the anonymizer is used on later: they are not in the training clips. Nothing "
    "about clips of the validation and test split, on which scores and previews are made, about certificates, whose "
    "attackers learn on the training split, or about files of weights to start from. Noise is drawn in floating point, "
    "by a generator that is not made for cryptography."
)
_NOT_SAID_OF_PERSONS = (
    " Persons and parts of them that the masks miss are not protected, nor are outlines and motion of the masks."
)
_PRICE = {
    "one run": "none: a single run began",
    "best of drawn": "the number of runs was drawn ({law}), each drew its values at random, and only the best may be "
    "released (Papernot and Steinke)",
    "all runs": "all {num} runs that began are composed, because each may have shaped the choice",
}


def privacy_of(directory: StudyLocation, trials: Sequence[Trial], checked: bool = True) -> StudyPrivacy | None:
    """Return the claim of the study in a directory; None if no run of it was private, or it cannot be computed.

    Args:
        directory: The study directory.
        trials: Its trials.
        checked: Whether the claim is refused if an earlier Monte Carlo check did not accept it.
    """
    try:
        return computed_privacy(directory, trials, checked)
    except AnonTuneError:
        return None


def computed_privacy(directory: StudyLocation, trials: Sequence[Trial], checked: bool = True) -> StudyPrivacy | None:
    """Return what `privacy_of` returns, for callers that must not go on if it cannot be computed.

    Raises:
        AnonTuneError: It cannot be computed.
    """
    space, settings = read_study(directory)
    if not is_private(space) or not settings.protected_clips:
        return None
    protected = Protected(settings.protected_clips, settings.protected_groups)
    found = study_privacy(trials, space, settings, protected)
    if found is None:
        return None
    made = all_certificates_of(directory, [trial for trial in trials if trial.id in found.runs])
    audited = found.audited({name: c.membership for name, c in made.items() if c.membership is not None})
    return with_kept_check(directory, audited) if checked else audited


def statement(privacy: StudyPrivacy) -> Rows:
    """Return the statement of a study, as pairs of a heading and a text."""
    run = privacy.run
    updates = {name: sum(one.updates.get(name, 0) for one in privacy.runs.values()) for name in run.updates}
    counted = ", ".join(f"{name} {number}" for name, number in updates.items())
    rates, noises = (
        sorted({round(getattr(one, key), 6) for one in privacy.runs.values()}) for key in ("rate", "noise_multiplier")
    )
    delta = privacy.delta
    price = _PRICE[privacy.rule].format(law=privacy.law, num=len(privacy.runs))
    claim = f"refused: {privacy.refused}" if privacy.refused else f"{privacy.epsilon:.4g} at delta {delta:.3g}"
    rows = [
        ("epsilon", claim),
        ("what is released", _released(privacy)),
        ("unit", f"{_UNITS[run.unit]}; {run.num_units} {run.unit} in the training split"),
        ("neighbouring data", _REGIONS[run.region] + _replaced(privacy, delta)),
        ("mechanism", _mechanism(run, _span(noises))),
        ("sampling", f"Poisson, each unit with probability {_span(rates)}"),
        ("noised updates", f"{sum(updates.values())}: {counted}"),
        ("cost of the search", price),
        ("accounting", _accounting(privacy, delta)),
        ("checked", _checked(privacy.verdict)),
        ("audited", _audited(privacy)),
        ("not said", _not_said(run)),
    ]
    return rows


def run_statement(run: PrivateRun) -> Rows:
    """Return the statement of a single file of weights, which never names an epsilon of its own."""
    counted = ", ".join(f"{name} {number}" for name, number in run.updates.items())
    return [
        ("epsilon", "none for these weights alone: how they were chosen counts too. Ask for that of the study"),
        ("unit", f"{_UNITS[run.unit]}; {run.num_units} {run.unit} in the training split"),
        ("neighbouring data", _REGIONS[run.region]),
        ("mechanism", _mechanism(run, f"{run.noise_multiplier:g}")),
        ("sampling", f"Poisson, each unit with probability {run.rate:.4g}"),
        ("noised updates", f"{run.num_updates}: {counted}"),
        ("not said", _not_said(run)),
    ]


def _replaced(privacy: StudyPrivacy, delta: float) -> str:
    if privacy.refused or privacy.accountant != "pld":
        return ""
    what = "the unit is" if privacy.run.region == "everything" else "the pixels are"
    return f". If {what} replaced by other content instead, epsilon is {replacement_epsilon(privacy.phases, delta):.4g}"


def _not_said(run: PrivateRun) -> str:
    return NOT_SAID + _NOT_SAID_OF_PERSONS * (run.region == "persons")


def _mechanism(run: PrivateRun, noise: str) -> str:
    clipped = f"clipped to norm {run.clip_norm:g}, Gaussian noise of {noise} times this norm"
    if run.region == "persons":
        return (
            f"DP-SGD on persons, MaskDP-style: the gradient with persons minus that with grey ones is {clipped} is "
            "added. The gradient of clips with grey persons, drawn independently, is added without noise"
        )
    return f"DP-SGD: gradients are {clipped} is added"


def _span(values: Sequence[float]) -> str:
    return f"{values[0]:.4g}" if len(values) == 1 else f"{values[0]:.4g} to {values[-1]:.4g}"


def _released(privacy: StudyPrivacy) -> str:
    if privacy.rule != "best of drawn":
        return "the weights of the anonymizer that is exported"
    if not privacy.best:
        return "nothing yet, because not all trials of the drawn number are over, or none of them succeeded"
    return (
        f"the weights of trial {privacy.best} alone. It is the best by an order that was known before: the largest "
        "validation accuracy minus validation leakage, then the lowest number. Nothing of other trials may be "
        "released, such as the page or their directories"
    )


def _accounting(privacy: StudyPrivacy, delta: float) -> str:
    if privacy.refused:
        return "nothing is claimed"
    if privacy.accountant == "rdp":
        return "Rényi differential privacy (dp-accounting), an upper bound, the larger of both directions"
    return (
        "privacy loss distributions (dp-accounting), an upper bound, the larger of both directions; "
        f"by Rényi differential privacy {privacy.epsilon_rdp:.4g} at delta {delta:.3g}"
    )


def _audited(privacy: StudyPrivacy) -> str:
    if not privacy.audits:
        return "no; 'anon-tune certify' attacks the training of trials, and so finds a lower bound of epsilon"
    name, found = max(privacy.audits.items(), key=lambda item: item[1].lower_bound)
    return (
        f"a membership attack on trial {name} shows an epsilon of at least {found.lower_bound:.3g} with "
        f"{found.confidence:.0%} confidence: {found.num_right} of {found.num_guesses} guesses about "
        f"{found.num_canaries} canaries were right. It could have shown {found.largest_bound:.3g} at most"
    )


def _checked(verdict: Verdict | None) -> str:
    if verdict is None:
        return "the accountant's bound is proven; 'anon-tune privacy --verify' also checks it by Monte Carlo"
    if not verdict.accepted:
        return f"refused by Monte Carlo, by m = {verdict.num_draws} draws; check again with --verify and more --draws"
    return (
        f"accepted by Monte Carlo: the mean of m = {verdict.num_draws} draws, in the worse direction, is "
        f"{verdict.estimate:.3g} ± {verdict.error:.1g}. It must be at most delta / tau - {verdict.margin:.3g}, where "
        f"tau is {verdict.tau:g}. This proves a delta of {verdict.claimed / verdict.tau:.3g}, or without any bound by "
        f"the accountant, of {verdict.alone:.3g}"
    )
