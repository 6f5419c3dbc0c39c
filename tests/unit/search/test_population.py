from __future__ import annotations

from anon_tune.search.sampler import population_size


def test_a_population_is_a_fifth_of_the_trials_between_4_and_50() -> None:
    assert [population_size(trials) for trials in (5, 20, 100, 250, 1000)] == [4, 4, 20, 50, 50]
