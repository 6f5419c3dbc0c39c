"""Names of methods: how they are written, which arguments they take, and what is refused."""

from __future__ import annotations

import pytest

from anon_tune.errors import RecipeError
from anon_tune.methods import MethodSpec, find, make_recipe, specs
from anon_tune.recipe import flat_values


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("identity", "identity", {}),
        ("negative", "negative", {}),
        ("downsample:2", "downsample", {"factor": 2}),
        ("blur:4", "blur", {"sigma": 4.0}),
        ("blur:sigma=0.5", "blur", {"sigma": 0.5}),
        ("pixelate:8", "pixelate", {"size": 8}),
        ("pixelate", "pixelate", {"size": 8}),
        ("frame-difference", "frame-difference", {"gain": 3.0}),
        ("person-black-out:hog", "person-black-out", {"detector": "hog"}),
        ("person-blur:4,detector=hog", "person-blur", {"sigma": 4.0, "detector": "hog"}),
        ("person-blur:detector=hog", "person-blur", {"sigma": 4.0, "detector": "hog"}),
        ("area-blur:2", "area-blur", {"strength": 2.0, "detector": "background"}),
        ("spact", "spact", {}),
    ],
)
def test_a_name_is_parsed(text: str, name: str, values: dict[str, object]) -> None:
    method = find(text)
    assert (method.name, dict(method.values)) == (name, values)
    assert method.is_trained == (name == "spact")
    assert {key: type(value) for key, value in method.values.items()} == {k: type(v) for k, v in values.items()}


@pytest.mark.parametrize("spec", [s for s in specs() if s.name != "external"], ids=lambda spec: spec.name)
def test_an_example_means_the_defaults(spec: MethodSpec) -> None:
    assert find(spec.example) == find(spec.name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blurr:4", "x: unknown method 'blurr'. Did you mean 'blur'?"),
        ("", "x: unknown method ''. If a package adds it, install that package. Known: adversarial, "),
        ("blur:strong", "x: sigma of 'blur' must be a number from 0.1 to 256, got strong. Write for example blur:2.0."),
        ("blur:nan", "x: sigma of 'blur' must be a number from 0.1 to 256, got nan."),
        ("blur:-1", "x: sigma of 'blur' must be a number from 0.1 to 256, got -1."),
        ("pixelate:2.5", "x: size of 'pixelate' must be a whole number from 2 to 256, got 2.5."),
        ("pixelate:1", "x: size of 'pixelate' must be a whole number from 2 to 256, got 1."),
        ("blur:size=3", "x: 'blur' takes sigma, got blur:size=3. Write for example blur:2.0."),
        ("blur:1,2", "x: 'blur' takes sigma, got blur:1,2."),
        ("negative:1", "x: 'negative' takes no values, got negative:1."),
        ("spact:1", "x: 'spact' takes no values, got spact:1. Set its recipe values by name."),
        ("person-blur:4,detector=yolo", "x: detector of 'person-blur' must be one of background, hog, got yolo."),
    ],
)
def test_what_is_wrong_is_one_line_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        find(text, "x")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", [s for s in specs() if s.is_trained], ids=lambda s: s.name)
def test_a_trained_method_is_a_recipe_with_its_own_values(spec: MethodSpec) -> None:
    recipe = make_recipe({"method": spec.name})
    assert recipe.method == spec.name
    values = dict(flat_values(recipe))
    values = {name: ",".join(value) if isinstance(value, list) else value for name, value in values.items()}
    assert {name: values[name] for name in spec.fixes} == spec.fixes
    for key in (*spec.fixes, *spec.sets):
        assert spec.owns(key)
        with pytest.raises(RecipeError, match=f"'{key}' is set by the method '{spec.name}'"):
            make_recipe({"method": spec.name, key: values[key]})


def test_a_method_owns_the_fields_of_its_values_and_nothing_else() -> None:
    spact = find("spact").spec
    assert spact.owns("penalty.weight.kind")
    assert not spact.owns("penalty.weight_of_something")
    assert not spact.owns("penalty")
    assert not find("adversarial").spec.owns("penalty.weight")
