"""A method of an installed package is found by name. A broken package gives one error line and affects no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anon_tune.errors import AnonTuneError, RecipeError, UsageError
from anon_tune.methods import build_anonymizer, find, make_recipe, names, read_recipe
from anon_tune.search.space import SearchSpace

SPEC = """
from pydantic import Field
from anon_tune.methods import MethodSpec
from anon_tune.recipe import Part

class LensRecipe(Part):
    strength: float = Field(0.5, ge=0, le=1)

SPEC = MethodSpec(
    name="{name}", summary="Dims frames.", builder="{module}_network", is_trained=True, section=LensRecipe,
    uses=("anonymizer", "utility", "privacy", "training"), {more}
)
"""
NETWORK = """
import torch
from anon_tune.networks import Anonymizer

class Lens(Anonymizer):
    def __init__(self, strength):
        super().__init__()
        self.strength = torch.nn.Parameter(torch.tensor(strength))

    def rewrite(self, clips):
        return clips * self.strength

def build(recipe):
    return Lens(recipe.section.strength)
"""


class Site:
    """A folder on the path with packages as pip leaves them there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, spec: str | None = None, network: str = NETWORK, more: str = "") -> None:
        module = name.replace("-", "_")
        text = SPEC.format(name=name, module=module, more=more) if spec is None else spec
        (self.folder / f"{module}.py").write_text(text)
        (self.folder / f"{module}_network.py").write_text(network)
        info = self.folder / f"{module}_package-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[anon_tune.methods]\n{name} = {module}:SPEC\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Site(tmp_path)


def test_a_method_of_a_package_is_like_ours(site: Site) -> None:
    site.install("dim-lens")
    assert "dim-lens" in names()
    assert find("dim-lens").is_trained
    recipe = make_recipe({"method": "dim-lens", "dim-lens.strength": 0.25})
    assert read_recipe(recipe.model_dump_json()) == recipe
    clips = torch.rand(1, 2, 3, 4, 5)
    assert torch.equal(build_anonymizer(recipe)(clips), clips * 0.25)
    search = {"method": {"choices": ["blur", "dim-lens"]}, "dim-lens.strength": {"low": 0.1, "high": 0.9}}
    space = SearchSpace.from_tables({"search": search}, "x.toml")
    assert space.search["dim-lens.strength"].when == {"method": ("dim-lens",)}
    assert SearchSpace.from_tables(space.tables(), "x.toml") == space


BROKEN = {
    "import": ("lens-a", {"spec": "import nowhere_to_be_found"}, "cannot be loaded: ModuleNotFoundError"),
    "exit": ("lens-b", {"spec": "import sys; sys.exit(3)"}, "cannot be loaded: SystemExit"),
    "no spec": ("lens-c", {"spec": "SPEC = 3"}, "must be of type anon_tune.methods.spec.MethodSpec, got int"),
    "lost": ("lens-d", {"spec": "x = 3"}, "cannot be loaded: AttributeError"),
    "fixes": ("lens-e", {"more": "fixes={'privacy.hat': 1}"}, "sets 'privacy.hat', which is no value of the recipe"),
    "sets": ("lens-f", {"more": "sets={'privacy.cap': 'x'}"}, "sets a value by 'lens-f.x', which its section does not"),
}


@pytest.mark.parametrize(("name", "package", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_package_is_one_line_that_names_it(
    site: Site, name: str, package: dict[str, str], message: str
) -> None:
    site.install(name, **package)
    with pytest.raises(UsageError) as caught:
        find(name)
    assert str(caught.value).startswith(f"package '{name}-package': its method '{name}' ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert find("blur:4").name == "blur"
    assert make_recipe({"method": "vita", "vita.num_branches": 2})
    search = {"method": {"choices": ["blur", name]}, "training.seed": {"low": 0, "high": 9, "integer": True}}
    with pytest.raises(UsageError, match=f"{name}-package"):
        SearchSpace.from_tables({"search": search}, "x.toml")


def test_a_builder_without_build_is_one_line(site: Site) -> None:
    site.install("lens-g", network="x = 3")
    recipe = make_recipe({"method": "lens-g"})
    with pytest.raises(UsageError, match="must have a function 'build'"):
        build_anonymizer(recipe)


def test_two_packages_with_one_method_are_refused(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("lens-h")
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.syspath_prepend(str(other))
    Site(other).install("lens-h")
    (other / "lens_h_package-1.0.dist-info").rename(other / "second-1.0.dist-info")
    (other / "second-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: second\nVersion: 1.0\n")
    with pytest.raises(UsageError, match="method 'lens-h' comes from 2 packages, 'lens-h-package' and 'second'"):
        find("lens-h")


def test_a_package_may_not_take_a_name_of_ours(site: Site) -> None:
    site.install("pixelate", spec="raise SystemExit")
    with pytest.raises(UsageError, match="method 'pixelate' comes from 2 packages, anon_tune and 'pixelate-package'"):
        find("pixelate:4")
    assert names().count("pixelate") == 1


def test_a_package_that_is_not_there_is_an_unknown_method() -> None:
    with pytest.raises(RecipeError, match="unknown method 'far-lens'"):
        find("far-lens")
    with pytest.raises(AnonTuneError, match="unknown method 'far-lens'"):
        read_recipe('{"method": "far-lens"}', "x.safetensors")
