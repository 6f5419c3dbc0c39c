"""``anon-tune audit``: a leakage certificate for an anonymizer, made by this package or by another tool."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from anon_tune.cli import audit_options as options
from anon_tune.cli.clips import parse_size
from anon_tune.cli.import_bar import ImportBar
from anon_tune.cli.named_values import named
from anon_tune.cli.study_options import AllowExternal
from anon_tune.commands.audit_options import AuditOptions
from anon_tune.commands.watch import AuditWatch

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.cli.audit_view import AuditProgress
    from anon_tune.datasets import BadFile


def audit(
    study: options.Study = None,
    trial: options.Trial = None,
    method: options.Method = None,
    file: options.File = None,
    clips: options.Clips = None,
    original: options.Original = None,
    anonymized: options.Anonymized = None,
    anonymized_suffix: options.AnonymizedSuffix = None,
    pattern: options.Pattern = None,
    action: options.Action = None,
    private: options.Private = None,
    group: options.Group = None,
    test_groups: options.TestGroups = None,
    val_groups: options.ValGroups = None,
    val_fraction: options.ValFraction = None,
    num_frames: options.NumFrames = None,
    size: options.Size = None,
    accept_damage: options.AcceptDamage = False,
    skip_bad: options.SkipBad = False,
    output: options.Output = None,
    format: options.PrintedAs = options.Format.TABLE,
    seeds: options.Seeds = None,
    codec: options.Codec = None,
    crf: options.Crf = None,
    set_: options.Set = None,
    cache: options.Cache = None,
    device: options.Device = "auto",
    allow_external: AllowExternal = False,
) -> None:
    """Measure what attackers can still infer from anonymized clips, and write a certificate.

    Several kinds of attackers train on the anonymized training split until they stop
    improving. They start from scratch, and also from weights trained on raw clips.
    Leakage is the score of the strongest attacker on the anonymized test split.

    A trial: anon-tune audit runs/first --trial 0007

    A method: anon-tune audit --method pixelate:8 --clips avatars -o pixelate.json

    A file: anon-tune audit --file FILE.safetensors --clips clips/mine --codec h264

    Another tool: anon-tune audit --original videos --anonymized blurred
    --anonymized-suffix _blurred --action action --private person --group take
    --pattern '(?P<person>\\D+)(?P<take>\\d)_(?P<action>\\w+)' --test-groups 2
    --num-frames 8 --size 64x48

    CERTIFIED: every attacker had stopped improving; exit code 0. LOWER_BOUND: at least
    one attacker was still improving, or the effort was below the default, so the true
    leakage may be higher; exit code 0. REFUSED: a check of the measurement failed, or an
    attack refuted the claim of private training; exit code 1.
    A trial's certificate is also kept in STUDY/audits; 'anon-tune report STUDY' shows it.
    """
    given = {name: value for name, value in locals().items() if name not in ("format", "set_")}
    lists = {name: tuple(given[name] or ()) for name in ("private", "test_groups", "val_groups")}
    parsed = {"set": named("--set", set_), "size": None if size is None else parse_size(size)}
    certificate = _run(AuditOptions(**given | lists | parsed))
    _print(certificate, format)
    if certificate.status == "REFUSED":
        raise typer.Exit(1)


class _Watch(AuditWatch):
    """Shows progress: first of the import of folders, if there are any, then of the audit."""

    def __init__(self, stack: ExitStack) -> None:
        self.cache: Path | None = None
        self._stack, self._imported = stack, ImportBar(stack)
        self._progress: AuditProgress | None = None

    def show(self, done: int, total: int) -> None:
        self._imported.show(done, total)

    def damaged(self, files: Sequence[BadFile]) -> None:
        self._imported.damaged(files)

    def end(self, bad: Sequence[BadFile], short: Sequence[str] = (), num_frames: int = 0) -> None:
        self._imported.end(bad)

    def cached(self, folder: Path | None) -> None:
        from anon_tune.cli.audit_view import AuditProgress

        if folder is None:
            print("warning: no folder for the baseline is writable; name one with --cache.", file=sys.stderr)
        self.cache, self._progress = folder, self._stack.enter_context(AuditProgress())

    def measured(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress.show(what, done, total)


def _run(given: AuditOptions) -> Certificate:
    from anon_tune.commands.audit import run_audit

    with ExitStack() as stack:
        watch = _Watch(stack)
        try:
            return run_audit(given, watch)
        except KeyboardInterrupt:
            print(
                f"Stopped. A baseline that was finished is kept in {watch.cache}; run the same command again.",
                file=sys.stderr,
            )
            raise typer.Exit(130) from None


def _print(certificate: Certificate, format: options.Format) -> None:
    if format is options.Format.JSON:
        print(certificate.to_json(), end="")
        return
    from anon_tune.cli.audit_view import print_certificate

    print_certificate(certificate)
