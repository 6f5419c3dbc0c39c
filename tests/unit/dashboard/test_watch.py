from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anon_tune.dashboard.listing import listing
from anon_tune.dashboard.watch import Watch
from anon_tune.folder import Location
from anon_tune.ledger import Ledger
from anon_tune.trial import Trial, TrialState


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study directory with two trials that wait."""
    directory = tmp_path / "runs" / "first"
    for number in range(2):
        Ledger(directory / "ledger").append(
            Trial(f"{number:04}", number, "adversarial", {}, "f" * 16, TrialState.WAITING)
        )
    (directory / "study.toml").write_text("")
    return directory


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watch]]:
    """Start to watch folders, more often than a user's dashboard looks; it ends with the test."""
    monkeypatch.setattr("anon_tune.dashboard.watch._FIND_EVERY_S", 0.3)
    monkeypatch.setattr("anon_tune.dashboard.watched._LOOK_EVERY_S", 0.2)
    started = []

    def start(*roots: Location) -> Watch:
        started.append(Watch(roots, "token"))
        started[-1].start()
        return started[-1]

    yield start
    for watch in started:
        watch.stop()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def shown(watch: Watch) -> str:
    return "".join(section.html for section in listing(watch, "token"))


def test_a_store_that_is_away_is_told_and_holds_up_no_other_folder(
    study: Path, watching: Callable[..., Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    watch = watching("s3://away/studies", study.parent)
    wait_for(lambda: any(one.snapshot for one in watch.studies().values()))
    assert [one.study.name for one in watch.studies().values()] == ["first"]
    wait_for(lambda: watch.problems)
    assert watch.problems[0].startswith("s3://away/studies: ")
    assert "s3://away/studies: " in shown(watch) and ">first</a>" in shown(watch)


def test_a_study_that_is_gone_is_forgotten_and_one_below_a_folder_that_is_gone_says_so(
    study: Path, watching: Callable[..., Watch]
) -> None:
    other = Path(shutil.copytree(study, study.parent / "second"))
    watch = watching(study.parent)
    wait_for(lambda: len(watch.studies()) == 2)
    shutil.rmtree(other)
    wait_for(lambda: len(watch.studies()) == 1)
    study.parent.rename(study.parent.parent / "away")
    wait_for(lambda: watch.problems)
    wait_for(lambda: all(one.snapshot and one.snapshot.problem for one in watch.studies().values()))
    assert len(watch.studies()) == 1 and "cannot be read: No such file or directory" in shown(watch)
    (study.parent.parent / "away").rename(study.parent)
    wait_for(lambda: not watch.problems)
    wait_for(lambda: all(one.snapshot and one.snapshot.shown for one in watch.studies().values()))
