"""A plan as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anon_tune.commands.plan import RecipePlan, StudyCost, StudyPlan


def document(plan: StudyPlan) -> dict[str, Any]:
    """Return a plan as plain values; shares are in [0, 1]."""
    places = plan.places
    return {
        "space": plan.space,
        "clips": plan.clips,
        "num_trials": plan.num_trials,
        "device": plan.device,
        "cluster": places.cluster or None,
        "trials_at_a_time": places.num_concurrent,
        "seconds_per_trial": plan.trial.total,
        "measuring_share": _share(plan.trial.measuring, plan.trial.total),
        "recipes": [_recipe(one) for one in plan.recipes],
        "with_rungs": None if plan.rungs is None else _study(plan.rungs),
        "without_rungs": _study(plan.no_rungs),
        "does_not_fit": list(plan.does_not_fit),
        "notes": list(plan.notes),
    }


def _recipe(one: RecipePlan) -> dict[str, Any]:
    return {
        "role": one.role,
        "method": one.method,
        "params": dict(one.params),
        "fits": not one.times.refused,
        "num_steps": one.num_steps,
        "seconds_per_step": one.times.step_s,
        "seconds_per_trial": one.seconds.total,
        "training_seconds": one.seconds.training,
        "measuring_seconds": one.seconds.measuring,
        "measuring_share": _share(one.seconds.measuring, one.seconds.total),
        "peak_memory_bytes": one.times.peak_bytes,
        "peak_gpu_memory_bytes": one.times.peak_gpu_bytes,
    }


def _study(cost: StudyCost) -> dict[str, Any]:
    return {
        "num_full_scores": cost.num_full,
        "wall_hours": cost.wall_hours,
        "trial_hours": cost.seconds.total / 3600,
        "cpu_hours": cost.cpu_hours,
        "gpu_hours": cost.gpu_hours,
        "money": cost.money,
        "money_with_all_nodes_up": cost.nodes_money,
        "measuring_share": _share(cost.seconds.measuring, cost.seconds.total),
    }


def markdown(plan: StudyPlan) -> str:
    """Return a plan as Markdown."""
    where = plan.places.cluster or "this machine"
    lines = [
        f"# Plan of {plan.space} on {plan.clips}",
        "",
        f"{plan.num_trials} trials, up to {plan.places.num_concurrent} at a time on {where}. Timed on {plan.device}.",
        "",
        *_recipe_table(plan),
        "",
        f"A trial that gets to its last rung takes {_time(plan.trial.total)} on average. "
        f"{_share(plan.trial.measuring, plan.trial.total):.0%} of that is measuring.",
        "",
        *_study_table(plan),
    ]
    for title, said in (("Does not fit", plan.does_not_fit), ("Notes", plan.notes)):
        if said:
            lines += ["", f"## {title}", "", *(f"- {line}" for line in said)]
    return "\n".join(lines)


def _recipe_table(plan: StudyPlan) -> Iterator[str]:
    yield "| recipe | method | step | training | measuring | trial | memory | GPU memory |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for one in plan.recipes:
        if one.times.refused:
            yield f"| {one.role} | {one.method} | does not fit | | | | | |"
            continue
        cells = [_time(t) for t in (one.times.step_s, one.seconds.training, one.seconds.measuring, one.seconds.total)]
        gpu = _size(one.times.peak_gpu_bytes) if one.times.peak_gpu_bytes else "-"
        yield f"| {one.role} | {one.method} | {' | '.join(cells)} | {_size(one.times.peak_bytes)} | {gpu} |"
    yield ""
    for one in plan.recipes:
        values = ", ".join(f"{name} = {_value(value)}" for name, value in one.params.items())
        yield f"- {one.role}: {one.num_steps} steps, {values}"


def _study_table(plan: StudyPlan) -> Iterator[str]:
    columns = {"without rungs": plan.no_rungs}
    if plan.rungs is not None:
        columns = {"with rungs": plan.rungs, **columns}
    yield f"| study | {' | '.join(columns)} |"
    yield f"|---|{'--:|' * len(columns)}"
    rows: dict[str, list[str]] = {
        "trials with a full score": [str(cost.num_full) for cost in columns.values()],
        "from start to end": [_time(cost.wall_hours * 3600) for cost in columns.values()],
        "CPU-hours": [f"{cost.cpu_hours:.3g}" for cost in columns.values()],
        "GPU-hours": [f"{cost.gpu_hours:.3g}" for cost in columns.values()],
        "share of measuring": [f"{_share(c.seconds.measuring, c.seconds.total):.0%}" for c in columns.values()],
    }
    if plan.no_rungs.money is not None:
        rows["money for trials"] = [f"{cost.money:.2f}" for cost in columns.values()]
        rows["money with all nodes up"] = [f"{cost.nodes_money:.2f}" for cost in columns.values()]
    for name, cells in rows.items():
        yield f"| {name} | {' | '.join(cells)} |"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _time(seconds: float) -> str:
    if seconds < 1000:
        return f"{seconds:.2g} s" if seconds < 100 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB"
