"""A figure of the jobs on each node over time, including lost jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from anon_tune.report.chart import LEGEND, SKY, VERMILLION, Chart, axis
from anon_tune.report.wording import duration, percent, shorten, text
from anon_tune.trial import Trial

_MOST_JOBS = 2000  # only the newest jobs are drawn, because more of them slow the browser down
_LANE_PX = 16
_MOST_PX = 1200


class _Job(NamedTuple):
    node: str
    start: float
    end: float
    trial_id: str
    what: str


def nodes_chart(trials: Sequence[Trial]) -> Chart | None:
    """Draw every job as a bar at its node, lost jobs in another colour. Return None if there is no job yet.

    Jobs that ran at the same time on a node have different lanes. Of very many jobs, the newest are drawn.
    """
    done = [
        _Job(report.node, report.ended - report.seconds, report.ended, trial.id, f"rung {report.rung}")
        for trial in trials
        for report in trial.reports
    ]
    lost = [
        _Job(job.node, job.ended - job.seconds, job.ended, trial.id, "lost") for trial in trials for job in trial.lost
    ]
    jobs = sorted([*done, *lost], key=lambda job: job.end)[-_MOST_JOBS:]
    if not jobs:
        return None
    jobs.sort(key=lambda job: job.start)
    lanes = _lanes(jobs)
    order = sorted(set(lanes))
    place = {lane: index for index, lane in enumerate(order)}
    placed = [(job, place[lane]) for job, lane in zip(jobs, lanes, strict=True)]
    data = [
        _bars(name, colour, [pair for pair in placed if (pair[0].what == "lost") is is_lost], jobs[0].start)
        for name, colour, is_lost in (("reported", SKY, False), ("lost", VERMILLION, True))
    ]
    data = [trace for trace in data if len(trace.x)]
    # A node has one label, at its first lane.
    firsts = {node: place[node, lane] for node, lane in reversed(order)}

    def layout(narrow: bool) -> dict[str, Any]:
        return {
            "barmode": "overlay",
            "bargap": 0.2,
            "legend": LEGEND | {"traceorder": "normal"},
            "height": 130 + min(_LANE_PX * max(len(order), 3), _MOST_PX) + (20 if narrow else 0),
            "xaxis": axis("Minutes since the first job"),
            "yaxis": axis(
                autorange="reversed",
                tickvals=list(firsts.values()),
                ticktext=[text(shorten(node or "unknown", 12 if narrow else 24)) for node in firsts],
                ticks="",
                showgrid=False,
            ),
        }

    return Chart(data, layout)


def lost_note(trials: Sequence[Trial]) -> str:
    """Return sentences about the jobs that were lost; empty if none was lost."""
    lost = [job for trial in trials for job in trial.lost]
    if not lost:
        return ""
    seconds = sum(job.seconds for job in lost)
    total = seconds + sum(trial.seconds for trial in trials)
    jobs = "1 job" if len(lost) == 1 else f"{len(lost)} jobs"
    return (
        f"{jobs} ended without a report, {duration(seconds)} of {duration(total)} ({percent(seconds / total)}). At "
        "most this time was lost: trainers save a checkpoint every minute, and work before the last checkpoint was not "
        "done again. This counts jobs that failed, whose worker died or hung, or whose driver was stopped, but not "
        "those of a driver that was killed."
    )


def _lanes(jobs: Sequence[_Job]) -> list[tuple[str, int]]:
    """Return, for jobs in the order of their starts, the node of each and the first lane that is free there."""
    free: dict[str, list[float]] = {}
    lanes = []
    for job in jobs:
        ends = free.setdefault(job.node, [])
        # The start is computed from the seconds that the worker measured, the end is when the driver got the report.
        # So the start may be slightly too early.
        start = job.start + min(1.0, 0.1 * (job.end - job.start))
        lane = next((lane for lane, end in enumerate(ends) if end <= start), len(ends))
        ends[lane : lane + 1] = [job.end]
        lanes.append((job.node, lane))
    return lanes


def _bars(name: str, colour: str, jobs: Sequence[tuple[_Job, int]], zero: float) -> Any:
    return go.Bar(
        name=name,
        orientation="h",
        y=[place for _, place in jobs],
        base=[(job.start - zero) / 60 for job, _ in jobs],
        x=[(job.end - job.start) / 60 for job, _ in jobs],
        marker={"color": colour, "line": {"width": 0.5, "color": "#FFFFFF"}},
        hovertext=[f"<b>{text(job.trial_id)}</b> {text(job.what)}, {duration(job.end - job.start)}" for job, _ in jobs],
        hoverinfo="text",
    )
