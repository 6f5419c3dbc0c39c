"""What differential privacy a study may claim, which follows from how it chose among its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from anon_tune.accounting import NumberLaw, Phase, Verdict, epsilon, selection_epsilon
from anon_tune.accounting.private_run import PrivateRun, private_run, updates_until
from anon_tune.certificate import Membership
from anon_tune.errors import AnonTuneError, StudyError, UsageError
from anon_tune.methods import is_trained
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.trial import Trial, TrialState

Rule = Literal["one run", "best of drawn", "all runs"]

_CONSTRAINT = "--constraint epsilon_at_most"
_SETS_NOISE = {
    "method",
    "anonymizer.pretrain_steps",
    *(f"training.{name}" for name in ("batch_clips", "num_branch_updates", "num_steps", "warmup_steps")),
    *(f"training.{name}" for name in ("num_epochs", "epoch_clips")),  # num_steps follows from them
}  # what rate and number of updates depend on
_OUTSIDE = "evaluation.attackers_learn_on"


@dataclass(frozen=True, slots=True)
class Protected:
    """The training split whose units are protected.

    Attributes:
        num_clips: Its clips.
        num_groups: Its groups.
    """

    num_clips: int
    num_groups: int


@dataclass(frozen=True, slots=True)
class StudyPrivacy:
    """The claim of a study.

    Attributes:
        rule: How its runs are paid for: a single run; the best of a drawn number of runs; or all runs that began.
        runs: The account of every run that began, by trial id, up to the step that counts.
        epsilon: Epsilon of what the study may release, at the delta of its runs.
        epsilon_rdp: The same by Rényi differential privacy; the same number if that is what `epsilon` is from.
        accountant: ``pld`` or ``rdp``, of `epsilon`.
        law: The law of the number of trials; None if it was not drawn.
        refused: Why the study may claim nothing; empty if the claim holds.
        audits: Membership attacks on the training of its trials, by trial id, from certificates.
        verdict: The outcome of a Monte Carlo check of this claim; None if it was not checked.
        best: The only trial that may be released if their number was drawn; empty while some of them are not over.
    """

    rule: Rule
    runs: dict[str, PrivateRun]
    epsilon: float
    epsilon_rdp: float
    accountant: Literal["pld", "rdp"]
    law: NumberLaw | None = None
    refused: str = ""
    audits: Mapping[str, Membership] = field(default_factory=dict)
    verdict: Verdict | None = None
    best: str = ""

    def audited(self, audits: Mapping[str, Membership]) -> StudyPrivacy:
        """Return the claim with audits. An audit that refutes the epsilon of a run refuses the claim."""
        wrong = next((name for name, found in audits.items() if found.refutes), None)
        refused = self.refused
        if wrong is not None and not refused:
            shown, claimed = audits[wrong].lower_bound, audits[wrong].epsilon
            refused = f"a membership attack on trial {wrong} shows at least {shown:.3g}; its run claims {claimed:.3g}"
        return replace(self, audits=audits, refused=refused)

    def checked(self, verdict: Verdict | None) -> StudyPrivacy:
        """Return the claim with the outcome of a Monte Carlo check. A claim that it did not accept is refused."""
        refused = self.refused
        if verdict is not None and not verdict.accepted and not refused:
            refused = f"{verdict.num_draws} draws of a Monte Carlo check did not accept its epsilon"
        return replace(self, verdict=verdict, refused=refused)

    def check_release(self, trial_id: str, where: str) -> None:
        """Check that a trial may be released.

        Raises:
            StudyError: The number of trials was drawn, and another one is the best, or some are not over.
        """
        if self.rule != "best of drawn" or trial_id == self.best:
            return
        rule = "only the best of a drawn number of private trials may be released, and not all of them are over"
        if self.best:
            rule = f"only the best of a drawn number of private trials may be released: {self.best}"
        remedy = f"Choose --trial {self.best}" if self.best else "Wait until they are, or resume the study"
        raise StudyError(where, rule, trial_id, remedy)

    @property
    def run(self) -> PrivateRun:
        """The first run, for what all runs have in common."""
        return next(iter(self.runs.values()))

    @property
    def delta(self) -> float:
        """Delta of the claim: the least of all runs."""
        return min(run.delta for run in self.runs.values())

    @property
    def phases(self) -> list[Phase]:
        """All runs, as the accountants take them."""
        return [run.phase for run in self.runs.values()]


def is_private(space: SearchSpace) -> bool:
    """True if a study trains privately in some trial."""
    return any(name.startswith("dp.") for name in (*space.fixed, *space.search))


def study_privacy(
    trials: Sequence[Trial], space: SearchSpace, settings: StudySettings, protected: Protected
) -> StudyPrivacy | None:
    """Return the claim of a study; None if none of its runs was private.

    A run that was stopped at a rung counts with the steps that it took. One that failed or still runs counts whole,
    because the number of its steps is not known.

    Args:
        trials: The trials of the study.
        space: Its search space.
        settings: Its settings.
        protected: The training split.
    """
    begun = [trial for trial in trials if not trial.is_anchor and is_trained(trial.method) and _has_begun(trial)]
    runs: dict[str, PrivateRun] = {}
    public: list[str] = []
    for trial in begun:
        recipe = space.recipe(trial.params, trial.method)
        if not recipe.dp.is_on:
            public.append(trial.id)
            continue
        run = private_run(recipe, protected.num_clips, protected.num_groups, f"trial {trial.id}")
        stopped = trial.state is TrialState.PRUNED and trial.reports
        runs[trial.id] = run.after(recipe, trial.reports[-1].step) if stopped else run
    if not runs:
        return None
    claim = _claim(runs, public, space, settings, protected)
    return replace(claim, best=_best(trials, settings.num_trials)) if settings.drawn else claim


def _best(trials: Sequence[Trial], num_trials: int) -> str:
    """Return the id of the best of a drawn number of trials, by an order that is known before any of them begins."""
    over = [trial for trial in trials if not trial.is_anchor and trial.state.is_final]
    if len(over) < num_trials:
        return ""
    scores = {
        trial.id: (trial.score.accuracy.validation - trial.score.leakage.validation, -trial.number)
        for trial in over
        if trial.score is not None and trial.score.is_finite and trial.is_feasible and is_trained(trial.method)
    }
    return max(scores, key=scores.__getitem__, default="")


def _claim(
    runs: dict[str, PrivateRun],
    public: Sequence[str],
    space: SearchSpace,
    settings: StudySettings,
    protected: Protected,
) -> StudyPrivacy:
    phases, delta = [run.phase for run in runs.values()], min(run.delta for run in runs.values())
    refused = _why_refused(runs, public, space, settings)
    by_rdp = epsilon(phases, delta, "rdp")
    if settings.drawn:
        law = NumberLaw.parse(settings.drawn)
        worst = worst_run(space, protected)
        value = selection_epsilon([worst.phase], delta, law)
        return StudyPrivacy("best of drawn", runs, value, value, "rdp", law, refused)
    if len(runs) == 1:
        return StudyPrivacy("one run", runs, epsilon(phases, delta), by_rdp, "pld", None, refused)
    if _noise_is_searched(space):  # a sampler that chooses the noise by earlier results is covered by RDP alone
        return StudyPrivacy("all runs", runs, by_rdp, by_rdp, "rdp", None, refused)
    return StudyPrivacy("all runs", runs, epsilon(phases, delta), by_rdp, "pld", None, refused)


def _why_refused(
    runs: dict[str, PrivateRun], public: Sequence[str], space: SearchSpace, settings: StudySettings
) -> str:
    if public:
        return f"trial {public[0]} was trained on the same clips without noise"
    if len({(run.unit, run.region) for run in runs.values()}) > 1:
        return "its runs protect different units or regions"
    if (len(runs) > 1 or settings.drawn) and space.fixed.get(_OUTSIDE) != "outside":
        return "trials were chosen by scores of attackers that learned on the protected clips without noise"
    if settings.warm_start:
        return "its sampler learned from an earlier study"
    return ""


def _has_begun(trial: Trial) -> bool:
    if trial.reports or trial.lost:
        return True
    was_refused = trial.state is TrialState.FAILED and not trial.fingerprint  # its values made no recipe
    return trial.state is not TrialState.WAITING and not was_refused


def _noise_is_searched(space: SearchSpace) -> bool:
    return any(name.startswith("dp.") or name in _SETS_NOISE for name in space.search)


def worst_run(space: SearchSpace, protected: Protected) -> PrivateRun:
    """Return an account that no run of a search space exceeds: the least noise, the largest rate, the most updates.

    Raises:
        UsageError: Some trial of the space is trained without noise.
    """
    recipes, runs = [], []
    for recipe in space.probes():
        if not is_trained(recipe.method):
            continue
        if not recipe.dp.is_on:
            rule = "a trial of this space is trained without noise on the protected clips"
            raise UsageError(space.where, rule, remedy="Fix 'dp.clip_norm' and 'dp.noise_multiplier', or search them")
        recipes.append(recipe)
        runs.append(private_run(recipe, protected.num_clips, protected.num_groups, space.where))
    steps = max(recipe.training.num_steps for recipe in recipes)
    # Each probe changes one value only, and these numbers multiply.
    at_ends = [updates_until(recipe, steps) for recipe in recipes]
    return replace(
        runs[0],
        updates={name: max(updates[name] for updates in at_ends) for name in at_ends[0]},
        rate=max(run.rate for run in runs),
        noise_multiplier=min(run.noise_multiplier for run in runs),
        delta=min(run.delta for run in runs),
    )


def check_privacy(space: SearchSpace, settings: StudySettings, protected: Protected) -> None:
    """Check a study before it begins: that it can keep what it promises.

    Raises:
        UsageError: It promises an epsilon that it cannot keep, or draws its number of trials where this proves nothing.
        RecipeError: A private recipe cannot be trained on the protected clips.
    """
    limit = space.study.constraints.epsilon_at_most
    if not is_private(space):
        if limit is not None or settings.drawn:
            where = _CONSTRAINT if limit is not None else "--draw-trials"
            remedy = "Set 'dp.clip_norm' and 'dp.noise_multiplier', or leave it out"
            raise UsageError(where, "needs private training, and no trial of this study is private", None, remedy)
        return
    worst = worst_run(space, protected) if limit is not None or settings.drawn else None
    if settings.warm_start:
        rule = "a private study cannot start from earlier trials, whose scores are not accounted for"
        raise UsageError("--warm-start", rule, remedy="Leave it out")
    if settings.drawn:
        _check_drawn(space, settings)
    if limit is None or worst is None:
        return
    outside = space.fixed.get(_OUTSIDE) == "outside"
    if not outside and settings.num_trials > 1:
        rule = "cannot hold while attackers learn on the protected clips, because their scores choose among the trials"
        raise UsageError(_CONSTRAINT, rule, remedy=f"Add --set {_OUTSIDE}=outside, or --trials 1")
    cost = (
        selection_epsilon([worst.phase], worst.delta, NumberLaw.parse(settings.drawn))
        if settings.drawn
        else epsilon([worst.phase], worst.delta, "rdp" if _noise_is_searched(space) else "pld")
    )
    if cost > limit:
        what = "choosing the best of the drawn trials" if settings.drawn else "a single trial"
        rule = f"cannot hold: {what} may already have an epsilon of {cost:.4g} at delta {worst.delta:.2g}"
        raise UsageError(_CONSTRAINT, rule, limit, "Raise it or 'dp.noise_multiplier', or train for fewer steps")


def _check_drawn(space: SearchSpace, settings: StudySettings) -> None:
    needs = [
        (settings.sampler == "random", f"--sampler random, got {settings.sampler}"),
        (not (settings.rungs and space.study.rungs), "no rungs, which decide by results: add --no-rungs"),
        (not space.first, "no [[first]] points"),
        (settings.stop.is_empty, "no stop rule, because the number of trials must be the one that was drawn"),
        (space.fixed.get(_OUTSIDE) == "outside", f"--set {_OUTSIDE}=outside"),
    ]
    for held, what in needs:
        if not held:
            rule = f"private selection needs {what}"
            raise UsageError("--draw-trials", rule, remedy="Change it, or leave --draw-trials out")


@dataclass(slots=True)
class EpsilonLimit:
    """Says when a study must begin no more trials, so that all its runs together stay within an epsilon.

    Attributes:
        space: The search space, with the limit.
        settings: The settings of the study, with the size of the protected split.
    """

    space: SearchSpace
    settings: StudySettings
    _told: tuple[int, str] = (-1, "")

    def reason(self, trials: Sequence[Trial]) -> str:
        """Return why no further trial may begin; empty if one may."""
        limit = self.space.study.constraints.epsilon_at_most
        if limit is None or self.settings.drawn or not self.settings.protected_clips:
            return ""
        runs = [trial for trial in trials if not trial.is_anchor and trial.id.isdigit()]
        if self._told[0] != len(runs):
            self._told = len(runs), self._reason(runs, limit)
        return self._told[1]

    def _reason(self, trials: Sequence[Trial], limit: float) -> str:
        protected = Protected(self.settings.protected_clips, self.settings.protected_groups)
        worst = worst_run(self.space, protected)
        phases = [worst.phase]
        for trial in trials:
            try:
                recipe = self.space.recipe(trial.params, trial.method)
            except AnonTuneError:  # its values do not go together, so it never began
                continue
            if recipe.dp.is_on:
                phases.append(private_run(recipe, protected.num_clips, protected.num_groups).phase)
        spent = epsilon(phases, worst.delta, "rdp" if _noise_is_searched(self.space) else "pld")
        if spent <= limit:
            return ""
        return f"one more trial may raise epsilon to {spent:.4g} of {limit:g}"
