"""The page that lists all studies."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from anon_tune.dashboard.progress import num_over, state_of
from anon_tune.dashboard.watch import Watch
from anon_tune.dashboard.watched import Snapshot, WatchedStudy
from anon_tune.report.sections import PageSection
from anon_tune.report.wording import NOTHING, text


def listing(watch: Watch, token: str) -> list[PageSection]:
    """Return the parts of the page that lists all studies: its header, and the table."""
    studies = watch.studies()
    problems = "".join(f'<p class="failed">{text(problem)}</p>' for problem in watch.problems)
    where = ", ".join(f"<code>{text(root)}</code>" for root in watch.roots)
    if not studies and not watch.has_looked:
        said = f'<p class="note">Looking for studies in {where}.</p>'
    elif not studies:
        said = (
            f'<p class="none">There is no study in {where} yet. This page shows it once it begins. Start one: '
            "<code>anon-tune study quickstart --clips avatars --out runs/first</code></p>"
        )
    else:
        number = "1 study" if len(studies) == 1 else f"{len(studies)} studies"
        more = "" if watch.has_looked else " More are being looked for."
        said = f'<p class="note">{number} in {where}. Click one to look at it.{more}</p>'
    return [PageSection("summary", "", said + problems), PageSection("studies", "Studies", _table(studies, token))]


def _table(studies: Mapping[str, WatchedStudy], token: str) -> str:
    if not studies:
        return '<p class="none">None yet.</p>'
    names = ("Study", "State", "Trials over", "On the front", "Hypervolume", "Directory")
    head = "".join(f'<th scope="col"><button type="button">{name}</button></th>' for name in names)
    several = len(studies) > 1
    # The boxes come first, because on a phone the last columns are out of sight.
    ticks = '<th scope="col"><span class="unseen">Compare</span></th>' if several else ""
    rows = "".join(_row(key, study, study.snapshot, token, several) for key, study in studies.items())
    table = (
        '<div class="scroll"><table id="studies-table" class="sortable"><thead><tr>'
        f"{ticks}{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    if not several:
        return table
    return (
        f'<form action="/compare" method="get">{table}<input type="hidden" name="token" value="{text(token)}">'
        '<p><button type="submit">Compare the ticked studies</button></p></form>'
    )


def _row(key: str, study: WatchedStudy, snapshot: Snapshot | None, token: str, has_box: bool) -> str:
    name = text(study.study.name)
    box = f'<td><input type="checkbox" name="study" value="{key}" aria-label="Compare {name}"></td>' if has_box else ""
    address = f"/study/{key}?token={quote(token)}"
    cells = [f'<td><a href="{address}">{name}</a></td>']
    if snapshot is None:
        cells += ["<td>is being read</td>", *(f"<td>{NOTHING}</td>" for _ in range(3))]
    elif snapshot.shown is None:
        cells += [_problem(snapshot), *(f"<td>{NOTHING}</td>" for _ in range(3))]
    else:
        front, status = snapshot.shown.front, snapshot.status
        over = NOTHING if status is None else f"{num_over(status)} of {status.num_trials}"
        num_on_front = sum(not t.is_anchor for t in front.members)
        cells += [
            _problem(snapshot) if status is None else f"<td>{state_of(status)}</td>",
            f"<td>{over}</td>",
            f'<td class="number">{num_on_front}</td>',
            f'<td class="number">{front.hypervolume:.4f}</td>',
        ]
    cells.append(f"<td><code>{text(study.study)}</code></td>")
    return f"<tr>{box}{''.join(cells)}</tr>"


def _problem(snapshot: Snapshot) -> str:
    return f'<td class="failed problem">{text(snapshot.problem)}</td>'
