"""What a terminal shows of an audit: how far it is, and its certificate."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from anon_tune.certificate import Attacker, Certificate, Interval
from anon_tune.report.certificates import CAVEAT, MEANING, START, by_family
from anon_tune.report.wording import duration

_LINE_EVERY_S = 10.0
_WIDTH = 100


class AuditProgress:
    """Shows what an audit does and about how long it will: a bar on a terminal, now and then a line elsewhere.

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
        """Take what is being done, steps done and steps in all; another total, or fewer steps, is a new stage."""
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
    """Print a certificate for people; shares stay in [0, 1]."""
    # A pipe has no width to fit.
    show = console or Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    c = certificate
    for line in _facts(c):
        show.print(escape(line))
    show.print(f"\n[bold]{c.status.replace('_', ' ')}[/]: {MEANING[c.status]}")
    for reason in c.reasons:
        show.print(f"  - {escape(reason)}")
    show.print()
    show.print(_top(c))
    show.print(
        "floor: one blind attacker; by chance: the most that as many attackers get that know nothing;\n"
        f"ceiling: raw clips; frozen: learned on raw clips only; intervals resample {c.data.resampled}s"
    )
    for title, note, table in (
        (
            "Attackers",
            "leakage of the strongest seed (and all seeds); * still improved at its last step",
            _attackers(c),
        ),
        ("Private attributes", "by the strongest attacker", _attributes(c)),
        ("Reconstruction", "leakage to recognizers that learned on raw clips", _reconstruction(c)),
        ("Linkage", "how soon a clip of the same private labels is found", _linkage(c)),
        ("Canaries", "anonymizers whose leakage is known", _canaries(c)),
    ):
        show.print(f"\n[bold]{title}[/]: {note}")
        show.print(table)
    show.print(f"\n{CAVEAT}")


def _facts(c: Certificate) -> list[str]:
    data = c.data
    method = "" if c.subject.method in (c.subject.name, "unknown") else f", method {c.subject.method}"
    return [
        f"{c.subject.kind} {c.subject.name}{method}",
        f"on {data.clips}: {data.num_train_clips} clips to learn from, {data.num_validation_clips} to choose by, "
        f"{data.num_test_clips} to test on{f', through {data.codec}' if data.codec else ''}",
        f"strongest attacker: {c.strongest}; distortion {c.distortion:.3f}; {duration(c.seconds)}",
    ]


def _top(c: Certificate) -> Table:
    table = _table("", "value", f"{c.confidence:.0%} interval", "floor", "ceiling", "normalized", "frozen")
    table.add_row(
        "leakage",
        _share(c.leakage),
        _interval(c.leakage_interval),
        _share(c.leakage_floor),
        _share(c.leakage_ceiling),
        _share(c.leakage_normalized),
        _share(c.leakage_frozen),
    )
    table.add_row("by chance", _share(c.leakage_by_chance), *[""] * 5)
    table.add_row(
        "accuracy",
        _share(c.accuracy),
        _interval(c.accuracy_interval),
        _share(c.accuracy_floor),
        _share(c.accuracy_ceiling),
        "",
        _share(c.accuracy_frozen),
    )
    return table


def _attackers(c: Certificate) -> Table:
    table = _table("family", *START.values())
    for family, starts in by_family(c).items():
        table.add_row(escape(family), *[_strongest(starts.get(start, [])) for start in START])
    return table


def _strongest(attackers: Iterable[Attacker]) -> str:
    found = list(attackers)
    if not found:
        return "-"
    values = [attacker.leakage for attacker in found]
    rising = "" if all(attacker.plateau for attacker in found) else " *"
    spread = f" ({_share(min(values))} to {_share(max(values))})" if len(values) > 1 else ""
    return f"{_share(max(values))}{spread}{rising}"


def _attributes(c: Certificate) -> Table:
    table = _table("attribute", "AP", "floor", "AUC", "balanced accuracy", "F1", "F1 always yes", "positives")
    for one in c.attributes:
        table.add_row(
            escape(one.name),
            *map(_share, (one.ap, one.ap_floor, one.auc, one.balanced_accuracy, one.f1, one.f1_always_yes)),
            str(one.num_positives),
        )
    return table


def _reconstruction(c: Certificate) -> Table:
    one = c.reconstruction
    table = _table("", "PSNR", "SSIM", "leakage")
    table.add_row("anonymized clips", f"{one.psnr_before:.1f} dB", _share(one.ssim_before), _share(c.leakage_frozen))
    table.add_row("reconstructed by a U-Net", f"{one.psnr:.1f} dB", _share(one.ssim), _share(one.leakage))
    return table


def _linkage(c: Certificate) -> Table:
    table = _table("", "rank-1", "by chance", "mAP", "by chance")
    if not c.linkage:
        table.add_row("no test clip shares its private labels with a training clip")
    for name, one in c.linkage.items():
        table.add_row(escape(name), *map(_share, (one.rank1, one.rank1_floor, one.mean_ap, one.mean_ap_floor)))
    return table


def _canaries(c: Certificate) -> Table:
    table = _table("canary", "normalized leakage", "must be", "", num_words=2)
    for one in c.canaries:
        passed = "passed" if one.passed else "[bold]FAILED[/]"
        table.add_row(one.name, _share(one.leakage_normalized), escape(one.expected), passed)
    return table


def _table(*names: str, num_words: int = 0) -> Table:
    """Make a table of numbers, but for the first column and the last `num_words`."""
    table = Table(box=None, pad_edge=False)
    for at, name in enumerate(names):
        table.add_column(name, justify="right" if 0 < at < len(names) - num_words else "left")
    return table


def _share(value: float) -> str:
    return f"{value:z.3f}" if math.isfinite(value) else "-"


def _interval(interval: Interval) -> str:
    return f"{_share(interval[0])} to {_share(interval[1])}"
