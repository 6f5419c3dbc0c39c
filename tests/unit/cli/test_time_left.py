"""What commands that take days say of the time left."""

from __future__ import annotations

import pytest

from anon_tune.cli.anonymize_view import VideoProgress
from anon_tune.cli.certify import show_step
from anon_tune.cli.clock import clock
from anon_tune.cli.verify import _show
from anon_tune.commands.certify import CertifyStep
from anon_tune.errors import DataError
from anon_tune.study.verification_plan import VerifyStep
from anon_tune.trial import Reading, Repeat, Score

HOURS_26 = 26.5 * 3600


def test_whole_days_are_counted_in_hours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(0.5, 0.2, 0.9, 0.4, 0.6, 0.5)
    score = Score(True, reading, reading, {}, {}, 0.1, 1, 1, 0, 1.0)
    _show(VerifyStep("0000", Repeat(1, 0, score), 1, 2, HOURS_26))
    show_step(CertifyStep("0000", None, DataError("clips", "must not be empty"), 1, 2, HOURS_26))
    progress = VideoProgress("long.mp4")
    now = progress._started + 3600
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress.show(10, 275)  # in an hour
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and all(line.endswith(", about 26:30:00 left") for line in said), said


def test_a_time_is_as_short_as_it_can_be() -> None:
    assert [clock(seconds) for seconds in (5, 125, 3725, None)] == ["0:05", "2:05", "1:02:05", "?"]
