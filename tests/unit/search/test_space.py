from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution

from anon_tune.attackers.by_size import audit_by_size
from anon_tune.errors import SpaceError, UsageError
from anon_tune.recipe import AuditRecipe, EffortRecipe
from anon_tune.search.by_clips import for_clips
from anon_tune.search.parameters import Choices, Range
from anon_tune.search.points import grid_points
from anon_tune.search.sampler import distributions
from anon_tune.search.space import SearchSpace

SHIPPED = sorted((Path(__file__).parents[3] / "search_spaces").glob("*.toml"))


def load(folder: Path, text: str, **overrides: object) -> SearchSpace:
    file = folder / "space.toml"
    file.write_text(text)
    return SearchSpace.load(file, {name.replace("__", "."): value for name, value in overrides.items()})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_spaces_load_and_survive_their_frozen_copy(path: Path) -> None:
    space = SearchSpace.load(path)
    assert path.read_text().startswith("# ")
    assert SearchSpace.from_tables(space.tables(), str(path)) == space


def test_these_spaces_are_shipped() -> None:
    assert [p.stem for p in SHIPPED] == [
        "detached",
        "hmdb51_vispr",
        "methods",
        "motion",
        "pa_hmdb51",
        "paper_grid",
        "penalty",
        "private",
        "quickstart",
        "schedule",
        "ucf101_vispr",
        "vp_hmdb51",
    ]


def test_quoted_and_dotted_names_are_the_same(tmp_path: Path) -> None:
    quoted = load(tmp_path, '[fixed]\n"training.seed" = 3\n[search]\n"penalty.weight" = {low = 0.1, high = 1.0}')
    dotted = load(tmp_path, "[fixed]\ntraining.seed = 3\n[search.penalty.weight]\nlow = 0.1\nhigh = 1.0")
    assert quoted == dotted
    assert quoted.search == {"penalty.weight": Range(low=0.1, high=1.0)}
    assert quoted.recipe({"penalty.weight": 0.5}).training.seed == 3


BAD = {
    "unknown name": (
        '[search]\n"penalty.wieght" = {low = 0.1, high = 1.0}',
        "unknown name 'penalty.wieght'. Did you mean 'penalty.weight'?",
    ),
    "unknown fixed name": ('[fixed]\n"training.sed" = 1', "unknown name 'training.sed'. Did you mean 'training.seed'?"),
    "unknown table": ("[serach]", "unknown table 'serach'. Did you mean 'search'?"),
    "unknown key": (
        '[search]\n"penalty.weight" = {low = 0.1, high = 1.0, logg = true}',
        "'penalty.weight': unknown key 'logg'. Did you mean 'log'?",
    ),
    "missing end": ('[search]\n"penalty.weight" = {low = 0.1}', "'penalty.weight': 'high' is missing"),
    "ends swapped": ('[search]\n"penalty.weight" = {low = 2, high = 1}', "low must be below high, got 2 and 1"),
    "log of zero": (
        '[search]\n"penalty.weight" = {low = 0, high = 1, log = true}',
        "low must be above 0 on a log scale, got 0",
    ),
    "log with step": (
        '[search]\n"penalty.weight" = {low = 1, high = 9, log = true, step = 2}',
        "step must be above 0 and never with log, got 2",
    ),
    "steps past the end": (
        '[search]\n"training.num_branch_updates" = {low = 1, high = 10, step = 4, integer = true}',
        "num_branch_updates': high must be reached from 1 in steps of 4, got 10. Set high = 9, or another step.",
    ),
    "step past the range": (
        '[search]\n"training.num_branch_updates" = {low = 1, high = 3, step = 5, integer = true}',
        "high must be reached from 1 in steps of 5, got 3. Set a smaller step.",
    ),
    "steps of fractions past the end": (
        '[search]\n"penalty.weight" = {low = 0.1, high = 1.0, step = 0.2}',
        "high must be reached from 0.1 in steps of 0.2, got 1.0. Set high = 0.9, or another step.",
    ),
    "fractional integer": (
        '[search]\n"training.num_branch_updates" = {low = 1.5, high = 3, integer = true}',
        "an integer range has whole ends and step, got 1.5 to 3",
    ),
    "boolean end": ('[search]\n"penalty.weight" = {low = true, high = 9}', "'low': input should be a valid"),
    "infinite end": ('[search]\n"penalty.weight" = {low = 0, high = inf}', "'high': input should be a finite number"),
    "no choices": ('[search]\n"penalty.on" = {choices = []}', "'choices': tuple should have at least 1 item"),
    "choice twice": ('[search]\n"penalty.on" = {choices = ["pixels", "pixels"]}', "choices must all differ"),
    "neither": ('[search]\n"penalty.weight" = 2', "'penalty.weight' needs low and high, or choices, got 2"),
    "nothing searched": ('[fixed]\n"training.seed" = 1', "nothing is searched"),
    "bad choice": (
        '[search]\n"penalty.on" = {choices = ["pixels", "frames"]}',
        "no recipe at penalty.on = frames, 'penalty.on': input should be 'pixels' or 'features', got frames",
    ),
    "low end out of range": (
        '[search]\n"penalty.weight" = {low = -1.0, high = 1.0}',
        "'penalty.weight' must be at least 0 at every step, got -1.0",
    ),
    "high end out of range": (
        '[search]\n"privacy.cap" = {low = 1.0, high = 99.0}',
        "no recipe at privacy.cap = 99.0, 'privacy.cap': input should be less than or equal to 10, got 99.0",
    ),
    "integer forgotten": (
        '[search]\n"training.batch_clips" = {low = 4, high = 32}',
        "'training.batch_clips': input should be a valid integer",
    ),
    "fixed value out of range": (
        '[fixed]\n"training.batch_clips" = 0\n[search]\n"penalty.weight" = {low = 1, high = 2}',
        "'training.batch_clips': input should be greater than or equal to 1, got 0",
    ),
    "both": (
        '[fixed]\n"penalty.weight" = 1\n[search]\n"penalty.weight" = {low = 1, high = 2}',
        "'penalty.weight' is both fixed and searched",
    ),
    "schedule without end": (
        '[search]\n"penalty.weight.start" = {low = 1, high = 2}\n'
        '"penalty.weight.kind" = {choices = ["constant", "linear"]}',
        "no recipe at penalty.weight.kind = linear, 'penalty.weight': 'end' must be given",
    ),
    "evaluation searched": (
        '[search]\n"evaluation.width" = {low = 4, high = 8, integer = true}',
        "'evaluation.width' must not be searched, because scores could not be compared",
    ),
    "when on nothing": (
        '[search]\n"privacy.cap" = {low = 1, high = 2, when = {"privacy.bound" = ["cap"]}}',
        "'privacy.cap' depends on 'privacy.bound', which is not searched",
    ),
    "when on a range": (
        '[search]\n"penalty.weight" = {low = 1, high = 2}\n'
        '"privacy.cap" = {low = 1, high = 2, when = {"penalty.weight" = [1]}}',
        "'privacy.cap' depends on 'penalty.weight', which has a range",
    ),
    "when on no such value": (
        '[search]\n"privacy.bound" = {choices = ["cap"]}\n'
        '"privacy.cap" = {low = 1, high = 2, when = {"privacy.bound" = ["tanh"]}}',
        "'privacy.cap' depends on a value that 'privacy.bound' never has, got tanh",
    ),
    "when in a circle": (
        '[search]\n"privacy.bound" = {choices = ["cap"], when = {"penalty.on" = ["pixels"]}}\n'
        '"penalty.on" = {choices = ["pixels"], when = {"privacy.bound" = ["cap"]}}',
        "conditions go in a circle",
    ),
    "first not searched": (
        '[search]\n"penalty.weight" = {low = 1, high = 2}\n[[first]]\n"penalty.threshold" = 0.1',
        "[[first]] names 'penalty.threshold', which is not searched",
    ),
    "first no table": (
        'first = [3]\n[search]\n"penalty.weight" = {low = 1, high = 2}',
        "'first' must be an array of tables, got 3. Write each point under [[first]].",
    ),
    "first out of range": (
        '[search]\n"penalty.weight" = {low = 1, high = 2}\n[[first]]\n"penalty.weight" = 3',
        "[[first]] 'penalty.weight' must be within its range or choices, got 3",
    ),
    "study key": (
        '[study]\nnum_trails = 3\n[search]\n"penalty.weight" = {low = 1, high = 2}',
        "[study]: unknown key 'num_trails'. Did you mean 'num_trials'?",
    ),
    "rung factor": (
        '[study]\nrungs = {min_steps = 5, factor = 1}\n[search]\n"penalty.weight" = {low = 1, high = 2}',
        "[study]: 'rungs.factor': input should be greater than or equal to 2, got 1",
    ),
    "not toml": ('[search]\n"penalty.weight" = {low = 1,, high = 2}', "is not valid TOML: "),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_every_rule_names_file_and_fault_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "space.toml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("high", "last"), [(1.0, 1.0), (0.95, 0.9)])
def test_steps_end_where_they_lead_without_a_warning_of_optuna(high: float, last: float) -> None:
    # A study that an earlier version began may have a range whose end no step reaches.
    space = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": high, "step": 0.1}}}, "x.toml")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (kind,) = distributions(space, {"penalty.weight": 0.1}).values()
    assert isinstance(kind, FloatDistribution) and kind.high == last


def test_values_of_steps_lie_in_their_range_though_steps_are_not_exact() -> None:
    steps = Range(low=0.1, high=0.7, step=0.1)
    assert steps.at(0.999) == steps.grid(0)[-1] == 0.7
    assert all(map(steps.accepts, steps.grid(0))) and len(steps.grid(0)) == 7


def test_a_grid_too_large_to_count_is_cut_off() -> None:
    names = ("training.num_steps", "training.batch_clips", "anonymizer.levels", "training.log_every")
    most = {"anonymizer.levels": 255, "training.batch_clips": 4095}
    tables = {name: {"low": 2, "high": most.get(name, 10**9), "integer": True} for name in names}
    points = grid_points(SearchSpace.from_tables({"search": tables}, "x.toml"), 7, 0)
    assert len(points) == 7 and len({tuple(point.values()) for point in points}) == 7


def test_a_syntax_error_is_given_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="at line 2"):
        load(tmp_path, "[search]\nx = = 1")


def test_a_file_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_bytes("# caf\u00e9".encode("latin-1"))
    with pytest.raises(SpaceError, match=r"space\.toml: must be text in UTF-8, got byte 0xe9\. Save it again\.$"):
        SearchSpace.load(tmp_path / "space.toml")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SpaceError, match=r"no\.toml: cannot be read: No such file or directory"):
        SearchSpace.load("no.toml")


class TestExtends:
    PARENT = """
[study]
num_trials = 5
name = "parent"
[fixed]
"training.seed" = 1
"privacy.cap" = 2.0
[search]
"penalty.weight" = {low = 1, high = 2}
"penalty.on" = {choices = ["pixels", "features"]}
[[first]]
"penalty.weight" = 1.5
"penalty.on" = "pixels"
"""

    def child(self, folder: Path, text: str) -> SearchSpace:
        (folder / "parent.toml").write_text(self.PARENT)
        return load(folder, 'extends = "parent.toml"\n' + text)

    def test_child_wins_name_by_name(self, tmp_path: Path) -> None:
        text = (
            '[study]\nname = "child"\n[fixed]\n"penalty.on" = "pixels"\n[search]\n"privacy.cap" = {low = 1, high = 3}'
        )
        space = self.child(tmp_path, text)
        assert space.fixed == {"training.seed": 1, "penalty.on": "pixels"}
        assert set(space.search) == {"penalty.weight", "privacy.cap"}
        assert space.first == ({"penalty.weight": 1.5},)
        assert (space.study.name, space.study.num_trials) == ("child", 5)

    def test_a_field_of_a_schedule_hides_the_whole(self, tmp_path: Path) -> None:
        space = self.child(tmp_path, '[search]\n"penalty.weight.start" = {low = 3, high = 4}')
        assert set(space.search) == {"penalty.weight.start", "penalty.on"}
        assert space.recipe({"penalty.weight.start": 3.5, "penalty.on": "pixels"}).penalty.weight.start == 3.5

    def test_a_circle_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SpaceError, match="leads back to the file itself"):
            load(tmp_path, 'extends = "space.toml"')


class TestOverrides:
    TEXT = """
[search]
"penalty.threshold" = {low = 0.1, high = 0.2}
"penalty.weight.kind" = {choices = ["constant", "linear"]}
"penalty.weight.start" = {low = 1, high = 2}
"penalty.weight.end" = {low = 1, high = 2, when = {"penalty.weight.kind" = ["linear"]}}
[[first]]
"penalty.weight.kind" = "linear"
"penalty.weight.end" = 1.5
"penalty.threshold" = 0.15
"""

    def test_a_value_ends_the_search_and_settles_conditions(self, tmp_path: Path) -> None:
        linear = load(tmp_path, self.TEXT, penalty__weight__kind="linear")
        assert linear.search["penalty.weight.end"].when == {}
        constant = load(tmp_path, self.TEXT, penalty__weight__kind="constant")
        assert set(constant.search) == {"penalty.threshold", "penalty.weight.start"}
        assert constant.first == ({"penalty.threshold": 0.15},)

    def test_a_whole_schedule_replaces_its_fields(self, tmp_path: Path) -> None:
        space = load(tmp_path, self.TEXT, penalty__weight=2.0)
        assert set(space.search) == {"penalty.threshold"}

    def test_an_unknown_name_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SpaceError, match=r"--set: unknown name 'penalty.wait'\. Did you mean 'penalty.weight'\?"):
            load(tmp_path, self.TEXT, penalty__wait=2.0)

    def test_they_change_the_fingerprint(self, tmp_path: Path) -> None:
        assert load(tmp_path, self.TEXT).fingerprint() != load(tmp_path, self.TEXT, training__seed=1).fingerprint()


def test_the_fingerprint_ignores_what_does_not_change_a_score(tmp_path: Path) -> None:
    text = '[search]\n"penalty.weight" = {low = 1, high = 2}\n[study]\n'
    plain = load(tmp_path, text).fingerprint()
    assert plain == load(tmp_path, text + 'name = "x"\nnum_trials = 7').fingerprint()
    assert plain != load(tmp_path, text + "rungs = {min_steps = 5}").fingerprint()


def test_conditions_may_be_nested() -> None:
    space = SearchSpace.load(Path(__file__).parents[3] / "search_spaces" / "schedule.toml")
    params = {"privacy.weight.kind": "linear"}
    assert space.is_active("privacy.weight.end", params)
    assert not space.is_active("privacy.weight.num_stairs", params)
    names = list(space.search)
    assert all(names.index(other) < names.index(name) for name in names for other in space.search[name].when)


def test_an_anchor_takes_the_fixed_measurement_only() -> None:
    tables = {
        "fixed": {"penalty.weight.end": 2.0, "penalty.weight.kind": "linear", "evaluation.width": 8},
        "search": {"penalty.weight.start": {"low": 1.0, "high": 2.0}},
    }
    anchor = SearchSpace.from_tables(tables, "x.toml").recipe({}, method="identity")
    assert (anchor.method, anchor.evaluation.width, anchor.penalty.weight.kind) == ("identity", 8, "constant")


def test_choices_tell_booleans_from_numbers() -> None:
    assert not Choices(choices=(0, 2)).accepts(False)
    assert Choices(choices=(False, True)).accepts(True)


def test_importing_the_room_loads_neither_ray_nor_optuna_nor_torch() -> None:
    code = "import sys, anon_tune.search.space; print([m for m in ('ray', 'optuna', 'torch') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_numbers_keep_their_kind(tmp_path: Path) -> None:
    space = load(
        tmp_path, '[search]\n"training.batch_clips" = {choices = [4, 8]}\n"penalty.detached" = {choices = [true]}'
    )
    assert [type(v) for p in space.search.values() for v in p.probes] == [int, int, bool]


@pytest.mark.parametrize("names", ["frame,clip", ["frame", "clip"], ("frame", "clip")])
def test_a_study_names_its_attackers(tmp_path: Path, names: object) -> None:
    text = '[fixed]\nevaluation.rung.attackers = ["motion"]\n[search]\n"penalty.weight" = {low = 0.1, high = 1.0}'
    space = load(tmp_path, text, evaluation__full__attackers=names)
    evaluation = space.recipe({"penalty.weight": 0.5}).evaluation
    assert (evaluation.rung.attackers, evaluation.full.attackers) == (("motion",), ("frame", "clip"))
    assert SearchSpace.from_tables(space.tables(), str(tmp_path / "space.toml")) == space


def test_a_number_of_attackers_is_taken_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = '[fixed]\n"evaluation.full.num_attackers" = 2\n[search]\n"penalty.weight" = {low = 0.1, high = 1.0}'
    space = load(tmp_path, text, evaluation__rung__num_attackers=3)
    evaluation = space.recipe({"penalty.weight": 0.5}).evaluation
    assert (evaluation.rung.attackers, evaluation.full.attackers) == (("frame", "clip", "motion"), ("frame", "clip"))
    said = [line.partition(" is now")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == [
        f"{tmp_path / 'space.toml'}: 'evaluation.full.num_attackers'",
        "--set: 'evaluation.rung.num_attackers'",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '"evaluation.full.attackers" = ["fram"]',
            "'evaluation.full.attackers': unknown attacker 'fram'. Did you mean ",
        ),
        ('"evaluation.full.fresh" = ["fram"]', "'evaluation.full.fresh': unknown attacker 'fram'. Did you mean "),
        ('"evaluation.rung.attackers" = "frame,faces"', "'evaluation.rung.attackers': unknown attacker 'faces'. "),
        ('"utility.network" = "r3d_19"', "'utility.network': unknown network 'r3d_19'. Did you mean 'r3d_18'?"),
        (
            '"anonymizer.network" = "small3d"',
            "'anonymizer.network': 'small3d' must be a network for 'anonymizer', and ",
        ),
    ],
)
def test_a_name_that_nobody_knows_is_refused_before_any_trial(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, f'[fixed]\n{line}\n[search]\n"penalty.weight" = {{low = 0.1, high = 1.0}}')
    assert str(caught.value).startswith(f"{tmp_path / 'space.toml'}: {message}")


def test_epochs_become_steps_with_the_clips_of_a_study(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[fixed]\n"training.num_steps" = 7\n[search]\n"training.batch_clips" = { choices = [4, 8] }\n')
    space = SearchSpace.load(path, {"training.num_epochs": 2})  # replaces the number of steps of the file
    space = SearchSpace.from_tables(for_clips(space, 64, 32, 32).tables(), "frozen")
    assert [space.levels(space.recipe({"training.batch_clips": size})) for size in (4, 8)] == [(8,), (4,)]
    plain = SearchSpace.load(path)
    assert for_clips(plain, 64, 32, 200) is plain


def test_large_clips_are_measured_by_large_networks_unless_a_space_names_others(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[search]\n"training.batch_clips" = { choices = [4, 8] }\n')

    def found(**overrides: str) -> tuple[tuple[str, ...], str]:
        given = {f"evaluation.{name.replace('__', '.')}": value for name, value in overrides.items()}
        space = for_clips(SearchSpace.load(path, given), 64, 112, 112)
        evaluation = SearchSpace.from_tables(space.tables(), "frozen").recipe({}).evaluation
        return evaluation.full.attackers, evaluation.classifier

    usual = EffortRecipe().attackers
    assert found() == ((*usual, "timm:resnet18", "torchvision:r3d_18"), "torchvision:r3d_18")
    assert found(full__attackers="motion") == (("motion",), "torchvision:r3d_18")
    assert found(classifier="small")[1] == "small"
    earlier = SearchSpace.load(path)
    assert for_clips(earlier, 64, 112, 112, begun=earlier.fixed) is earlier  # begun by a version without this rule
    later = for_clips(earlier, 64, 112, 112)
    assert for_clips(earlier, 64, 112, 112, begun=later.fixed) == later
    audit = AuditRecipe.from_params({"classifier": "small"})
    assert audit_by_size(audit, 111, 224) is audit
    large = audit_by_size(audit, 112, 224)
    assert (large.attackers, large.classifier) == ((*usual, "timm:resnet18", "torchvision:r3d_18"), "small")
