"""The sections of the page that compares several studies."""

from __future__ import annotations

from collections.abc import Sequence

from anon_tune.pareto import hypervolume
from anon_tune.report.chart_html import chart_html, note
from anon_tune.report.comparison import ComparedStudy, cautions, common_reference, compared, differences, repeating
from anon_tune.report.comparison_figures import fronts_chart, growth_chart
from anon_tune.report.sections import PageSection
from anon_tune.report.shown import ShownStudy
from anon_tune.report.wording import NOTHING, hours, percent, shorten, text
from anon_tune.trial import Cost, losses

_WARNING = "The numbers of these studies cannot be compared as they are."


def comparison_sections(shown: Sequence[ShownStudy]) -> list[PageSection]:
    """Return the parts of a page that compares studies; the first is the header's."""
    studies = compared(shown)
    warnings = cautions(studies)
    said = "".join(f"<li>{text(words)}</li>" for words in warnings)
    reasons = f'<div class="warning" role="alert"><b>{_WARNING}</b><ul>{said}</ul></div>' if warnings else ""
    warning = (
        f'<p class="warning"><b>{_WARNING}</b> <a href="#summary">See why at the top of the page.</a></p>'
        if warnings
        else ""
    )
    names = ", ".join(text(one.name) for one in studies)
    return [
        PageSection("summary", "", note(f"{len(studies)} studies: {names}.") + reasons),
        PageSection("fronts", "Fronts", _fronts(studies, warning)),
        PageSection("growth", "Hypervolume over cost", _growth(studies, warning)),
        PageSection("numbers", "Numbers", warning + _numbers(studies)),
        PageSection("differences", "What differs", _differences(studies)),
    ]


def _fronts(studies: Sequence[ComparedStudy], warning: str) -> str:
    repeats = [group for group in repeating(studies) if len(group) > 1]
    bands = (
        " A band shows how the front varies between studies that differ in nothing but the seed."
        if repeats
        else " No two of these studies differ in nothing but the seed, so nothing tells how much is luck."
    )
    absolute, normalized = fronts_chart(studies), fronts_chart(studies, is_normalized=True)
    plots = chart_html("fronts-plot", absolute, "no trial has a full score")
    if normalized is not None:
        plots += "<h3>Normalized: 0 is the floor, 1 the ceiling of each study</h3>"
        plots += chart_html("fronts-normalized-plot", normalized, "")
    return f"{warning}{note(f'Click a point to go to its trial. Anchors are left out.{bands}')}{plots}"


def _growth(studies: Sequence[ComparedStudy], warning: str) -> str:
    reference = common_reference(studies)
    words = " or ".join(dict.fromkeys(one.front.task.objective for one in studies if one.front.trials))
    against = (
        ""
        if reference is None
        else f"All against leakage {percent(reference.leakage)} and {words} {percent(reference.accuracy)}, the worst "
        "of their reference points."
    )
    return warning + note(against) + chart_html("growth-plot", growth_chart(studies), "no trial has ended")


def _numbers(studies: Sequence[ComparedStudy]) -> str:
    reference = common_reference(studies)
    names = ("Study", "Seed", "Methods", "Trials", "On the front", "Hypervolume", "CPU-hours", "GPU-hours")
    head = "".join(f'<th scope="col"><button type="button">{name}</button></th>' for name in names)
    rows = []
    for one in studies:
        ours = [t for t in one.shown.trials if not t.is_anchor]
        members = [one.front.scores[t.id] for t in one.front.members if not t.is_anchor]
        points = [losses(s.leakage.value, s.accuracy.value) for s in members]
        volume = NOTHING if reference is None else f"{hypervolume(points, reference.losses):.4f}"
        cost = sum((t.cost for t in one.shown.trials), Cost())
        methods = ", ".join(sorted({t.method for t in ours}))
        cells = [
            f"<td>{_link(one)}</td><td>{text(one.shown.facts.settings.get('seed', NOTHING))}</td>",
            f"<td>{text(shorten(methods, 60))}</td><td>{len(ours)}</td><td>{len(members)}</td><td>{volume}</td>",
            f"<td>{hours(cost.cpu_s)}</td><td>{hours(cost.gpu_s)}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    body = "".join(rows)
    return (
        '<div class="scroll"><table id="numbers-table" class="sortable">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _link(one: ComparedStudy) -> str:
    address = one.shown.media.page
    return f'<a href="{text(address)}">{text(one.name)}</a>' if address else text(one.name)


def _differences(studies: Sequence[ComparedStudy]) -> str:
    found = differences(studies)
    if not found:
        return '<p class="none">Their settings, fixed values and searched ranges are the same.</p>'
    head = "".join(f'<th scope="col">{text(one.name)}</th>' for one in studies)
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th>{"".join(f"<td>{text(value)}</td>" for value in values)}</tr>'
        for name, values in found.items()
    )
    said = note("Settings, fixed recipe values and searched ranges that are not the same in all of them.")
    return (
        f'{said}<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )
