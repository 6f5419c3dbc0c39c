"""Puts the report page of a study together: one HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from plotly.offline import get_plotlyjs

from anon_tune.certificate import Certificate
from anon_tune.folder import File
from anon_tune.ledger import Ledger
from anon_tune.pareto import ParetoFront
from anon_tune.recipe import measured_before
from anon_tune.report import tables
from anon_tune.report.certificates import certificate_cards
from anon_tune.report.chart import Chart
from anon_tune.report.figures import front_chart, importance_charts, parallel_chart
from anon_tune.report.measuring_notes import measuring_note
from anon_tune.report.nodes_figure import lost_note, nodes_chart
from anon_tune.report.progress_figures import progress_charts
from anon_tune.report.selection import carded_note, certified_note, drawn_note, importance_note, listed_note
from anon_tune.report.training_figures import loss_chart, rungs_chart
from anon_tune.report.wording import text
from anon_tune.study.certified import certificates_of
from anon_tune.study.frozen_study import FrozenFacts, frozen_facts
from anon_tune.study.privacy_statement import privacy_of, statement
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import Trial

# The page may run only the scripts and show only the images that it contains. It can reach nothing else.
# unsafe-eval is needed because Plotly's parallel coordinates compile code at run time.
_POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'"

_READINGS = {
    False: "Full scores, each measured once, with bootstrap intervals. The best of many single measurements are partly "
    "luck. 'anon-tune verify' measures them again.",
    True: "Means of repeats with new seeds. Their intervals combine the variation over clips and over seeds. A hollow "
    "mark is a trial that was measured once, which does not count. The band shows how the front varies between "
    "repeats.",
}


def write_report(
    directory: StudyLocation,
    importance: Mapping[str, Mapping[str, float]] | None = None,
    output: Path | None = None,
    trials: Sequence[Trial] | None = None,
) -> Path | str:
    """Write one HTML page that shows a study, finished or running.

    Args:
        directory: The study directory, as a path or a URI. Its ledger is read, and, if they exist, its frozen copy of
            the settings and the previews and certificates of its trials.
        importance: Share of each param in each objective, in [0, 1], by objective and param.
        output: The file to write; None for ``report.html`` in the study directory. A file that exists is replaced.
        trials: The trials of the ledger, if the caller has read them already.

    Returns:
        The path of the page, or its URI if the study directory is at a URI.

    Raises:
        StudyError: There is no such directory, or its ledger cannot be read.
    """
    study = StudyDirectory.at(directory)
    if not study.folder.is_remote and not study.folder.path.is_dir():
        study.check()
    if trials is None:
        trials = Ledger(study.ledger).trials()
    page = _page(study, trials, importance or {}).encode(errors="replace")  # a folder's name may not be UTF-8
    if output is not None:
        File.at(output).write(page)
        return Path(output)
    study.report.write(page)
    return str(study.report) if study.folder.is_remote else study.report.path


def _page(study: StudyDirectory, trials: Sequence[Trial], importance: Mapping[str, Mapping[str, float]]) -> str:
    facts = frozen_facts(study) if study.frozen.exists() else FrozenFacts()
    shown = {"name": facts.name, "settings": facts.settings, "versions": facts.versions}
    title = f"{text(facts.name or study.name)} · anon-tune"
    front = ParetoFront.of(trials)
    certificates = certificates_of(study, trials)
    sections = _sections(trials, front, importance, study, certificates)
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name, _ in sections)
    body = "".join(f'<section id="{key}"><h2>{name}</h2>{content}</section>' for key, name, content in sections)
    old = measured_before(facts.measure_version) if study.frozen.exists() else ""
    warning = f'<p class="failed">{text(old)}</p>' if old else ""
    resources = files("anon_tune.report")
    style = resources.joinpath("page.css").read_text("utf-8")
    script = resources.joinpath("page.js").read_text("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1>{warning}{tables.summary(trials, front)}{tables.settings(shown)}
{tables.elsewhere(study, facts.storage)}</header>
<nav aria-label="Sections">{links}</nav>
<main>{body}</main>
<script>{get_plotlyjs()}</script>
<script>{script}</script>
</body>
</html>
"""


def _sections(
    trials: Sequence[Trial],
    front: ParetoFront,
    importance: Mapping[str, Mapping[str, float]],
    study: StudyDirectory,
    certificates: Mapping[str, Certificate],
) -> list[tuple[str, str, str]]:
    """Return the sections of the page in order, each as (id, heading, HTML)."""
    results = _result_sections(trials, front, importance, study, certificates)
    privacy = privacy_of(study, trials) if study.frozen.exists() else None
    if privacy is not None:
        results.insert(1, ("privacy", "Differential privacy", tables.privacy(statement(privacy))))
    return [*results, *_course_sections(trials, front, certificates)]


def _result_sections(
    trials: Sequence[Trial],
    front: ParetoFront,
    importance: Mapping[str, Mapping[str, float]],
    study: StudyDirectory,
    certificates: Mapping[str, Certificate],
) -> list[tuple[str, str, str]]:
    """Return the sections that show what the study found."""
    parallel = parallel_chart(front)
    return [
        ("front", "Pareto front", _front(front, certificates)),
        ("gallery", "What the front looks like", _gallery(trials, front, study, certificates)),
        (
            "certificates",
            "Certificates",
            _note(
                "Leakage found by more attackers that train longer than those of the study. Every certificate in "
                "<code>audits/</code> is shown."
            )
            + (certificate_cards(study) or _not_yet("no trial was certified, see 'anon-tune certify'")),
        ),
        (
            "progress",
            "Hypervolume",
            _note(
                "Area that the front covers between the leakage of raw clips and the accuracy of guessing. Anchors are "
                "not counted as trials."
            )
            + _charts(progress_charts(trials), "no trial has ended"),
        ),
        (
            "parallel",
            "Params and objectives",
            _note(f"Drag along an axis to keep the trials that pass through.{drawn_note(front)}")
            + _chart(
                "parallel-plot",
                parallel and parallel[0],
                "fewer than two trained trials have a full score",
                min_width=0 if parallel is None else 120 * parallel[1],
            ),
        ),
        (
            "importance",
            "Importance of params",
            _note(
                "How much each param contributes to what distinguishes the best quarter of trials. "
                "Params that were not sampled in every trial are left out." + importance_note(trials)
            )
            + _charts(
                {f"importance-{text(k)}": chart for k, chart in importance_charts(importance).items()},
                "too few trials have finished to tell the params apart",
            ),
        ),
    ]


def _course_sections(
    trials: Sequence[Trial], front: ParetoFront, certificates: Mapping[str, Certificate]
) -> list[tuple[str, str, str]]:
    """Return the sections that show how the trials went."""
    return [
        (
            "rungs",
            "Rung survival",
            _note(
                f"Number of trials that were measured at each rung, and whether they went on. {measuring_note(trials)}"
            )
            + _chart("rungs-plot", rungs_chart(trials), "no trial has been proposed"),
        ),
        (
            "nodes",
            "Nodes",
            _note(f"Jobs over time on each node. {lost_note(trials)}")
            + _chart("nodes-plot", nodes_chart(trials), "no job has ended"),
        ),
        (
            "losses",
            "Losses",
            _note(
                "Trials on the front, and up to 40 others. Click a trial in the legend to show or hide it, or "
                "double-click to show it alone."
            )
            + _chart("losses-plot", loss_chart(trials, front), "no trial has reached its first rung"),
        ),
        (
            "trials",
            "All trials",
            _note(f"Click the head of a column to sort by it.{listed_note(trials, front)}")
            + tables.trial_table(trials, front, certificates)
            if trials
            else _not_yet("no trial has started"),
        ),
        ("failed", "Failed trials", tables.failures(trials)),
    ]


def _front(front: ParetoFront, certificates: Mapping[str, Certificate]) -> str:
    how = f"{_READINGS[front.is_verified]}{certified_note(front, certificates)}"
    note = _note(f"{how} Point at a trial to see its method and params.{drawn_note(front)}")
    return note + _chart("front-plot", front_chart(front, certificates), "no trial has a full score")


def _gallery(
    trials: Sequence[Trial], front: ParetoFront, study: StudyDirectory, certificates: Mapping[str, Certificate]
) -> str:
    cards = tables.gallery(trials, front, study, certificates)
    note = _note(carded_note(front)) if carded_note(front) else ""
    return f'{note}<div class="cards">{cards}</div>' if cards else _not_yet("no trial has a full score")


def _charts(charts: Mapping[str, Chart], reason: str) -> str:
    if not charts:
        return _not_yet(reason)
    return f'<div class="charts">{"".join(_chart(key, chart, reason) for key, chart in charts.items())}</div>'


def _chart(key: str, chart: Chart | None, reason: str, min_width: int = 0) -> str:
    if chart is None:
        return _not_yet(reason)
    style = f' style="min-width:{min_width}px"' if min_width else ""
    spec = f'<script type="application/json">{chart.json()}</script>'
    return f'<div class="scroll"><div class="chart" id="{key}"{style}></div>{spec}</div>'


def _note(words: str) -> str:
    return f'<p class="note">{words}</p>'


def _not_yet(reason: str) -> str:
    return f'<p class="none">Not yet: {reason}.</p>'
