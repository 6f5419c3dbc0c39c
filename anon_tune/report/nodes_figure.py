"""A figure of the jobs over time on each node, including lost jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from anon_tune.report.chart import LEGEND, SKY, VERMILLION, Chart, axis
from anon_tune.report.wording import duration, percent, shorten, text
from anon_tune.trial import Trial

_MOST_JOBS = 2000  # of more the newest: a browser draws each as a path
_LANE_PX = 16
_MOST_PX = 1200


class _Job(NamedTuple):
    node: str
    start: float
    end: float
    trial: str
    what: str


def nodes_chart(trials: Sequence[Trial]) -> Chart | None:
    """Draw every job as a bar in the lanes of its node, lost ones in their own colour; None as long as there is none.

    Jobs that ran at one time on a node have a lane each. Of many jobs the newest are drawn.
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
    # One label a node, at its first lane.
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
    """Return what was lost, as a sentence; empty if nothing was."""
    lost = [job for trial in trials for job in trial.lost]
    if not lost:
        return ""
    seconds = sum(job.seconds for job in lost)
    total = seconds + sum(trial.seconds for trial in trials)
    jobs = "1 job" if len(lost) == 1 else f"{len(lost)} jobs"
    return (
        f"{jobs} ended without a report, {duration(seconds)} of {duration(total)} ({percent(seconds / total)}). "
        "That is the most that can have been lost: what a trainer had saved, which it does every minute, was not done "
        "again. Counted are jobs that failed, whose worker died or hung, or whose driver was stopped; not those of a "
        "driver that was killed."
    )


def _lanes(jobs: Sequence[_Job]) -> list[tuple[str, int]]:
    """Return for each job, in the order of their starts, its node and the first lane there that is free by then."""
    free: dict[str, list[float]] = {}
    lanes = []
    for job in jobs:
        ends = free.setdefault(job.node, [])
        # Starts are computed from the seconds that a worker measured. Ends are when the driver received the report.
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
        hovertext=[f"<b>{text(job.trial)}</b> {text(job.what)}, {duration(job.end - job.start)}" for job, _ in jobs],
        hoverinfo="text",
    )
