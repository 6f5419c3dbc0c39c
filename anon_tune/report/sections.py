"""The sections of a study's page, in order. The frozen page and the live one have the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from anon_tune.methods import release_of
from anon_tune.report import tables
from anon_tune.report.cards import gallery
from anon_tune.report.certificates import certificate_cards
from anon_tune.report.chart_html import chart_html, charts_html, not_yet, note
from anon_tune.report.figures import importance_charts, parallel_chart
from anon_tune.report.front_section import front_section
from anon_tune.report.measuring_notes import choices_list, measuring_note
from anon_tune.report.nodes_figure import lost_note, nodes_chart
from anon_tune.report.progress_figures import progress_charts
from anon_tune.report.selection import carded_note, drawn_note, importance_note, listed_note
from anon_tune.report.shown import ShownStudy
from anon_tune.report.training_figures import loss_chart, rungs_chart
from anon_tune.report.wording import text
from anon_tune.study.privacy_statement import privacy_of, statement


@dataclass(frozen=True, slots=True)
class PageSection:
    """A part of a page that can be replaced alone.

    Attributes:
        key: Its id on the page.
        title: Its heading; empty for none.
        html: Its content.
    """

    key: str
    title: str
    html: str

    @property
    def mark(self) -> str:
        """A short text that changes with the content."""
        return hashlib.sha256(self.html.encode(errors="replace")).hexdigest()[:12]


def study_sections(shown: ShownStudy) -> list[PageSection]:
    """Return the sections of a study's page in order."""
    front, *others = _results(shown)
    return [front, *_privacy(shown), *others, *_course(shown)]


def _privacy(shown: ShownStudy) -> list[PageSection]:
    """Return the section on differential privacy: of the training, and of methods with a private release; or none."""
    found = privacy_of(shown.study, shown.trials) if shown.study.frozen.exists() else None
    rows = [] if found is None else statement(found)
    rows += [(name, said) for name in sorted({t.method for t in shown.trials}) if (said := release_of(name))]
    return [PageSection("privacy", "Differential privacy", tables.privacy(rows))] if rows else []


def _results(shown: ShownStudy) -> list[PageSection]:
    """Return the sections that show what the study found."""
    front, trials = shown.front, shown.trials
    parallel = parallel_chart(front)
    cards = gallery(shown)
    said = note(carded_note(front)) if carded_note(front) else ""
    no_score = "no trial has a full score"
    too_few = "too few trials have finished to tell the params apart"
    importances = {f"importance-{text(k)}": chart for k, chart in importance_charts(shown.importance).items()}
    return [
        PageSection("front", "Pareto front", front_section(shown)),
        PageSection(
            "gallery",
            "What the front looks like",
            f'{said}<div class="cards">{cards}</div>' if cards else not_yet(no_score),
        ),
        PageSection(
            "certificates",
            "Certificates",
            note(
                "Leakage found by more attackers that train longer than those of the study. Every certificate in "
                "<code>audits/</code> is shown."
            )
            + (certificate_cards(shown.study) or not_yet("no trial was certified, see 'anon-tune certify'")),
        ),
        PageSection(
            "progress",
            "Hypervolume",
            note(
                "Area that the front covers between the leakage of raw clips and the "
                f"{front.task.objective} of guessing. Anchors are not counted as trials."
            )
            + charts_html(progress_charts(trials), "no trial has ended"),
        ),
        PageSection(
            "parallel",
            "Params and objectives",
            note(
                "Drag along an axis to select the trials that pass through; they are marked in the plot of the front "
                f"and in the table too.{drawn_note(front)}"
            )
            + chart_html(
                "parallel-plot",
                parallel and parallel[0],
                "fewer than two trained trials have a full score",
                min_width=0 if parallel is None else 120 * parallel[1],
            ),
        ),
        PageSection(
            "importance",
            "Importance of params",
            note(
                "How much each param contributes to what distinguishes the best quarter of trials. "
                "Params that were not sampled in every trial are left out." + importance_note(trials)
            )
            + charts_html(importances, too_few),
        ),
    ]


def _course(shown: ShownStudy) -> list[PageSection]:
    """Return the sections that show how the trials went."""
    front, trials = shown.front, shown.trials
    return [
        PageSection(
            "rungs",
            "Rung survival",
            note(
                "Number of trials that were measured at each rung, and whether they went on. "
                f"{measuring_note(trials, shown.choices)}"
            )
            + choices_list(shown.choices)
            + chart_html("rungs-plot", rungs_chart(trials), "no trial has been proposed"),
        ),
        PageSection(
            "nodes",
            "Nodes",
            note(f"Jobs over time on each node. {lost_note(trials)}")
            + chart_html("nodes-plot", nodes_chart(trials), "no job has ended"),
        ),
        PageSection(
            "losses",
            "Losses",
            note(
                "Trials on the front, and up to 40 others. Click a trial in the legend to show or hide it, or "
                "double-click to show it alone."
            )
            + chart_html("losses-plot", loss_chart(trials, front), "no trial has reached its first rung"),
        ),
        PageSection(
            "trials",
            "All trials",
            note(
                "Click the head of a column to sort by it, and the name of a trial to see everything about it."
                f"{listed_note(trials, front)}"
            )
            + tables.trial_table(trials, front, shown.certificates)
            if trials
            else not_yet("no trial has started"),
        ),
        PageSection("failed", "Failed trials", tables.failures(trials)),
    ]
