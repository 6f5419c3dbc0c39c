"""Puts a page together: the frame that the frozen and the live page share, and the frozen page of a study."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from plotly.offline import get_plotlyjs

from anon_tune.folder import File
from anon_tune.ledger import Ledger
from anon_tune.recipe import measured_before
from anon_tune.report import tables
from anon_tune.report.measuring_notes import measured_by
from anon_tune.report.sections import PageSection, study_sections
from anon_tune.report.shown import ShownStudy
from anon_tune.report.trial_panel import paneled_trials, trial_panel
from anon_tune.report.wording import text
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import Trial

_SCRIPTS = ("charts", "selection", "panel", "front", "tables", "live", "start")


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
    shown = ShownStudy.of(study, trials, importance)
    page = _frozen(shown).encode(errors="replace")  # a folder's name may not be UTF-8
    if output is not None:
        File.at(output).write(page)
        return Path(output)
    study.report.write(page)
    return str(study.report) if study.folder.is_remote else study.report.path


def _frozen(shown: ShownStudy) -> str:
    """Return a page that holds its scripts, its pictures and the panels of trials, and reaches nothing else."""
    panels = {t.id: trial_panel(t, shown, with_picture=False) for t in paneled_trials(shown)}
    scripts = (get_plotlyjs(), page_script())
    # unsafe-eval is needed because Plotly's parallel coordinates compile code at run time.
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        "default-src 'none'; img-src data: blob:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src {allowed} 'unsafe-eval'"
    )
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{page_style()}</style>'
    content = json.dumps(panels).replace("<", "\\u003c")
    end = f'<script type="application/json" id="panels">{content}</script>'
    end += "".join(f"<script>{script}</script>" for script in scripts)
    return page_frame(page_title(shown), [study_summary(shown), *study_sections(shown)], head, end)


def page_frame(title: str, sections: Sequence[PageSection], head: str, end: str, attributes: str = "") -> str:
    """Return a whole page.

    Args:
        title: Its title, as HTML.
        sections: Its parts. The first is the header's, and has no heading.
        head: HTML for the end of the head: the policy, the style.
        end: HTML for the end of the body: scripts.
        attributes: Attributes of the body, as HTML.
    """
    first, *others = sections
    links = "".join(f'<a href="#{one.key}">{one.title}</a>' for one in others if one.title)
    body = "".join(
        f'<section id="{one.key}"><h2>{one.title}</h2><div class="content" data-mark="{one.mark}">{one.html}</div>'
        "</section>"
        for one in others
    )
    nav = f'<nav aria-label="Sections">{links}</nav>' if len(others) > 1 else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
{head}
</head>
<body{attributes}>
<header id="{first.key}"><h1>{title}</h1><div class="content" data-mark="{first.mark}">{first.html}</div></header>
{nav}
<main>{body}</main>
<aside id="panel" role="dialog" aria-labelledby="panel-title" tabindex="-1" hidden>
<div class="bar-of-panel"><button type="button" id="panel-before">Lower leakage</button>
<button type="button" id="panel-after">Higher leakage</button>
<button type="button" id="panel-close">Close</button></div>
<div id="panel-content"></div></aside>
<figure id="peek" aria-hidden="true" hidden></figure>
{end}
</body>
</html>
"""


def page_title(shown: ShownStudy) -> str:
    """Return the title of a study's page, as HTML: its directory, because many studies may have the same name."""
    directory, name = shown.study.name, shown.facts.name
    said = f"{directory} ({name})" if name not in ("", directory) else directory
    return f"{text(said)} · anon-tune"


def study_summary(shown: ShownStudy, extra: str = "") -> PageSection:
    """Return the part of the header that changes while a study runs.

    Args:
        shown: The study.
        extra: HTML that stands first, such as the progress of a running study.
    """
    facts, study = shown.facts, shown.study
    named = {"name": facts.name, "settings": facts.settings, "versions": facts.versions}
    old = measured_before(facts.measure_version) if study.frozen.exists() else ""
    warning = f'<p class="failed">{text(old)}</p>' if old else ""
    by = measured_by(shown.trials, facts.space)
    measured = f'<p class="note">{text(by)}</p>' if by else ""
    return PageSection(
        "summary",
        "",
        f"{warning}{extra}{tables.summary(shown.trials, shown.front)}{measured}{tables.settings(named)}"
        f"{tables.elsewhere(study, facts.storage)}",
    )


@cache
def page_script() -> str:
    """Return the script that every page runs after Plotly."""
    folder = files("anon_tune.report") / "script"
    parts = [folder.joinpath(f"{name}.js").read_text("utf-8") for name in _SCRIPTS]
    return '"use strict";\n' + "\n".join(parts)


@cache
def page_style() -> str:
    """Return the style of every page."""
    return files("anon_tune.report").joinpath("page.css").read_text("utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
