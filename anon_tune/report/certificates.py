"""Shows leakage certificates as cards on the page."""

from __future__ import annotations

from anon_tune.certificate import Certificate, read_certificate
from anon_tune.errors import DataError
from anon_tune.report.certificate_sections import MEANING, Cell, Section, Spread, facts, sections, title
from anon_tune.report.wording import NOTHING, percent, status_words, text
from anon_tune.study_directory import StudyDirectory

__all__ = ["certificate_cards"]


def certificate_cards(study: StudyDirectory) -> str:
    """Return HTML with a card for every certificate of a study; empty if there is none.

    A file that cannot be read as a certificate gets a card with the error, so that the rest of the page is still shown.
    """
    cards = []
    for stem, file in study.certificates():
        try:
            with file.reading() as path:
                cards.append(_card(stem, read_certificate(path)))
        except DataError as error:
            cards.append(f'<article class="card"><h3>{text(stem)}</h3><p class="failed">{text(error)}</p></article>')
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def _card(name: str, c: Certificate) -> str:
    reasons = "".join(f"<li>{text(reason)}</li>" for reason in c.reasons)
    kind = {"CERTIFIED": "complete", "REFUSED": "failed"}.get(c.status, "")
    return (
        f'<article class="card" id="certificate-{text(name)}">'
        f"<h3>{text(title(c))}</h3>"
        f'<p><b class="{kind}">{status_words(c)}</b>: {MEANING[c.status]}</p>'
        f"{reasons and f'<ul>{reasons}</ul>'}"
        f'<p class="note">{text(" ".join(facts(c)))}</p>'
        f"{''.join(map(_section, sections(c)))}</article>"
    )


def _section(section: Section) -> str:
    note = f'<p class="note">{text(section.note[:1].upper() + section.note[1:].rstrip("."))}.</p>'
    body = f"{_table(section) if section.rows else ''}{note}"
    return f"<details><summary>{text(section.title)}</summary>{body}</details>" if section.title else body


def _table(section: Section) -> str:
    """Return a table as HTML. Every cell is escaped here."""
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in section.head)
    body = "".join(f"<tr>{''.join(f'<td>{text(_words(cell))}</td>' for cell in row)}</tr>" for row in section.rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _words(cell: Cell) -> str:
    match cell:
        case None:
            return NOTHING
        case Spread(most, least, rising):
            return f"{percent(most)}{f' ({percent(least)} to {percent(most)})' if least < most else ''}{' *' * rising}"
        case float():
            return percent(cell)
        case (low, high):
            return f"[{percent(low)}, {percent(high)}]"
        case str():
            return cell or NOTHING
