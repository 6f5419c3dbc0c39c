"""``anon-tune privacy``: what differentially private training promises."""

from __future__ import annotations

import json
import textwrap
from enum import StrEnum
from typing import Annotated

import typer

from anon_tune.errors import on_one_line

_INDENT, _WIDTH = 22, 110


class Format(StrEnum):
    """How a statement is printed."""

    TEXT = "text"
    JSON = "json"


def privacy(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|TRIAL|FILE",
            help="Study directory, directory of a trial (DIR/trials/ID), or exported safetensors file.",
        ),
    ],
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Also check the claim by Monte Carlo. If the check does not accept it, it is not printed."
        ),
    ] = False,
    draws: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Number of draws of --verify. Default: as many as its bound needs."),
    ] = None,
    format: Annotated[Format, typer.Option(metavar="text|json", help="text or json.")] = Format.TEXT,
) -> None:
    """Print what differentially private training promises: unit, mechanism, epsilon, and what the search cost.

    The epsilon of a study covers its search: all runs that began count. If the number of
    trials was drawn with --draw-trials, it is the epsilon of choosing the best trial.
    """
    from anon_tune.commands.privacy import privacy as run_privacy

    rows = run_privacy(subject, verify, draws)
    if format is Format.JSON:
        print(json.dumps({name.replace(" ", "_"): words for name, words in rows}, indent=2))
        return
    for name, words in rows:
        lines = map(on_one_line, textwrap.wrap(words, _WIDTH - _INDENT))
        print(f"{name:<{_INDENT}}" + f"\n{' ' * _INDENT}".join(lines))
