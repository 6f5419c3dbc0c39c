"""What a terminal shows of an audit: its progress and its certificate."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from anon_tune.certificate import Certificate
from anon_tune.report.certificate_sections import MEANING, Cell, Section, Spread, facts, sections, title
from anon_tune.report.tables import CAVEAT
from anon_tune.report.wording import duration

_LINE_EVERY_S = 10.0
_WIDTH = 100


class AuditProgress:
    """Shows what an audit is doing and about how much time is left: as a bar on a terminal, else as occasional lines.

    Args:
        console: Standard error if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("starting", total=None, left="")
        self._total, self._done, self._begun, self._said = 0, 0, 0.0, -math.inf

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, what: str, done: int, total: int) -> None:
        """Show the current task, its steps done and its total. Another total, or fewer steps done, is a new stage."""
        now = time.monotonic()
        if total != self._total or done < self._done:
            self._begun = now
        self._total, self._done = total, done
        left = f"about {duration((now - self._begun) / done * (total - done))} left" if done and done < total else ""
        self._bar.update(self._task, description=escape(what), completed=done, total=total, left=left)
        if not self._console.is_terminal and now - self._said >= _LINE_EVERY_S:
            self._console.print(f"{what}: {done} of {total}{left and ', '}{left}", markup=False, soft_wrap=True)
            self._said = now


def print_certificate(certificate: Certificate, console: Console | None = None) -> None:
    """Print a certificate as tables for a reader. Fractions are not turned into percent."""
    # A pipe has no width to fit.
    show = console or Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    c = certificate
    for line in (title(c), *facts(c)):
        show.print(escape(line))
    show.print(f"\n[bold]{c.status.replace('_', ' ')}[/]: {MEANING[c.status]}")
    for reason in c.reasons:
        show.print(f"  - {escape(reason)}")
    for section in sections(c):
        if section.is_detail:
            continue
        show.print(f"\n[bold]{section.title}[/]: {escape(section.note)}" if section.title else "")
        if section.rows:
            show.print(_table(section))
        if not section.title:
            show.print(escape(section.note))
    show.print(f"\n{CAVEAT}")


def _table(section: Section) -> Table:
    table = Table(box=None, pad_edge=False)
    first_word = len(section.head) - section.num_words
    for at, name in enumerate(section.head):
        table.add_column(name, justify="right" if 0 < at < first_word else "left")
    for row in section.rows:
        table.add_row(*(escape(_words(cell)) for cell in row))
    return table


def _words(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Spread(most, least, rising):
            return f"{_share(most)}{f' ({_share(least)} to {_share(most)})' if least < most else ''}{' *' * rising}"
        case float():
            return _share(cell)
        case (low, high):
            return f"{_share(low)} to {_share(high)}"
        case str():
            return cell


def _share(value: float) -> str:
    return f"{value:z.3f}" if math.isfinite(value) else "-"
