"""The Monte Carlo verifier: how many draws it asks for, what it agrees with, what it accepts and refuses."""

from __future__ import annotations

import math

import pytest
from scipy.integrate import quad

from anon_tune.accounting import (
    Phase,
    delta,
    draws_for_ratio,
    draws_needed,
    epsilon,
    estimate_delta,
    gaussian_delta,
    overall_delta,
    verify,
)

COMPARED = Phase(0.1, 2.0, 240)


@pytest.mark.parametrize(
    ("claimed", "ratio", "expected"),
    [
        (1e-4, 2, 3.00e5),
        (1e-5, 2, 3.75e6),
        (1e-6, 2, 4.50e7),
        (1e-4, 1.5, 9.74e5),
        (1e-5, 1.5, 1.22e7),
        (1e-6, 1.5, 1.46e8),
    ],
)
def test_draws_of_the_second_bound(claimed: float, ratio: float, expected: float) -> None:
    assert draws_for_ratio(claimed, ratio) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(("accepted", "kept", "num"), [(5e-5, 1e-4, 9.2e5), (5e-6, 1e-5, 1.08e7)])
def test_what_draws_keep_without_an_accountant(accepted: float, kept: float, num: float) -> None:
    assert overall_delta(accepted, round(num)) <= kept < overall_delta(accepted, round(0.99 * num))
    assert overall_delta(accepted, 1000) > 50 * kept  # so few draws show next to nothing


def test_monte_carlo_agrees_with_the_accountant() -> None:
    for way, seed in (("remove", 1), ("add", 2)):
        mean, error = estimate_delta([COMPARED], 2.0, 20_000, way, seed=seed)
        assert abs(mean - delta([COMPARED], 2.0, direction=way)) < 4 * error
    mean, error = estimate_delta([Phase(1.0, 1.0, 1)], 1.0, 100_000)
    assert abs(mean - gaussian_delta(1.0, 1.0)) < 4 * error


@pytest.mark.parametrize(("tilt", "moment"), [(1.6, 1.3e-5), (2.0, 4.4e-6), (2.5, 1.7e-6)])
def test_a_tilt_keeps_the_mean_and_lowers_the_second_moment(tilt: float, moment: float) -> None:
    num, true = 20_000, delta([COMPARED], 3.0)
    mean, error = estimate_delta([COMPARED], 3.0, num, tilt=tilt, seed=3)
    assert abs(mean - true) < 4 * error
    assert num * error**2 + mean**2 == pytest.approx(moment, rel=0.2)  # published from draws as well; 4.9e-5 without


@pytest.mark.parametrize(
    ("shift", "moment"),
    [(0, 1.549e-5), (2, 3.839e-8), (4, 6.595e-9)],  # exact; published from draws as 1.8e-5, 3.9e-8 and 6.6e-9
)
def test_a_tilt_shifts_a_unit_that_is_in_every_draw(shift: float, moment: float) -> None:
    def square(output: float) -> float:
        """X^2 times the density of the mechanism, squared, by that of the draws."""
        value = max(0.0, 1 - math.exp(4 - (output - 0.5)))
        density = -((output - 1) ** 2) + (output - 1 - shift) ** 2 / 2
        return value**2 * math.exp(density) / math.sqrt(2 * math.pi)

    assert quad(square, 4.5, 30, epsabs=0)[0] == pytest.approx(moment, rel=1e-3)
    num = 100_000
    mean, error = estimate_delta([Phase(1.0, 1.0, 1)], 4.0, num, tilt=1 + shift)
    assert abs(mean - 4.712e-5) < 4 * error
    assert num * error**2 + mean**2 == pytest.approx(moment, rel=0.02 if shift else 0.5)


def test_half_the_true_delta_is_refused_and_twice_is_accepted() -> None:
    run = [Phase(0.5, 1.0, 1)]
    true = delta(run, 0.5)
    twice = verify(run, 0.5, 2 * true, tau=0.9, num_draws=300_000)
    half = verify(run, 0.5, true / 2, tau=0.9, num_draws=300_000)
    assert twice.accepted and not half.accepted
    assert abs(twice.estimate - true) < 4 * twice.error and twice.num_draws == 300_000


def test_small_deltas_of_a_run_are_told_apart_with_a_tilt() -> None:
    run, number = [Phase(0.1, 2.0, 24)], 300_000
    eps = epsilon(run, 1e-4)
    needed = draws_needed(2e-4, 0.5, 1e-4)
    assert needed <= number
    assert verify(run, eps, 2e-4, tau=0.5, num_draws=number).accepted
    assert not verify(run, eps, 5e-5, tau=0.9, num_draws=number, tilt=2.5).accepted


def test_too_few_draws_accept_nothing() -> None:
    assert not verify([Phase(0.5, 1.0, 1)], 0.5, 0.16, tau=0.9, num_draws=10).accepted
