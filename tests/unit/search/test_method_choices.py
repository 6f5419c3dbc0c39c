"""The method as a searched name: rules of the file, the recipes of its trials, and what is proposed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from anon_tune.errors import SpaceError
from anon_tune.ledger import Ledger
from anon_tune.methods import find, is_trained, specs
from anon_tune.search.proposer import Proposer
from anon_tune.search.space import SearchSpace
from anon_tune.study.assignment import Assignment
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.settings import StudySettings
from anon_tune.trackers.optuna_storage import OptunaMirror
from anon_tune.trial import ANCHORS, Reading, RungReport, Score, Trial, TrialState

SHIPPED = Path(__file__).parents[3] / "search_spaces"
WEIGHT = {"low": 1.0, "high": 50.0, "log": True}


BRANCHES = {"low": 1, "high": 8, "integer": True}


def space(methods: list[Any], search: dict[str, Any] | None = None, **tables: Any) -> SearchSpace:
    searched = {"method": {"choices": methods}, **(search or {})}
    return SearchSpace.from_tables({"search": searched, **tables}, "x.toml")


def weight(*methods: str) -> dict[str, Any]:
    return {"privacy.weight": WEIGHT | {"when": {"method": list(methods)}}}


class TestRecipes:
    def test_a_trial_has_the_recipe_of_its_method(self) -> None:
        of = space(["adversarial", "blur:4", "spact"], weight("adversarial", "spact"))
        spact = of.recipe({"method": "spact", "privacy.weight": 3.0})
        assert (spact.method, spact.privacy.head, spact.privacy.weight.start) == ("spact", "nt_xent", 3.0)
        assert of.recipe({"method": "blur:4"}).method == "blur:4"
        assert of.is_active("privacy.weight", {"method": "spact"})
        assert not of.is_active("privacy.weight", {"method": "blur:4"})
        assert of.recipe({}, method="identity").method == "identity"

    def test_a_fixed_value_gives_way_to_what_a_searched_method_sets_and_to_no_other(self) -> None:
        of = space(["adversarial", "spact"], fixed={"penalty.weight": 3.0, "privacy.cap": 2.0, "training.num_steps": 7})
        kept, gave_way = of.recipe({"method": "adversarial"}), of.recipe({"method": "spact"})
        assert (kept.penalty.weight.start, gave_way.penalty.weight.start) == (3.0, 0.0)
        assert kept.privacy.cap == gave_way.privacy.cap == 2.0
        assert kept.training.num_steps == gave_way.training.num_steps == 7

    def test_of_fixed_values_a_closed_form_method_takes_the_measurement_only(self) -> None:
        fixed = {"penalty.weight": 3.0, "evaluation.width": 8, "training.num_steps": 7}
        blurred = space(["blur:4", "negative"], fixed=fixed).recipe({"method": "blur:4"})
        assert (blurred.evaluation.width, blurred.training.num_steps) == (8, 7)
        assert blurred.penalty.weight.start != 3.0

    def test_a_method_may_be_fixed(self) -> None:
        tables = {"search": {"privacy.weight": WEIGHT}, "fixed": {"method": "vita"}}
        recipe = SearchSpace.from_tables(tables, "x.toml").recipe({"privacy.weight": 2.0})
        assert (recipe.method, recipe.privacy.num_branches) == ("vita", 4)

    def test_an_override_ends_the_search_of_the_method(self) -> None:
        file = SHIPPED / "methods.toml"
        of = SearchSpace.load(file, {"method": "bdq"})
        assert of.search.keys() == {"privacy.weight", "anonymizer.lr"}
        assert of.recipe({"privacy.weight": 2.0, "anonymizer.lr": 1e-3}).anonymizer.network == "bdq"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"search": {"method": {"choices": ["blurr:2"]}}}, "x.toml: 'method': unknown method 'blurr'. Did you"),
    "argument": (
        {"search": {"method": {"choices": ["spact", "blur:0"]}}},
        "x.toml: 'method': sigma of 'blur' must be a number from 0.1 to 256, got 0. Write for example blur:2.0.",
    ),
    "anchor": (
        {"search": {"method": {"choices": ["spact", "identity"]}}},
        "x.toml: 'identity' is an anchor, which every study measures anyway. Leave it out.",
    ),
    "fixed anchor": (
        {"fixed": {"method": "black-out"}, "search": {"privacy.weight": WEIGHT}},
        "x.toml: 'black-out' is an anchor, which every study measures anyway. Leave it out.",
    ),
    "fixed unknown": (
        {"fixed": {"method": "spakt"}, "search": {"privacy.weight": WEIGHT}},
        "x.toml: 'method': unknown method 'spakt'. Did you mean 'spact'?",
    ),
    "range": ({"search": {"method": WEIGHT}}, "x.toml: 'method' needs choices, without 'when'. List names of methods."),
    "conditional": (
        {
            "search": {
                "privacy.bound": {"choices": ["cap"]},
                "method": {"choices": ["spact"], "when": {"privacy.bound": ["cap"]}},
            }
        },
        "x.toml: 'method' needs choices, without 'when'.",
    ),
    "no use for closed forms": (
        {"search": {"method": {"choices": ["negative", "blur"]}, "privacy.weight": WEIGHT}},
        "x.toml: 'privacy.weight' is searched, but is not used by the method 'negative' or 'blur'. Remove it.",
    ),
    "no use for the methods it names": (
        {"search": {"method": {"choices": ["spact", "bdq", "blur"]}, **weight("blur")}},
        "x.toml: 'privacy.weight' is searched, but is not used by the method 'blur'. Remove it.",
    ),
    "a part that no method uses": (
        {"search": {"method": {"choices": ["spact", "vita"]}, "penalty.threshold": WEIGHT}},
        "x.toml: 'penalty.threshold' is searched, but is not used by the method 'spact' or 'vita'. Remove it.",
    ),
    "section of a method that is not chosen": (
        {"search": {"method": {"choices": ["spact", "bdq"]}, "vita.num_branches": BRANCHES}},
        "x.toml: 'vita.num_branches' belongs to the method 'vita', which is not chosen. Leave it out, or choose",
    ),
    "fixed section of a method that is not chosen": (
        {"fixed": {"bdq.sigma": 2.0}, "search": {"privacy.weight": WEIGHT}},
        "x.toml: 'bdq.sigma' belongs to the method 'bdq', which is not chosen. Leave it out, or choose that method.",
    ),
    "unknown name in a section": (
        {"fixed": {"method": "vita", "vita.branches": 2}, "search": {"privacy.weight": WEIGHT}},
        "x.toml: unknown name 'vita.branches'. Did you mean 'vita.num_branches'?",
    ),
    "out of range in a section": (
        {"fixed": {"method": "vita", "vita.num_branches": 99}, "search": {"privacy.weight": WEIGHT}},
        "'vita.num_branches': input should be less than or equal to 16, got 99.",
    ),
    "out of range in a searched section": (
        {"search": {"method": {"choices": ["vita", "blur"]}, "vita.num_branches": BRANCHES | {"high": 17}}},
        "x.toml: no recipe at vita.num_branches = 17, 'vita.num_branches': input should be less than or equal to 16",
    ),
    "set by the section": (
        {"fixed": {"method": "vita", "privacy.num_branches": 2}, "search": {"privacy.weight": WEIGHT}},
        "'privacy.num_branches' is set by the method 'vita', got 2.",
    ),
    "set by every method": (
        {"search": {"method": {"choices": ["vita", "spact"]}, "penalty.weight": WEIGHT}},
        "x.toml: 'penalty.weight' is searched, but is not used by the method 'vita' or 'spact'. Remove it.",
    ),
    "set by the fixed method": (
        {"fixed": {"method": "spact"}, "search": {"penalty.weight": WEIGHT}},
        "x.toml: 'penalty.weight' is searched, but is not used by the method 'spact'. Remove it.",
    ),
    "fixed against the fixed method": (
        {"fixed": {"method": "spact", "penalty.weight": 2.0}, "search": {"privacy.weight": WEIGHT}},
        "'penalty.weight' is set by the method 'spact', got 2.0.",
    ),
    "when on a method that is not there": (
        {"search": {"method": {"choices": ["spact", "blur"]}, **weight("vita")}},
        "x.toml: 'privacy.weight' depends on a value that 'method' never has, got vita",
    ),
}


@pytest.mark.parametrize(("tables", "message"), BAD.values(), ids=BAD.keys())
def test_every_rule_is_one_line_with_a_remedy(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_tables(tables, "x.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class TestConditions:
    def test_a_name_is_searched_for_the_methods_that_have_a_use_for_it(self) -> None:
        search = {"privacy.weight": WEIGHT, "penalty.weight": WEIGHT, "vita.num_branches": BRANCHES}
        of = space(["blur:2", "adversarial", "spact", "vita", "blur:4"], search)
        active = {m: [n for n in search if of.is_active(n, {"method": m})] for m in of.search["method"].probes}
        assert active == {
            "blur:2": [],
            "blur:4": [],
            "adversarial": ["privacy.weight", "penalty.weight"],
            "spact": ["privacy.weight"],
            "vita": ["privacy.weight", "vita.num_branches"],
        }

    def test_it_is_the_same_space_as_with_the_methods_listed(self) -> None:
        methods = ["adversarial", "blur", "spact"]
        assert space(methods, {"privacy.weight": WEIGHT}) == space(methods, weight("adversarial", "spact"))

    def test_a_name_that_all_methods_use_has_no_condition(self) -> None:
        assert not space(["bdq", "spact"], {"privacy.weight": WEIGHT}).search["privacy.weight"].when

    def test_a_listed_method_without_a_use_is_left_out(self) -> None:
        of = space(
            ["adversarial", "blur", "spact"],
            {"penalty.weight": WEIGHT | {"when": {"method": ["adversarial", "spact"]}}},
        )
        assert of.search["penalty.weight"].when == {"method": ("adversarial",)}

    def test_a_searched_value_of_a_section_reaches_the_game(self) -> None:
        of = space(["spact", "vita"], {"vita.num_branches": BRANCHES}, fixed={"vita.restart_steps": 7})
        vita, spact = of.recipe({"method": "vita", "vita.num_branches": 2}), of.recipe({"method": "spact"})
        assert (vita.privacy.num_branches, vita.privacy.restart_steps) == (2, 7)
        assert (spact.privacy.num_branches, spact.section) == (1, None)

    def test_a_study_keeps_the_conditions_it_began_with(self) -> None:
        old = {
            "search": {"method": {"choices": ["adversarial", "spact"]}, "penalty.threshold": {"low": 0.1, "high": 0.2}}
        }
        assert SearchSpace.from_tables(old | {"defaults": {}}, "x.toml").search["penalty.threshold"].when == {}
        assert SearchSpace.from_tables(old, "x.toml").search["penalty.threshold"].when != {}


class TestOverrides:
    @pytest.mark.parametrize("method", ["spact", "bdq", "penalty-features", "vita"])
    def test_a_method_set_for_a_file_hides_what_it_has_no_use_for(self, method: str) -> None:
        of = SearchSpace.load(SHIPPED / "quickstart.toml", {"method": method})
        assert ("anonymizer.block" in of.search) == (method != "bdq")
        assert ("penalty.weight" in of.fixed) == (method == "penalty-features")
        assert ("privacy.branches" in of.fixed) == (method != "spact")
        assert {"privacy.weight", "anonymizer.lr"} <= of.search.keys()

    def test_it_hides_fixed_values_that_it_sets_itself(self) -> None:
        of = SearchSpace.load(SHIPPED / "paper_grid.toml", {"method": "penalty-detached"})
        assert of.search.keys() == {"penalty.threshold"}
        assert (of.fixed["penalty.on"], of.fixed["penalty.weight"]) == ("pixels", 1.0)

    def test_an_unknown_method_is_refused_by_name(self) -> None:
        with pytest.raises(SpaceError, match=r"unknown method 'spakt'\. Did you mean 'spact'\?"):
            SearchSpace.load(SHIPPED / "quickstart.toml", {"method": "spakt"})


def test_a_condition_on_a_condition_is_followed_to_the_method() -> None:
    search = {
        "privacy.weight.kind": {"choices": ["constant", "linear"], "when": {"method": ["spact"]}},
        "privacy.weight.start": {"low": 1.0, "high": 2.0, "when": {"method": ["spact"]}},
        "privacy.weight.end": {"low": 1.0, "high": 2.0, "when": {"privacy.weight.kind": ["linear"]}},
    }
    of = space(["spact", "blur:4"], search)
    assert not of.is_active("privacy.weight.end", {"method": "blur:4"})


class TestShipped:
    def test_methods_has_every_method_and_tries_each_first_once(self) -> None:
        of = SearchSpace.load(SHIPPED / "methods.toml")
        methods = of.search["method"].probes
        assert {find(str(m)).name for m in methods} == {spec.name for spec in specs()} - {*ANCHORS, "external"}
        assert tuple(point["method"] for point in of.first) == methods
        recipes = [of.recipe(point).model_dump(exclude={"method"}) for point in of.first]
        trained = [r for r, m in zip(recipes, methods, strict=True) if is_trained(str(m))]
        assert all(trained.count(recipe) == 1 for recipe in trained)
        assert of.study.num_trials > len(of.first)

    def test_detached_tries_every_threshold_both_ways_from_one_seed(self) -> None:
        of = SearchSpace.load(SHIPPED / "detached.toml")
        recipes = [of.recipe(point) for point in of.first]
        pairs = {(r.penalty.threshold.start, r.penalty.detached) for r in recipes}
        assert pairs == {(t, d) for t in of.search["penalty.threshold"].probes for d in (False, True)}
        assert len(pairs) == len(recipes) == of.study.num_trials
        assert {r.training.seed for r in recipes} == {0}


class Desk:
    """A bookkeeper in a folder; the next one reads the same ledger."""

    def __init__(self, folder: Path, of: SearchSpace, num_trials: int, seed: int = 0) -> None:
        self.record = OptunaMirror(of, InMemoryStorage(), "toy")
        proposer = Proposer(of, "random", seed, num_trials, self.record)
        self.book = Bookkeeper(Ledger(folder), of, proposer, StudySettings(num_trials=num_trials, seed=seed))

    def work(self, most: int = 99) -> list[Assignment]:
        """Finish the assignments that are handed out."""
        done: list[Assignment] = []
        while len(done) < most and (assignment := self.book.next()) is not None:
            self.book.start(assignment.trial_id)
            for job in assignment.jobs:
                reading = Reading(0.5, 0.2, 0.9, 0.4, 0.6, 0.5)
                score = Score(job.full, reading, reading, {}, {}, 0.0, 1, 1, 0, 0.1)
                self.book.decide(RungReport(assignment.trial_id, job.rung, job.step, score, (), 1.0, "here", ""))
            done.append(assignment)
        return done

    @property
    def trials(self) -> list[Trial]:
        return [trial for trial in self.book.trials if not trial.is_anchor]


RUNGS = {"fixed": {"training.num_steps": 90}, "study": {"rungs": {"min_steps": 10, "factor": 3}}}


def test_a_trial_says_its_method_and_a_closed_form_one_has_no_rungs_between(tmp_path: Path) -> None:
    desk = Desk(tmp_path, space(["blur:4", "bdq"], weight("bdq"), **RUNGS), 6)
    todo = {a.trial_id: a.todo for a in desk.work()}
    assert {t.method for t in desk.trials} == {"blur:4", "bdq"}
    for trial in desk.trials:
        assert trial.method == trial.params["method"]
        assert trial.state is TrialState.COMPLETE
        assert todo[trial.id] == ((0, 2) if trial.method == "blur:4" else (0, 1, 2))
    assert Ledger(tmp_path).trials()[-1].method in ("blur:4", "bdq")


@pytest.mark.parametrize("seed", range(5))
def test_a_closed_form_method_is_proposed_once_while_there_is_another(tmp_path: Path, seed: int) -> None:
    of = space(["blur:4", "negative", "bdq", "spact"], weight("bdq", "spact"), **RUNGS)
    Desk(tmp_path, of, 12, seed).work(2 + 7)  # two anchors
    desk = Desk(tmp_path, of, 12, seed + 1)  # a driver that goes on from the ledger
    desk.work()
    methods = Counter(t.method for t in desk.trials)
    assert methods["blur:4"] <= 1 and methods["negative"] <= 1
    assert methods["bdq"] + methods["spact"] >= 10
    recorded = [t.params["method"] for t in desk.record.study.trials]
    assert Counter(recorded) == methods
    weights = [t.params["privacy.weight"] for t in desk.trials if "privacy.weight" in t.params]
    assert len(set(weights)) == len(weights) >= 10


def test_points_to_try_first_come_once_each_and_before_others(tmp_path: Path) -> None:
    first = [{"method": "negative"}, {"method": "bdq", "privacy.weight": 5.0}, {"method": "blur:4"}]
    desk = Desk(tmp_path, space(["blur:4", "negative", "bdq"], weight("bdq"), first=first, **RUNGS), 6)
    desk.work()
    assert [t.method for t in desk.trials] == ["negative", "bdq", "blur:4", "bdq", "bdq", "bdq"]
    assert desk.trials[1].params["privacy.weight"] == 5.0


def test_a_study_of_closed_forms_only_goes_on_to_its_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, space(["blur:4", "negative"], **RUNGS), 4)
    desk.work()
    methods = [t.method for t in desk.trials]
    assert len(methods) == 4
    assert set(methods[:2]) == {"blur:4", "negative"}
