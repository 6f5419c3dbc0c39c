from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from anon_tune.errors import StudyError, UnreachableError, UsageError
from anon_tune.recipe import MEASURE_VERSION
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study, frozen_facts, load_study
from anon_tune.study.settings import StudySettings
from anon_tune.trackers.optuna_storage import open_storage

SPACE = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "toy.toml")


def test_the_frozen_copy_gives_back_space_and_settings(tmp_path: Path) -> None:
    settings = StudySettings(num_trials=7, clips="avatars", storage="sqlite:///x.db")
    frozen = freeze_study(tmp_path, SPACE, settings)
    assert frozen.record_name is not None
    assert frozen.model_copy(update={"record_name": None}) == settings
    assert load_study(tmp_path) == (SPACE, frozen)
    tables = tomllib.loads((tmp_path / "study.toml").read_text())
    assert tables["fingerprint"] == SPACE.fingerprint()
    assert set(tables["versions"]) == {"anon_tune", "measure", "python", "ray", "optuna"}
    more = freeze_study(tmp_path, SPACE, settings.model_copy(update={"num_trials": 9, "cpus_per_worker": 2}))
    assert load_study(tmp_path)[1] == more
    assert (more.num_trials, more.record_name) == (9, frozen.record_name)
    other = freeze_study(tmp_path, SPACE, settings.model_copy(update={"storage": "sqlite:///y.db"}))
    assert other.record_name not in (None, frozen.record_name)


def test_a_study_keeps_the_prefix_of_its_runs_and_shares_it_with_none_at_the_same_place(tmp_path: Path) -> None:
    settings = StudySettings(num_trials=7, wandb="anonymizers")
    prefix = freeze_study(tmp_path, SPACE, settings).wandb_prefix
    assert prefix is not None and load_study(tmp_path)[1].wandb_prefix == prefix
    for more in (settings, StudySettings(num_trials=9), StudySettings(wandb="others", storage="sqlite:///x.db")):
        assert freeze_study(tmp_path, SPACE, more).wandb_prefix == prefix
    (tmp_path / "study.toml").unlink()
    assert freeze_study(tmp_path, SPACE, settings).wandb_prefix not in (None, prefix)


def test_a_study_that_logged_to_wandb_before_prefixes_were_drawn_gets_none(tmp_path: Path) -> None:
    settings = StudySettings(wandb="anonymizers")
    freeze_study(tmp_path, SPACE, settings)
    file = tmp_path / "study.toml"
    file.write_text(re.sub(r"wandb_prefix = .*", "", file.read_text()))
    assert freeze_study(tmp_path, SPACE, settings).wandb_prefix is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "its seed was 0, got 1"),
        ({"rungs": False}, "its rungs was True, got False"),
        ({"clips_fingerprint": "b"}, "its clips was , got b"),
    ],
)
def test_another_study_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    freeze_study(tmp_path, SPACE, StudySettings())
    before = (tmp_path / "study.toml").read_bytes()
    with pytest.raises(StudyError) as caught:
        freeze_study(tmp_path, SPACE, StudySettings().model_copy(update=change))
    assert f"study directory of another recipe: {message}" in str(caught.value)
    assert (tmp_path / "study.toml").read_bytes() == before


def test_a_study_that_was_measured_otherwise_is_not_gone_on_with(tmp_path: Path) -> None:
    freeze_study(tmp_path, SPACE, StudySettings())
    file = tmp_path / "study.toml"
    current = file.read_text()
    file.write_text(current.replace(f'measure = "{MEASURE_VERSION}"', 'measure = "0"'))
    with pytest.raises(
        StudyError, match=rf"its version of the measure was 0, got {MEASURE_VERSION}\. Scores of two measures"
    ):
        freeze_study(tmp_path, SPACE, StudySettings())
    assert frozen_facts(tmp_path).measure_version == "0"


def test_a_study_that_was_frozen_under_old_names_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = {"penalty.weight": {"low": 0.1, "high": 10.0}}
    new = SearchSpace.from_tables({"fixed": {"evaluation.full.attackers": ["frame", "clip"]}, "search": search}, "x")
    freeze_study(tmp_path, new, StudySettings())
    file = tmp_path / "study.toml"
    names = r'"evaluation\.full\.attackers" = \[[^]]*\]'
    old = re.sub(names, '"evaluation.full.num_attackers" = 2', file.read_text(), count=1)  # under [space.fixed]
    file.write_text(re.sub(r'fingerprint = "\w{16}"', 'fingerprint = "0123456789abcdef"', old))
    space, settings = load_study(tmp_path)
    assert space == new
    assert freeze_study(tmp_path, space, settings) == settings
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{file}: 'evaluation.full.num_attackers' is now called 'evaluation.full.attackers'")
    assert load_study(tmp_path)[0].fingerprint() == new.fingerprint()


def test_what_is_no_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no study there"):
        load_study(tmp_path)
    (tmp_path / "study.toml").write_text("x = ")
    with pytest.raises(StudyError, match="not valid TOML"):
        load_study(tmp_path)
    (tmp_path / "study.toml").write_text("x = 1")
    with pytest.raises(StudyError, match="not the frozen copy of a study"):
        load_study(tmp_path)


def test_a_storage_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--storage: cannot be opened: "):
        open_storage("nonsense://x", tmp_path)
    with pytest.raises(UnreachableError, match="--storage: cannot be opened: "):
        open_storage(f"sqlite:///{tmp_path}/none/x.db", tmp_path)


def test_a_worker_has_a_share_of_one_gpu_or_whole_ones() -> None:
    for good in (0, 0.25, 1, 2):
        assert StudySettings(gpus_per_worker=good).gpus_per_worker == good
    with pytest.raises(UsageError, match=r"--gpus: must be a share of one GPU or a whole number of them, got 1\.5"):
        StudySettings(gpus_per_worker=1.5)
