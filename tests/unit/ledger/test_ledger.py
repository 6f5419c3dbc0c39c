from __future__ import annotations

import itertools
import math
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anon_tune.errors import StudyError
from anon_tune.ledger import SCHEMA, Ledger, parts
from anon_tune.trial import Cost, LossPoint, Reading, Repeat, RungReport, Score, Trial, TrialState

LEAKAGE = Reading(0.6, 0.4, 0.9, 0.5, 0.7, 0.62)
ACCURACY = Reading(0.8, 0.2, 0.95, 0.7, 0.85, 0.79)
SCORE = Score(
    True, LEAKAGE, ACCURACY, {"frame": 0.6, "clip": 0.5}, {"skin": 0.9, "hat": 0.3}, 0.07, 80, 40, 3, 1.5, 0.002
)
COST = Cost(cpu_s=8.0, gpu_s=2.0, money=0.03)
CURVE = (LossPoint(0, {"utility": 1.7, "privacy": 0.69}), LossPoint(1, {"utility": 1.5, "privacy": 0.7}))


def report(rung: int = 0, full: bool = False, seconds: float = 2.0, score: Score = SCORE) -> RungReport:
    path = "trials/0000/anonymizer.safetensors"
    return RungReport(
        "0000", rung, 10 * (rung + 1), replace(score, full=full), CURVE, seconds, "here", path, COST, 0.25
    )


def trial(name: str = "0000", state: TrialState = TrialState.RUNNING, **fields: object) -> Trial:
    anchor = name in ("identity", "black-out")
    number, method = (-1, name) if anchor else (int(name), "adversarial")
    params = {"penalty.weight": 0.5, "penalty.on": "pixels", "training.seed": 3, "penalty.detached": True}
    return Trial(name, number, method, {} if anchor else params, "f" * 16, state, **fields)  # type: ignore[arg-type]


def test_a_trial_comes_back_as_it_went(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(trial(state=TrialState.WAITING))
    ledger.append(trial(), report(0))
    ledger.append(trial(state=TrialState.COMPLETE), report(1, full=True, seconds=3.0))
    (back,) = Ledger(tmp_path / "ledger").trials()
    assert back == replace(
        trial(state=TrialState.COMPLETE),
        reports=(report(0), report(1, full=True, seconds=3.0)),
        seconds=5.0,
        started=back.started,
        ended=back.ended,
    )
    assert 0 < back.started < back.ended
    assert [type(v) for v in back.params.values()] == [bool, str, float, int]  # sorted by name


def test_anchors_come_first_then_trials_in_their_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for name in ("identity", "0010", "0002", "black-out", "0001"):
        ledger.append(trial(name))
    assert [t.id for t in ledger.trials()] == ["black-out", "identity", "0001", "0002", "0010"]


def test_a_ledger_goes_on_where_it_was(tmp_path: Path) -> None:
    Ledger(tmp_path).append(trial("0000"))
    Ledger(tmp_path).append(trial("0001"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000000.parquet", "00000001.parquet"]
    assert [t.id for t in Ledger(tmp_path).trials()] == ["0000", "0001"]


def test_no_ledger_yet_is_no_trials_yet(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "none").trials() == []
    assert not (tmp_path / "none").exists()


def test_plain_pandas_reads_the_folder(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(trial(), report(0))
    ledger.append(trial("0001", TrialState.FAILED, reason="step 3: no"))
    (tmp_path / ".00000002.parquet.4711").write_bytes(b"half a file")
    rows = pd.read_parquet(tmp_path).sort_values("record")
    assert list(rows.columns) == SCHEMA.names
    assert list(rows["trial"]) == ["0000", "0001"]
    assert list(rows["state"]) == ["RUNNING", "FAILED"]
    assert list(rows["reason"]) == ["", "step 3: no"]
    first = rows.iloc[0]
    assert (first["leakage"], first["accuracy_high"]) == (0.6, 0.85)
    assert first["leakage_normalized"] == LEAKAGE.normalized
    assert dict(first["attackers"]) == {"frame": 0.6, "clip": 0.5}
    assert rows["rung"].isna().tolist() == [False, True]


def test_a_rung_recorded_twice_counts_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(trial(), report(0, seconds=2.0))
    ledger.append(trial(), report(1, seconds=4.0))
    ledger.append(trial(), report(0, seconds=100.0))
    (back,) = ledger.trials()
    assert [(r.rung, r.seconds) for r in back.reports] == [(0, 2.0), (1, 4.0)]
    assert back.seconds == 6.0


@pytest.mark.parametrize("state", list(TrialState))
def test_a_full_score_completes_a_trial_whose_end_was_never_written(tmp_path: Path, state: TrialState) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(trial(state=state), report(0, full=True))
    (back,) = ledger.trials()
    assert back.state is (state if state.is_final else TrialState.COMPLETE)


def repeat(number: int, leakage: float = 0.5) -> Repeat:
    return Repeat(number, 7, replace(SCORE, leakage=replace(LEAKAGE, value=leakage), seed=100 + number))


def test_repeats_come_back_and_change_nothing_else(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(trial(), report(0))
    ledger.append(trial(state=TrialState.COMPLETE), report(1, full=True))
    (before,) = ledger.trials()
    for number in (2, 1):
        ledger.append_repeat(before, repeat(number))
    (after,) = Ledger(tmp_path).trials()
    assert after.repeats == (repeat(1), repeat(2))
    assert replace(after, repeats=()) == before  # its end, too, is when the study was done with it
    rows = pd.read_parquet(tmp_path).sort_values("record")
    assert rows["repeat"].tolist()[2:] == [2, 1]
    assert rows["repeat"].isna().tolist() == [True, True, False, False]
    assert rows["seed"].tolist() == [3, 3, 102, 101]


def test_of_a_repeat_recorded_twice_the_later_one_counts(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    done = trial(state=TrialState.COMPLETE)
    ledger.append(done, report(0, full=True))
    for number, leakage in ((1, 0.5), (2, 0.6), (1, 0.4)):
        ledger.append_repeat(done, repeat(number, leakage))
    (back,) = ledger.trials()
    assert back.repeats == (repeat(1, 0.4), repeat(2, 0.6))


def test_repeats_that_were_trained_again_do_not_mix_with_those_that_were_only_measured(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    done = [replace(trial(name, TrialState.COMPLETE), params={}) for name in ("identity", "0000", "0001")]
    for one in done:
        ledger.append(one, replace(report(0, full=True), weights="" if one.id == "identity" else "trials/x"))
        for number in (1, 2):
            ledger.append_repeat(one, repeat(number))
    assert all(len(one.repeats) == 2 for one in ledger.trials())
    retrained = replace(repeat(2, 0.9), training_seed=1234)
    ledger.append_repeat(done[1], retrained)  # and then the verification is interrupted
    by_id = {one.id: one.repeats for one in ledger.trials()}
    assert by_id == {"identity": (repeat(1), repeat(2)), "0000": (retrained,), "0001": ()}


def test_a_curve_is_read_point_by_point_and_travels_as_a_tuple(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(trial(), report(0))
    ledger.append(trial(), replace(report(1), curve=()))
    ((first, second),) = (t.reports for t in ledger.trials())
    assert (list(first.curve), len(second.curve)) == (list(CURVE), 0)
    assert (first.curve[-1], first.curve[1:]) == (CURVE[-1], CURVE[1:])
    assert first.curve == CURVE and first.curve != second.curve
    with pytest.raises(IndexError):
        first.curve[2]
    sent = pickle.loads(pickle.dumps(first))
    assert sent == first and type(sent.curve) is tuple


NEWER = ("repeat", "training_seed", "rung_correlation", "seconds_per_frame", "cpu_s", "gpu_s", "money", "violation")


def test_a_ledger_from_before_there_were_repeats_and_costs_goes_on(tmp_path: Path) -> None:
    Ledger(tmp_path).append(trial(state=TrialState.COMPLETE), report(0, full=True))
    part = tmp_path / "00000000.parquet"
    pq.write_table(pq.read_table(part).drop_columns(list(NEWER)), part)
    (old,) = Ledger(tmp_path).trials()
    assert old.repeats == ()
    assert (old.cost, old.is_feasible) == (Cost(), True)
    assert old.score is not None and math.isnan(old.score.seconds_per_frame)
    assert replace(old.score, seconds_per_frame=0.002) == replace(SCORE, full=True)
    Ledger(tmp_path).append_repeat(old, repeat(1))
    (back,) = Ledger(tmp_path).trials()
    assert back.repeats == (repeat(1),)
    assert back.cost == Cost()


def test_cost_and_violation_are_those_of_the_report(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(trial(), report(0))
    ledger.append(trial(), replace(report(1), violation=0.0))
    (back,) = ledger.trials()
    assert [r.violation for r in back.reports] == [0.25, 0.0]
    assert back.is_feasible
    assert back.cost == Cost(16.0, 4.0, 0.06)
    rows = pd.read_parquet(tmp_path).sort_values("record")
    assert rows[["cpu_s", "gpu_s", "money", "seconds_per_frame"]].iloc[0].tolist() == [8.0, 2.0, 0.03, 0.002]


def test_readings_that_are_not_numbers_survive(tmp_path: Path) -> None:
    odd = replace(SCORE, leakage=Reading(math.nan, 0.1, math.inf, math.nan, -math.inf, math.nan))
    Ledger(tmp_path).append(trial(), report(0, score=replace(odd, distortion=math.nan, attributes={"skin": math.nan})))
    ((back,),) = (t.reports for t in Ledger(tmp_path).trials())
    reading = back.score.leakage
    assert [math.isnan(v) for v in (reading.value, reading.low, reading.validation)] == [True] * 3
    assert (reading.floor, reading.ceiling, reading.high) == (0.1, math.inf, -math.inf)
    assert math.isnan(back.score.distortion)
    assert math.isnan(back.score.attributes["skin"])
    assert not back.score.is_finite


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really", b"x" * 5000])
def test_a_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    Ledger(tmp_path).append(trial())
    (tmp_path / "00000001.parquet").write_bytes(content)
    with pytest.raises(StudyError, match=r"00000001\.parquet: not a ledger file: .*Move it away") as caught:
        Ledger(tmp_path).trials()
    assert "\n" not in str(caught.value)


def test_a_parquet_file_of_another_kind_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"trial": [1, 2]}), tmp_path / "00000000.parquet")
    with pytest.raises(StudyError, match=r"00000000\.parquet: not a ledger file"):
        Ledger(tmp_path).trials()


def test_what_else_lies_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(trial())
    (tmp_path / ".00000001.parquet.99").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "summary.parquet").write_bytes(b"not ours")
    assert [t.id for t in Ledger(tmp_path).trials()] == ["0000"]
    Ledger(tmp_path).append(trial("0001"))
    assert [t.id for t in Ledger(tmp_path).trials()] == ["0000", "0001"]


def test_a_writer_killed_at_any_moment_leaves_whole_records(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(20):  # so that many appends are done, and the next one is on its way
        assert writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    said = 20 + len(writer.stdout.read().splitlines())
    writer.wait()
    ledger = Ledger(tmp_path)
    numbers = [t.number for t in ledger.trials()]
    assert numbers == list(range(len(numbers)))
    assert said <= len(numbers) <= said + 1  # what append said it did is there
    ledger.append(trial("9999"))
    assert [t.number for t in ledger.trials()] == [*numbers, 9999]


def test_a_ledger_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        counts = []
        while len(counts) < 10 or counts[-1] < 40:  # at least ten merges
            counts.append(len(Ledger(tmp_path).trials()))
            assert writer.poll() is None
            time.sleep(0.01)
    finally:
        writer.kill()
        writer.communicate()
    assert counts == sorted(counts)


if __name__ == "__main__":
    parts._SIZES = (4, 16)  # type: ignore[assignment]
    for number in itertools.count():
        Ledger(sys.argv[1]).append(trial(f"{number:04d}"), report(0))
        os.write(1, b"done\n")
        time.sleep(0.002)  # ten readings in a row that each meet a merge are a fault, and would be chance without it


def test_curves_are_read_as_an_earlier_version_wrote_them(tmp_path: Path) -> None:
    Ledger(tmp_path).append(trial(), report())
    (file,) = tmp_path.iterdir()
    table = pq.read_table(file)
    points = [{"step": step, "utility": 1.5, "privacy": 0.7, "penalty": 0.0, "distortion": 0.1} for step in (0, 1)]
    old = table.drop_columns(["curve_steps", "curve_terms"])
    column = pa.array([points], type=SCHEMA.field("curve").type)
    pq.write_table(old.set_column(old.column_names.index("curve"), "curve", column), file)
    Ledger(tmp_path).append(trial(state=TrialState.COMPLETE), report(1, full=True))
    (back,) = Ledger(tmp_path).trials()
    terms = {"utility": 1.5, "privacy": 0.7, "penalty": 0.0, "distortion": 0.1}
    assert tuple(back.reports[0].curve) == (LossPoint(0, terms), LossPoint(1, terms))
    assert tuple(back.reports[1].curve) == CURVE


def test_points_of_a_curve_may_have_different_terms(tmp_path: Path) -> None:
    curve = (LossPoint(0, {"utility": 1.0}), LossPoint(1, {"utility": 0.9, "bands": 2.0}))
    Ledger(tmp_path).append(trial(), replace(report(), curve=curve))
    Ledger(tmp_path).append(trial("0001"), replace(report(), trial_id="0001", curve=()))
    first, second = Ledger(tmp_path).trials()
    assert math.isnan(first.reports[0].curve[0].terms["bands"])
    assert first.reports[0].curve[1] == curve[1]
    assert tuple(second.reports[0].curve) == ()
