"""A rung is judged by what the full scores of its trials turned out to be."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from anon_tune.search.choices import search_choices, why_rungs_cannot_decide
from anon_tune.search.rung_trust import RungTrust, Standing
from anon_tune.search.space import SearchSpace
from anon_tune.trial import Reading, Repeat, RungReport, Score, Trial, TrialState


def report(rung: int, leakage: float, accuracy: float) -> RungReport:
    readings = [Reading(0.5, 0.2, 1.0, 0.5, 0.5, validation=value) for value in (leakage, accuracy)]
    score = Score(rung == 1, *readings, {}, {}, 0.0, 1, 1, 0, 0.1)
    return RungReport("0000", rung, 10 * 9**rung, score, (), 1.0, "here", "")


def finished(number: int, noise_of_leakage: float, noise_of_accuracy: float) -> Trial:
    rng = random.Random(number)
    full = rng.random(), rng.random()
    here = full[0] + noise_of_leakage * rng.gauss(0, 1), full[1] + noise_of_accuracy * rng.gauss(0, 1)
    reports = report(0, *here), report(1, *full)
    return Trial(f"{number:04d}", number, "adversarial", {}, "", TrialState.COMPLETE, reports, ended=number)


def after(trials: list[Trial]) -> Standing:
    trust = RungTrust()
    for trial in trials:
        trust.learn(trial)
    return trust.standing(0)


def test_a_rung_that_foretells_both_losses_goes_on_stopping_trials() -> None:
    trials = [finished(k, 0.1, 0.1) for k in range(40)]
    assert all(after(trials[:n]) is Standing.DECIDES for n in range(40))


@pytest.mark.parametrize("noise", [(100.0, 0.0), (0.0, 100.0)])
def test_a_rung_that_foretells_only_one_loss_is_doubted_and_then_left_out_for_good(
    noise: tuple[float, float],
) -> None:
    trials = [finished(k, *noise) for k in range(12)]
    assert after(trials[:5]) is Standing.DECIDES
    assert after(trials[:8]) is Standing.DOUBTED
    assert after([*trials, *(finished(k, 0.0, 0.0) for k in range(12, 60))]) is Standing.LEFT_OUT


def test_a_doubted_rung_decides_again_if_later_trials_speak_for_it() -> None:
    trials = [finished(k, 1.5, 0.0) for k in range(6)]
    assert after(trials) is Standing.DOUBTED
    assert after([*trials, *(finished(k, 0.0, 0.0) for k in range(6, 11))]) is Standing.DECIDES


def test_a_trial_without_a_full_score_says_nothing_about_a_rung() -> None:
    trust = RungTrust()
    stopped = Trial("0000", 0, "adversarial", {}, "", TrialState.PRUNED, (report(0, 0.5, 0.5),))
    trust.learn(stopped)
    assert trust.rungs == []


def space(num_steps: int = 90, **search: object) -> SearchSpace:
    tables = {
        "fixed": {"training.num_steps": num_steps},
        "search": search or {"penalty.weight": {"low": 0.1, "high": 10.0}},
        "study": {"rungs": {"min_steps": 10, "factor": 3}},
    }
    return SearchSpace.from_tables(tables, "toy.toml")


def test_what_auto_stands_for_and_what_rungs_have_shown_is_said_with_the_reason() -> None:
    trials = [finished(k, 100.0, 0.0) for k in range(12)]
    sampler, rung = search_choices(space(), "auto", 40, True, trials)
    assert (sampler.of, sampler.chosen) == ("sampler", "a Gaussian process in turns with TPE")
    assert rung.chosen == "left out, new trials are not measured there"
    assert "over 12 trials" in rung.why and "at least 0.5 is required" in rung.why
    foretold = [finished(k, 0.0, 0.0) for k in range(12, 60)]
    closed = [replace(one, method="identity", ended=-1) for one in foretold]  # before a rung can be left out
    assert search_choices(space(), "auto", 40, True, trials + closed) == [sampler, rung]
    assert search_choices(space(), "random", 40, False, trials) == []
    with_choices = space(**{"privacy.head": {"choices": ["attributes", "nt_xent"]}})
    assert [c.chosen for n in (40, 251) for c in search_choices(with_choices, "auto", n, True, [])] == [
        "TPE",
        "NSGA-II",
    ]


def test_how_often_trials_were_repeated_is_said_with_what_their_first_repeats_ask_for() -> None:
    def repeated(count: int) -> Trial:
        scores = [report(1, 0.5, 0.5).score for _ in range(count)]
        scores = [
            replace(s, leakage=replace(s.leakage, low=0.4, high=0.6, value=0.5 + k % 2 / 10))
            for k, s in enumerate(scores)
        ]
        return replace(finished(0, 0.0, 0.0), repeats=tuple(Repeat(k, 0, s) for k, s in enumerate(scores, start=1)))

    three, six, eight, both = (
        search_choices(space(), "random", 40, False, [repeated(n) for n in counts])[0]
        for counts in ([3], [6], [8], [3, 6])
    )
    assert (six.of, six.chosen) == ("repeats", "6 per trial")
    assert six.why.startswith("leakage differs by 0.058 (standard deviation) between the first 3 repeats of a trial")
    for fewer_or_more, have in ((three, "3"), (eight, "8"), (both, "3 to 6")):
        assert fewer_or_more.chosen == f"{have} per trial; 6 are worth their time"
        assert fewer_or_more.why == six.why  # true no matter who asked for them, and while others are still to come
    assert search_choices(space(), "random", 40, False, [repeated(2)]) == []


@pytest.mark.parametrize(
    ("num_steps", "num_trials", "said"),
    [
        (90, 6, ""),
        (90, 5, "decide from 6 trials on, and it has 5"),
        (10, 40, "trials end before the first rung at step 10"),
    ],
)
def test_rungs_that_can_stop_no_trial_are_told(num_steps: int, num_trials: int, said: str) -> None:
    found = why_rungs_cannot_decide(space(num_steps), num_trials, rungs=True)
    assert said in found
    assert bool(found) == bool(said)
    assert why_rungs_cannot_decide(space(num_steps), num_trials, rungs=False) == ""
