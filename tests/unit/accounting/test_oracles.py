"""Every accountant against published or independently computed values."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from scipy.special import ndtr

from anon_tune.accounting import (
    Phase,
    canary_epsilon,
    delta,
    epsilon,
    gaussian_delta,
    gaussian_epsilon,
    gaussian_noise_multiplier,
    guess_p_value,
    noise_multiplier_for,
    replacement_epsilon,
    verify,
)
from anon_tune.accounting.private_run import private_run
from anon_tune.errors import UsageError
from anon_tune.methods import make_recipe

COMPARED = Phase(0.1, 2.0, 240)


@pytest.mark.parametrize(
    ("noise", "num", "eps", "expected"),
    [
        (1, 1, 1, 1.2693673751e-1),
        (1, 1, 2, 2.0923635821e-2),
        (1, 1, 0.5, 2.3842170813e-1),
        (2, 1, 1, 6.8295949831e-3),
        (5, 100, 2, 3.3189799878e-1),
        (10, 1000, 1, 8.1851781551e-1),
        (1, 1, 4, 4.712241e-5),
    ],
)
def test_delta_of_the_gaussian(noise: float, num: int, eps: float, expected: float) -> None:
    assert gaussian_delta(eps, noise, num) == pytest.approx(expected, rel=2e-7 if eps == 4 else 1e-10)
    assert delta([Phase(1.0, noise, num)], eps) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("noise", "num", "expected"), [(1, 1, 4.377178), (2, 1, 1.993091), (10, 1000, 17.856587)])
def test_epsilon_of_the_gaussian(noise: float, num: int, expected: float) -> None:
    assert gaussian_epsilon(1e-5, noise, num) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("eps", "expected"), [(2, 1.7344), (5, 0.7959), (8, 0.5431)])
def test_noise_of_the_analytic_gaussian(eps: float, expected: float) -> None:
    noise = gaussian_noise_multiplier(eps, 1e-4)
    assert noise == pytest.approx(expected, abs=5e-5)
    assert gaussian_delta(eps, noise) == pytest.approx(1e-4, rel=1e-6)
    assert gaussian_delta(eps, gaussian_noise_multiplier(eps, 1e-4, 9), 9) == pytest.approx(1e-4, rel=1e-6)


@pytest.mark.parametrize(("eps", "expected"), [(2, 2.1718), (5, 0.8687), (8, 0.5430)])
def test_the_textbook_noise_is_too_large_for_a_small_epsilon_and_too_small_for_a_large_one(
    eps: float, expected: float
) -> None:
    textbook = math.sqrt(2 * math.log(1.25 / 1e-4)) / eps
    assert textbook == pytest.approx(expected, abs=5e-5)
    assert (gaussian_delta(eps, textbook) > 1e-4) is (eps == 8)


@pytest.mark.parametrize(
    ("rate", "noise", "eps", "remove", "add"),
    [
        (0.01, 1, 0.1, 7.29003770e-5, 0.0),
        (0.1, 1, 0.5, 2.03253692e-3, None),
        (0.5, 1, 0.5, 7.99446246e-2, 9.157102783e-3),
        (0.02, 0.8, 0.5, 9.07642002e-5, None),
    ],
)
def test_one_sampled_step_in_both_directions(
    rate: float, noise: float, eps: float, remove: float, add: float | None
) -> None:
    assert _closed_form(rate, noise, eps, "remove") == pytest.approx(remove, rel=1e-9)
    assert add is None or _closed_form(rate, noise, eps, "add") == pytest.approx(add, rel=1e-9)
    phase = [Phase(rate, noise, 1)]
    assert delta(phase, eps, direction="remove") == pytest.approx(remove, rel=2e-3)
    assert delta(phase, eps) == pytest.approx(remove, rel=2e-3)  # the larger of the two
    if add is not None:
        assert delta(phase, eps, direction="add") == pytest.approx(add, rel=2e-3, abs=1e-12)


@pytest.mark.parametrize(
    ("rate", "noise", "num", "at", "pld", "rdp", "proven"),
    [
        (0.01, 1, 1000, 1e-5, 1.82824, 2.10137, (1.81811, 1.83837)),
        (0.05, 1, 400, 1e-4, 5.73503, 6.46525, (5.72459, 5.74547)),
        (0.1, 2, 240, 1e-4, 3.17228, 3.53022, (3.16203, 3.18252)),
        (0.1, 1, 240, 1e-4, 9.52573, 10.74333, (9.5167, 9.5380)),
        (0.05, 4, 500, 1e-5, 1.08682, 1.19044, (1.07674, 1.09689)),
        (0.02, 0.8, 300, 1e-5, 3.78743, 4.46002, (3.77712, 3.79774)),
    ],
)
def test_epsilon_of_sampled_steps(
    rate: float, noise: float, num: int, at: float, pld: float, rdp: float, proven: tuple[float, float]
) -> None:
    phases = [Phase(rate, noise, num)]
    assert epsilon(phases, at) == pytest.approx(pld, abs=6e-6)
    assert epsilon(phases, at, "rdp") == pytest.approx(rdp, abs=6e-6)
    assert proven[0] < epsilon(phases, at) < proven[1]  # the two bounds of prv_accountant 0.2.0


def _of_a_coarser_grid(phase: Phase, at: float) -> float:
    """Epsilon on a grid ten times as coarse as ours, of which some of the published values are."""
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    one = from_gaussian_mechanism(
        phase.noise_multiplier, sampling_prob=phase.rate, value_discretization_interval=1e-3
    )  # fmt: skip
    return float(one.self_compose(phase.num_updates).get_epsilon_for_delta(at))


@pytest.mark.parametrize(
    ("clips", "batch", "num", "expected", "digits"),
    [
        (480, 8, 1760, (12.63, 3.435, 1.160, 0.494), (2, 3, 3, 3)),
        (480, 8, 1020, (9.47, 2.545, 0.854, 0.363), (2, 3, 3, 3)),
        (480, 48, 1020, (70.7, 22.03, 7.01, 2.84), (1, 2, 2, 2)),
        (2000, 64, 1020, (20.7, 6.03, 2.03, 0.869), (1, 2, 2, 3)),
    ],
)
def test_epsilon_of_a_trial(
    clips: int, batch: int, num: int, expected: tuple[float, ...], digits: tuple[int, ...]
) -> None:
    for noise, value, places in zip((0.6, 1, 2, 4), expected, digits, strict=True):
        phase, at = Phase(batch / clips, noise, num), 1 / (10 * clips)
        coarse = _of_a_coarser_grid(phase, at)
        assert round(coarse, places) == value
        if noise >= 1 or value == 9.47:  # the others take seconds each
            assert 0.993 * coarse < epsilon([phase], at) < 1.0001 * coarse  # a finer grid is a tighter upper bound


def test_updates_of_a_trial_by_default() -> None:
    recipe = make_recipe({"dp.clip_norm": 1.0, "dp.noise_multiplier": 1.0})
    run = private_run(recipe, 480, 120)
    assert run.num_updates == 40 + 20 + 240 * (1 + 3) == 1020  # 1760, if every network had noise of its own
    assert run.rate == 8 / 480 and run.delta == 1 / 4800


def test_who_is_seen_in_public_gradients_is_not_hidden_by_sampling() -> None:
    # A tenth of the units in each of 240 updates. Somebody who was drawn 24 times, and is seen in the batch:
    assert epsilon([COMPARED], 1e-4) == pytest.approx(3.172, abs=5e-4)
    assert gaussian_epsilon(1e-4, 2, 24) == pytest.approx(11.505, abs=5e-4)
    assert gaussian_epsilon(1e-4, 4, 24) == pytest.approx(4.848, abs=5e-4)
    assert not verify([Phase(1.0, 2.0, 24)], epsilon([COMPARED], 1e-4), 1e-4, num_draws=10_000).accepted


def test_a_unit_that_is_replaced_costs_more_than_one_that_is_removed() -> None:
    assert replacement_epsilon([COMPARED], 1e-4) == pytest.approx(6.408, abs=5e-4)
    assert replacement_epsilon([], 1e-4) == 0
    # Without sampling it is one Gaussian of twice the sensitivity.
    assert replacement_epsilon([Phase(1.0, 2.0, 4)], 1e-4) == pytest.approx(gaussian_epsilon(1e-4, 1.0, 4), abs=1e-3)


def _closed_form(rate: float, noise: float, eps: float, way: str) -> float:
    """Delta of one sampled update, exactly."""
    gain = math.exp(eps)
    if way == "remove":
        x = noise**2 * math.log((gain - 1 + rate) / rate) + 0.5
        sampled = (1 - rate) * ndtr(-x / noise) + rate * ndtr(-(x - 1) / noise)
        return float(sampled - gain * ndtr(-x / noise))
    if math.exp(-eps) <= 1 - rate:
        return 0.0
    x = noise**2 * math.log((math.exp(-eps) - 1 + rate) / rate) + 0.5
    sampled = (1 - rate) * ndtr(x / noise) + rate * ndtr((x - 1) / noise)
    return float(ndtr(x / noise) - gain * sampled)


def test_delta_of_sampled_steps() -> None:
    assert delta([Phase(0.01, 1, 1000)], 2) == pytest.approx(2.6657e-6, abs=5e-11)
    assert delta([Phase(0.01, 1, 1000)], 2, "rdp") == pytest.approx(1.98e-5, abs=5e-8)
    assert delta([COMPARED], 3) == pytest.approx(1.9881e-4, abs=6e-9)
    assert delta([COMPARED], 2) == pytest.approx(6.099e-3, abs=5e-7)
    assert delta([COMPARED], 5) == pytest.approx(1.3e-8, abs=5e-10)
    assert delta([Phase(0.05, 1, 400)], 8) == pytest.approx(3.3406e-7, abs=5e-12)


def test_delta_of_sampled_steps_by_convolution() -> None:
    # In one list of values, 3.064e-3 is given for adding a unit. It comes from draws, and is 3 % too low: the
    # accountant and a convolution that shares no code with it agree on 3.154e-3.
    for way, expected in (("remove", 6.099e-3), ("add", 3.154e-3)):
        assert _by_convolution(COMPARED, 2.0, way) == pytest.approx(expected, abs=5e-7)
        assert delta([COMPARED], 2, direction=way) == pytest.approx(expected, abs=5e-7)


def _by_convolution(phase: Phase, eps: float, way: Literal["remove", "add"]) -> float:
    """Delta of a run, from the law of the privacy loss of one update, convolved with itself."""
    rate, noise, step, size = phase.rate, phase.noise_multiplier, 2e-4, 2**18
    edges = np.arange(-12, 12.5, 1e-3) * noise
    centres = (edges[:-1] + edges[1:]) / 2
    without, drawn = np.diff(ndtr(edges / noise)), np.diff(ndtr((edges - 1) / noise))
    ratio = np.log1p(-rate + rate * np.exp((2 * centres - 1) / (2 * noise**2)))
    losses, masses = (ratio, (1 - rate) * without + rate * drawn) if way == "remove" else (-ratio, without)
    below = np.floor(losses / step).astype(int)
    above = losses / step - below  # how much of a mass belongs to the point above, so that means are kept
    law = np.zeros(size)
    np.add.at(law, below % size, masses * (1 - above))
    np.add.at(law, (below + 1) % size, masses * above)
    law = np.fft.irfft(np.fft.rfft(law) ** phase.num_updates, size)
    sums = step * ((np.arange(size) + size // 2) % size - size // 2)
    return float((law * np.maximum(0, -np.expm1(np.minimum(eps - sums, 0)))).sum())


@pytest.mark.parametrize(("noise", "expected"), [(9.2416, 0.5), (5.0637, 1), (2.8492, 2), (1.6956, 4), (1.0997, 8)])
def test_noise_of_published_epsilons(noise: float, expected: float) -> None:
    high, low = (_of_a_coarser_grid(Phase(0.1, noise + change, 240), 1e-4) for change in (-5e-5, 5e-5))
    assert low < expected < high
    assert epsilon([Phase(0.1, noise, 240)], 1e-4) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("noise", "expected"), [(9.2416, 2.397), (5.0637, 4.920), (2.8492, 10.314), (1.6956, 22.037)])
def test_epsilon_of_sixteen_runs_composed(noise: float, expected: float) -> None:
    runs = Phase(0.1, noise, 16 * 240)
    assert _of_a_coarser_grid(runs, 1e-4) == pytest.approx(expected, abs=5e-4)
    assert epsilon([runs], 1e-4) == pytest.approx(expected, rel=1e-3)


def test_noise_for_an_epsilon() -> None:
    noise = noise_multiplier_for(0.1, 240, 0.5, 1e-4)
    assert epsilon([Phase(0.1, noise, 240)], 1e-4) == pytest.approx(0.5, abs=1e-4)
    assert noise == pytest.approx(9.2416, rel=1e-3)


def test_phases_compose() -> None:
    halves = [Phase(0.1, 2.0, 100), Phase(0.1, 2.0, 140), Phase(0.1, 3.0, 0)]
    assert epsilon(halves, 1e-4) == epsilon([COMPARED], 1e-4)
    mixed = epsilon([COMPARED, Phase(0.1, 4.0, 50)], 1e-4)
    assert epsilon([COMPARED], 1e-4) < mixed < epsilon([Phase(0.1, 2.0, 290)], 1e-4)
    assert epsilon([], 1e-4) == 0


def test_two_gaussians_on_the_same_records_are_one() -> None:
    assert epsilon([Phase(1.0, 2.0, 2)], 1e-4) == pytest.approx(gaussian_epsilon(1e-4, 1.41421), abs=1e-3)


def test_guesses_about_canaries() -> None:
    assert guess_p_value(100, 100, 75, math.log(3), 0) == pytest.approx(0.553471, abs=1e-6)
    for numbers, at, expected in [
        ((100, 100, 75), 0.0, 0.70221),
        ((100, 100, 75), 1e-4, 0.69947),
        ((1000, 100, 75), 1e-4, 0.67298),
        ((32, 32, 32), 1e-4, 2.312),
        ((64, 64, 64), 1e-4, 3.020),
        ((128, 128, 128), 1e-4, 3.708),
        ((256, 256, 256), 1e-4, 4.373),
    ]:
        assert canary_epsilon(*numbers, at) == pytest.approx(expected, abs=5e-4 if expected > 1 else 1e-5)
    assert canary_epsilon(100, 100, 50, 0.0) == 0


@pytest.mark.parametrize(("rate", "noise", "num"), [(0.0, 1, 1), (1.1, 1, 1), (0.1, 0.0, 1), (0.1, 1, -1)])
def test_a_phase_without_a_bound_is_refused(rate: float, noise: float, num: int) -> None:
    with pytest.raises(UsageError, match="accounting"):
        Phase(rate, noise, num)
