from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anon_tune.errors import RecipeError
from anon_tune.methods import make_recipe, read_recipe, recipe_names
from anon_tune.recipe import nest

params = st.fixed_dictionaries(
    {},
    optional={
        "penalty.weight": st.floats(0, 100),
        "penalty.threshold.start": st.floats(0, 1),
        "penalty.on": st.sampled_from(["pixels", "features"]),
        "privacy.head": st.sampled_from(["attributes", "nt_xent"]),
        "privacy.cap": st.floats(0, 10, exclude_min=True),
        "training.num_steps": st.integers(1, 10**6),
        "training.flip": st.booleans(),
        "anonymizer.weights": st.none() | st.text(max_size=5),
    },
)


@given(params)
def test_a_recipe_survives_a_file_and_a_process(given_params: dict[str, object]) -> None:
    recipe = make_recipe(given_params)
    for back in (read_recipe(recipe.model_dump_json()), pickle.loads(pickle.dumps(recipe))):
        assert back == recipe
        assert back.fingerprint() == recipe.fingerprint()


@given(params, params)
def test_equal_recipes_and_only_they_share_a_fingerprint(one: dict[str, object], two: dict[str, object]) -> None:
    first, second = make_recipe(one), make_recipe(two)
    assert (first == second) == (first.fingerprint() == second.fingerprint())


@given(params)
def test_the_order_of_names_does_not_matter_and_inputs_stay(given_params: dict[str, object]) -> None:
    before = dict(given_params)
    backwards = make_recipe(dict(reversed(given_params.items())))
    assert make_recipe(given_params) == backwards
    nest(given_params)
    assert given_params == before


@given(st.text(max_size=30).filter(lambda name: name not in recipe_names()))
def test_an_unknown_name_is_always_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="unknown name"):
        make_recipe({name: 1})
