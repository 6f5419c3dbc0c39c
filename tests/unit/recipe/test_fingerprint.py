"""Fingerprints: what they depend on, and a literal table of the defaults that fails until the version rises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from anon_tune.errors import StudyError
from anon_tune.methods import defaults_of, make_recipe, names, read_recipe
from anon_tune.recipe import AuditRecipe, EvaluationRecipe, Part, Recipe, flat_values
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study, load_study
from anon_tune.study.settings import StudySettings

DEFAULTS = json.loads((Path(__file__).parent / "defaults.json").read_text())
"""The version and the default of every value, by kind of recipe.

Where a test below fails because a default changed its value or its meaning: raise the ``version`` of that recipe, then
write the new version and value into the file. A new value whose default changes nothing is added to the file alone.
"""


def test_a_default_changes_only_with_the_version_of_the_recipe() -> None:
    now = {name: value for name, value in defaults_of(names()).items() if not name.startswith("evaluation.")}
    assert {"version": Recipe.version, **now} == DEFAULTS["recipe"]


def test_a_default_of_a_measurement_changes_only_with_the_version_of_the_measure() -> None:
    assert {"version": EvaluationRecipe.version, **dict(flat_values(EvaluationRecipe()))} == DEFAULTS["evaluation"]
    assert {"version": AuditRecipe.version, **dict(flat_values(AuditRecipe()))} == DEFAULTS["audit"]


class Lens(Part):
    """A section."""

    width: int = Field(3, ge=1)


class WiderLens(Part):
    """The same section with a new value."""

    width: int = Field(3, ge=1)
    height: float = 0.0


class NewLens(Part):
    """The same section after its default changed its meaning."""

    version: ClassVar[int] = 2
    width: int = Field(3, ge=1)


class TestParts:
    def test_a_new_neutral_value_changes_no_fingerprint(self) -> None:
        assert Lens().fingerprint() == WiderLens().fingerprint()
        assert Lens(width=5).fingerprint() == WiderLens(width=5).fingerprint()

    def test_a_value_that_is_not_the_default_and_the_version_change_it(self) -> None:
        prints = {p.fingerprint() for p in (Lens(), Lens(width=5), WiderLens(height=1.0), NewLens(), NewLens(width=5))}
        assert len(prints) == 5


class TestRecipes:
    def of(self, section: Part, **changes: Any) -> Recipe:
        return Recipe(method="adversarial", section=section, **changes)

    def test_a_section_counts_like_any_other_part(self) -> None:
        assert self.of(Lens()).fingerprint() == self.of(WiderLens()).fingerprint()
        prints = {self.of(s).fingerprint() for s in (Lens(), Lens(width=5), WiderLens(height=1.0), NewLens())}
        assert len(prints) == 4

    def test_the_measurement_has_no_part_in_the_fingerprint_of_training(self) -> None:
        one, two = make_recipe({}), make_recipe({"evaluation.seed": 1})
        assert one.fingerprint() != two.fingerprint()
        assert one.training_fingerprint() == two.training_fingerprint()
        three = make_recipe({"training.seed": 1})
        assert one.training_fingerprint() != three.training_fingerprint()

    def test_the_version_of_the_measure_leaves_checkpoints_valid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        recipe = make_recipe({})
        whole, training = recipe.fingerprint(), recipe.training_fingerprint()
        monkeypatch.setattr(EvaluationRecipe, "version", EvaluationRecipe.version + 1)
        assert recipe.fingerprint() != whole
        assert recipe.training_fingerprint() == training

    def test_a_schedule_is_written_as_one_value(self) -> None:
        recipe = make_recipe({"penalty.weight.kind": "linear", "penalty.weight.start": 1.0, "penalty.weight.end": 2.0})
        assert recipe.changes() == {"penalty.weight": {"kind": "linear", "start": 1.0, "end": 2.0}}
        assert read_recipe(recipe.model_dump_json()).changes() == recipe.changes()


TABLES: dict[str, Any] = {
    "search": {"penalty.weight": {"low": 0.1, "high": 10.0}},
    "fixed": {"privacy.weight.start": 2.0},
}


class TestStudies:
    def test_a_study_goes_on_with_the_defaults_it_began_with(self, tmp_path: Path) -> None:
        began = {**defaults_of(["adversarial"]), "training.warmup_steps": 7, "utility.lr": 0.5, "privacy.weight": 9.0}
        space = SearchSpace.from_tables({**TABLES, "defaults": began}, "x.toml")
        freeze_study(tmp_path, space, StudySettings())
        recipe = load_study(tmp_path)[0].recipe({"penalty.weight": 3.0})
        assert (recipe.training.warmup_steps, recipe.utility.lr.start) == (7, 0.5)
        assert (recipe.privacy.weight.start, recipe.penalty.weight.start) == (2.0, 3.0)

    def test_it_keeps_all_of_them(self, tmp_path: Path) -> None:
        space = SearchSpace.from_tables(TABLES, "x.toml")
        freeze_study(tmp_path, space, StudySettings())
        assert load_study(tmp_path)[0] == space
        assert space.defaults == defaults_of(["adversarial"])

    def test_another_version_does_not_continue_it_under_other_defaults(self, tmp_path: Path) -> None:
        began = {**defaults_of(["adversarial"]), "training.warmup_steps": 7}
        freeze_study(tmp_path, SearchSpace.from_tables({**TABLES, "defaults": began}, "x.toml"), StudySettings())
        with pytest.raises(StudyError, match=r"recipe defaults, .*training\.warmup_steps was 7, got 20\..*resume"):
            freeze_study(tmp_path, SearchSpace.from_tables(TABLES, "x.toml"), StudySettings())

    def test_a_study_of_before_is_read(self, tmp_path: Path) -> None:
        freeze_study(tmp_path, SearchSpace.from_tables(TABLES, "x.toml"), StudySettings())
        file = tmp_path / "study.toml"
        text = file.read_text()
        file.write_text(text[: text.index("[space.defaults]")])
        space, _ = load_study(tmp_path)
        assert space.recipe({"penalty.weight": 1.0}) == make_recipe({"privacy.weight": 2.0})
        assert freeze_study(tmp_path, SearchSpace.from_tables(TABLES, "x.toml"), StudySettings()) == StudySettings()
