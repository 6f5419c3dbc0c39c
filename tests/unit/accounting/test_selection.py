"""What choosing among private runs costs, against published values."""

from __future__ import annotations

import pytest

from anon_tune.accounting import NumberLaw, Phase, epsilon, selection_epsilon
from anon_tune.accounting.selection import negative_binomial_mean, negative_binomial_probability
from anon_tune.errors import UsageError


@pytest.mark.parametrize(
    ("shape", "gamma", "mean", "first"),
    [
        (1, 1 / 16, 16, 0.0625),
        (0.5, 0.01, 55.0, 0.055),
        (2, 0.1, 18.1818, 0.0181818),
        (0, 0.05, 6.342356, 0.317118),
    ],
)
def test_the_law_of_the_number_of_runs(shape: float, gamma: float, mean: float, first: float) -> None:
    assert negative_binomial_mean(shape, gamma) == pytest.approx(mean, rel=1e-5)
    assert negative_binomial_probability(shape, gamma, 1) == pytest.approx(first, rel=1e-5)


@pytest.mark.parametrize("law", ["logarithmic", "negative-binomial", "geometric", "poisson"])
def test_draws_follow_the_law(law: str) -> None:
    drawn = NumberLaw.parse(f"{law}:16")
    uniforms = [(at + 0.5) / 20_000 for at in range(20_000)]
    numbers = [drawn.draw(uniform) for uniform in uniforms]
    assert sum(numbers) / len(numbers) == pytest.approx(16, rel=0.01)
    assert numbers.count(1) / len(numbers) == pytest.approx(drawn.probability(1), abs=1e-4)


def test_the_logarithmic_law_runs_often_once() -> None:
    law = NumberLaw("logarithmic", 16)
    numbers = [law.draw((at + 0.5) / 1000) for at in range(1000)]
    assert law.probability(1) == pytest.approx(0.233, abs=5e-4)
    assert numbers[500] == 5 and numbers[950] == 70


LAWS_OF_16 = ("logarithmic", "negative-binomial", "geometric", "poisson")


@pytest.mark.parametrize(
    ("noise", "one", "of_16", "of_64"),
    [
        (9.2416, 0.562, (1.165, 1.316, 1.455, 1.881), (1.313, 1.691)),
        (5.0637, 1.119, (2.205, 2.472, 2.716, 3.629), (2.478, 3.152)),
        (2.8492, 2.227, (4.138, 4.586, 4.992, 6.953), (4.642, 5.795)),
        (1.6956, 4.453, (7.662, 8.347, 8.952, 13.513), (8.581, 10.405)),
    ],
)
def test_the_price_of_choosing(noise: float, one: float, of_16: tuple[float, ...], of_64: tuple[float, float]) -> None:
    run = [Phase(0.1, noise, 240)]
    assert epsilon(run, 1e-4, "rdp") == pytest.approx(one, abs=5e-4)
    wanted = {f"{law}:16": value for law, value in zip(LAWS_OF_16, of_16, strict=True)}
    wanted |= {"logarithmic:64": of_64[0], "geometric:64": of_64[1]}
    for law, expected in wanted.items():
        assert selection_epsilon(run, 1e-4, NumberLaw.parse(law)) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("law", "expected"), [("logarithmic", 0.485), ("geometric", 0.640), ("poisson", 0.798)])
def test_chance_of_a_good_configuration(law: str, expected: float) -> None:
    drawn = NumberLaw.parse(f"{law}:16")
    assert sum(drawn.probability(k) * (1 - 0.9**k) for k in range(1, 2000)) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("text", ["uniform:16", "geometric", "geometric:x", "poisson:0.5", "logarithmic:inf"])
def test_a_law_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--draw-trials"):
        NumberLaw.parse(text)
