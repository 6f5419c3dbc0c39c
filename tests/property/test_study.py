from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from anon_tune.study.rungs import Rung, Verdict, rung_levels

# A coarse grid, so that ties and equal rows are common.
loss = st.integers(0, 6).map(lambda n: n / 4)
rungs = st.dictionaries(st.integers(0, 99).map("{:04d}".format), st.tuples(loss, loss), min_size=1, max_size=20)
factors = st.integers(2, 5)


def decide(losses: dict[str, tuple[float, float]], trial: str, factor: int) -> Verdict:
    """Judge a trial at a rung that all of them have reached, in this order."""
    rung = Rung(factor)
    for name, row in losses.items():
        rung.add(name, row)
    return rung.verdict(trial)


def dominated(trial: str, losses: dict[str, tuple[float, float]]) -> bool:
    a, b = losses[trial]
    return any(x <= a and y <= b and (x, y) != (a, b) for x, y in losses.values())


@given(rungs, factors)
def test_a_trial_that_none_dominates_is_never_stopped(losses: dict[str, tuple[float, float]], factor: int) -> None:
    for trial in losses:
        verdict = decide(losses, trial, factor)
        assert verdict.keep or dominated(trial, losses)
        assert (verdict.front_rank == 0) == (not dominated(trial, losses))


@given(rungs, factors, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(losses: dict[str, tuple[float, float]], factor: int, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(losses.items())
    random.shuffle(shuffled)
    for trial in losses:
        assert decide(dict(shuffled), trial, factor) == decide(losses, trial, factor)


@given(rungs, factors)
def test_positions_are_an_order_and_the_share_is_kept(losses: dict[str, tuple[float, float]], factor: int) -> None:
    verdicts = {trial: decide(losses, trial, factor) for trial in losses}
    assert sorted(v.position for v in verdicts.values()) == list(range(len(losses)))
    by_position = sorted(verdicts.values(), key=lambda v: v.position)
    assert [v.front_rank for v in by_position] == sorted(v.front_rank for v in by_position)
    kept = sum(v.keep for v in verdicts.values())
    num_spared = 2 if len(losses) < 4 * factor else 1
    spared = sum(v.front_rank < num_spared for v in verdicts.values())
    if len(losses) < 2 * factor:
        assert kept == len(losses)
    else:
        assert kept == max(math.ceil(len(losses) / factor), spared)


@given(rungs, factors)
def test_rescaling_a_loss_keeps_who_is_nondominated(losses: dict[str, tuple[float, float]], factor: int) -> None:
    rescaled = {trial: (math.exp(a), 100 * b - 7) for trial, (a, b) in losses.items()}
    for trial in losses:
        assert decide(rescaled, trial, factor).front_rank == decide(losses, trial, factor).front_rank


@given(rungs, factors, st.sampled_from([math.nan, math.inf, -math.inf]), st.booleans())
def test_a_loss_that_is_not_finite_stops_its_trial_and_no_other(
    losses: dict[str, tuple[float, float]], factor: int, bad: float, first: bool
) -> None:
    broken = losses | {"bad": (bad, 0.0) if first else (0.0, bad)}
    assert not decide(broken, "bad", factor).keep
    for trial in losses:
        assert decide(broken, trial, factor) == decide(losses, trial, factor)


@given(st.integers(1, 50), st.integers(2, 5), st.integers(1, 5000))
def test_levels_rise_by_the_factor_and_end_at_the_last_step(min_steps: int, factor: int, num_steps: int) -> None:
    levels = rung_levels(min_steps, factor, num_steps)
    assert levels[-1] == num_steps
    assert list(levels) == sorted(set(levels))
    assert levels[:-1] == tuple(min_steps * factor**k for k in range(len(levels) - 1))
    assert min_steps * factor ** (len(levels) - 1) >= num_steps
