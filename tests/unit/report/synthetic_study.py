"""Writes a study directory with made-up but plausible numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tomli_w
from PIL import Image

from anon_tune.ledger import Ledger
from anon_tune.pareto import front_candidates
from anon_tune.trial import Cost, LossPoint, LostJob, Reading, Repeat, RungReport, Score, Trial, TrialState

NASTY = "<script>alert(1)</script>"
HOSTILE = (
    "<script>window.hit = 1</script>",
    "</script><script>window.hit = 1</script>",
    '"><img src=x onerror="window.hit = 1">',
    "' onmouseover='window.hit = 1' x='",
    "<svg onload=window.hit=1>",
    "<a href='javascript:window.hit=1'>x</a>",
    "<!--<script>",
    "]]><script>window.hit = 1</script>",
    "\u2028window.hit = 1\u2029//",
    "\\u003cimg src=x onerror=window.hit=1>",
    "${window.hit = 1}%{customdata}",
)
"""What a study that somebody sent may hold wherever a string can stand."""

NUM_TRIALS = 20
STEPS = (60, 160)
LEAKAGE_FLOOR, LEAKAGE_CEILING, ACCURACY_FLOOR, ACCURACY_CEILING = 0.31, 0.96, 0.2, 0.95


def write_study(directory: Path, num_trials: int = NUM_TRIALS) -> Path:
    """Write a ledger, previews and ``study.toml``.

    Of every ten trials the third fails, two are stopped at the first rung and one is still
    running; the others are complete. A failed trial's reason and a param hold HTML.
    """
    rng = np.random.default_rng(7)
    ledger = Ledger(directory / "ledger")
    for name, leakage, accuracy in (
        ("identity", LEAKAGE_CEILING, ACCURACY_CEILING),
        ("black-out", LEAKAGE_FLOOR, ACCURACY_FLOOR),
    ):
        anchor = Trial(name, -1, name, {}, "f" * 16, TrialState.RUNNING)
        ledger.append(anchor)
        ledger.append(replace(anchor, state=TrialState.COMPLETE), report(name, 1, leakage, accuracy, rng, curve=False))
        preview(directory, name, rng)
    for number in range(num_trials):
        _write_trial(ledger, directory, number, rng)
    (directory / "study.toml").write_text(
        '[space.study]\nname = "penalty <b>study</b>"\n[settings]\nstorage = "postgresql://u:secret@db"\n'
        f'[versions]\nanon_tune = "0.1.0"\nodd = "{NASTY}"\n',
        "utf-8",
    )
    return directory


def write_hostile_study(directory: Path) -> Path:
    """Write a study in which every string tries to run as a script in a report."""
    rng = np.random.default_rng(11)
    ledger = Ledger(directory / "ledger")
    for name in ("identity", "black-out"):
        anchor = Trial(name, -1, name, {}, "f", TrialState.COMPLETE)
        ledger.append(anchor, report(name, 1, 0.9 if name == "identity" else 0.35, 0.9, rng))
    for number, words in enumerate(HOSTILE):
        # A trial id with a slash would be refused as a path.
        name = words.replace("/", "|").replace("\\", "|")
        trial = Trial(
            name, number, "adversarial", {words: words, "penalty.weight": 0.1 * number}, words, TrialState.RUNNING
        )
        values = {words: 0.5, "skin": 0.6}
        for rung in (0, 1):
            made = report(name, rung, 0.5 + 0.03 * number, 0.6 + 0.03 * number, rng)
            beside = {words: made.score.accuracy}
            score = replace(made.score, attackers=values, attributes=values, beside=beside)
            made = replace(made, node=words, weights=words, score=score, cost=Cost(19.0, 1.0, 0.1))
            state = TrialState.COMPLETE if rung else TrialState.RUNNING
            ledger.append(replace(trial, state=state), made)
        ledger.append_lost(trial, LostJob(30.0, words))
        failed = replace(trial, id=f"{name} failed", number=100 + number, state=TrialState.FAILED, reason=words)
        ledger.append(failed)
    everything = "".join(HOSTILE)
    tables = {
        "where": everything,
        "settings": {"clips": everything, "storage": everything, everything: everything},
        "versions": {everything: everything},
        "space": {"study": {"name": everything}},
    }
    (directory / "study.toml").write_text(tomli_w.dumps(tables), "utf-8")
    return directory


def write_repeats(directory: Path, num_repeats: int = 3) -> Path:
    """Add repeats of all candidates to the ledger, with values near their scores, until every candidate has them."""
    rng = np.random.default_rng(8)
    ledger = Ledger(directory / "ledger")
    while missing := [t for t in front_candidates(ledger.trials()) if not t.repeats]:
        for trial, number in ((t, k) for t in missing for k in range(1, num_repeats + 1)):
            score = trial.score
            assert score is not None
            leakage, accuracy = rng.normal([score.leakage.value + 0.01, score.accuracy.value - 0.01], 0.02)
            again = report(trial.id, len(STEPS) - 1, float(leakage), float(accuracy), rng, curve=False)
            ledger.append_repeat(trial, Repeat(number, 0, again.score))
    return directory


def multiplied(trials: Sequence[Trial], num_trials: int) -> list[Trial]:
    """Return both anchors and so many trials: the given ones again and again, each time with readings of its own."""
    rng = np.random.default_rng(9)
    ours = [t for t in trials if not t.is_anchor]
    made = [t for t in trials if t.is_anchor]
    for number in range(num_trials):
        model = ours[number % len(ours)]
        reports = []
        for old in model.reports:
            leakage, accuracy = rng.normal([old.score.leakage.value, old.score.accuracy.value], 0.05).clip(0.01, 0.99)
            new = report(model.id, old.rung, float(leakage), float(accuracy), rng, curve=number % 7 == 0)
            reports.append(replace(new, trial_id=f"{number:04d}", violation=0.1 * (number % 11 == 0)))
        fields = {"id": f"{number:04d}", "number": number, "reports": tuple(reports), "ended": model.ended + number}
        made.append(replace(model, **fields))
    return made


def _write_trial(ledger: Ledger, directory: Path, number: int, rng: np.random.Generator) -> None:
    name = f"{number:04d}"
    threshold = float(rng.uniform(0.02, 0.3))
    params: dict[str, float | int | str | bool] = {
        "penalty.weight": float(10 ** rng.uniform(-1, 2)),
        "penalty.threshold": threshold,
        "penalty.on": str(rng.choice(["pixels", "features"])),
        "training.num_branch_updates": int(rng.integers(1, 4)),
    }
    if number % 3 == 0:
        params["penalty.weight.end"] = float(rng.uniform(0, 5))
    if number == 4:
        params["penalty.on"] = NASTY
    hidden = np.clip(threshold / 0.3 + rng.normal(0, 0.1), 0, 1)
    leakage = LEAKAGE_CEILING - 0.55 * hidden**0.8
    accuracy = ACCURACY_CEILING - 0.6 * hidden**2.5 - abs(rng.normal(0, 0.05))
    method = {6: "blur:4", 7: "spact"}.get(number, "adversarial")
    trial = Trial(name, number, method, params, f"{number:016x}", TrialState.RUNNING)
    ledger.append(trial)
    if number % 10 == 3:
        reason = f"training: L_T must be finite, got nan at step 17. {NASTY}"
        ledger.append(replace(trial, state=TrialState.FAILED, reason=reason))
        return
    trains = method != "blur:4"
    ledger.append(trial, report(name, 0, leakage - 0.05, accuracy - 0.1, rng, trains))
    if number % 10 in (5, 8):
        ledger.append(replace(trial, state=TrialState.PRUNED, reason="dominated at rung 0"))
    elif number % 10 != 9:
        ledger.append(replace(trial, state=TrialState.COMPLETE), report(name, 1, leakage, accuracy, rng, trains))
        preview(directory, name, rng)


def report(
    name: str, rung: int, leakage: float, accuracy: float, rng: np.random.Generator, curve: bool = True
) -> RungReport:
    """Make a report whose readings lie around the given values; the last rung's is full."""
    full = rung == len(STEPS) - 1
    score = Score(
        full=full,
        leakage=reading(leakage, LEAKAGE_FLOOR, LEAKAGE_CEILING, rng),
        accuracy=reading(accuracy, ACCURACY_FLOOR, ACCURACY_CEILING, rng),
        attackers={"frame": leakage, "clip": leakage * 0.96, "motion": leakage * 0.9} if full else {"frame": leakage},
        attributes={n: float(np.clip(leakage + d, 0, 1)) for n, d in (("skin", 0.05), ("hair", -0.1), ("build", 0.02))},
        distortion=0.1,
        num_train_clips=320,
        num_test_clips=160,
        seed=0,
        seconds=3.0,
        seconds_per_frame=0.0023,
    )
    first = STEPS[rung - 1] if rung else 0
    points = [
        LossPoint(
            step,
            {
                "utility": 1.6 * math.exp(-step / 80) + float(rng.normal(0, 0.03)),
                "privacy": 0.3 + 0.3 * (1 - math.exp(-step / 50)) + float(rng.normal(0, 0.02)),
                "penalty": max(0.0, float(rng.normal(0.02, 0.02))),
                "distortion": 0.15 * (1 - math.exp(-step / 30)),
            },
        )
        for step in range(first, STEPS[rung], 4)
    ]
    checkpoint = f"trials/{name}/anonymizer.safetensors" if curve else ""
    curve_points = tuple(points if curve else ())
    cost = Cost(cpu_s=19.0, money=0.004)
    return RungReport(name, rung, STEPS[rung], score, curve_points, 9.5, "node-1", checkpoint, cost)


def reading(value: float, floor: float, ceiling: float, rng: np.random.Generator) -> Reading:
    """Make a reading with an interval of about four points to either side."""
    low, high = value - rng.uniform(0.02, 0.05), value + rng.uniform(0.02, 0.05)
    return Reading(value, floor, ceiling, max(low, 0.0), min(high, 1.0), value + float(rng.normal(0, 0.01)))


def preview(directory: Path, name: str, rng: np.random.Generator) -> None:
    """Write 2 original rows of 6 frames above their 2 altered rows."""
    frames = np.zeros((2, 6, 48, 48, 3))
    for clip, time in np.ndindex(2, 6):
        frames[clip, time] = rng.uniform(0.3, 0.6, 3)
        frames[clip, time, 14:40, 6 + 5 * time : 16 + 5 * time] = (0.9, 0.5 - 0.3 * clip, 0.2 + 0.5 * clip)
    shades = {"identity": frames, "black-out": frames * 0}
    altered = shades.get(name, frames.mean(axis=-1, keepdims=True) * 0.6 + 0.2 + 0 * frames)
    rows = np.concatenate([frames, altered]).transpose(0, 2, 1, 3, 4).reshape(4 * 48, 6 * 48, 3)
    file = directory / "trials" / name / "preview.png"
    file.parent.mkdir(parents=True)
    Image.fromarray((rows * 255).astype(np.uint8)).save(file)
