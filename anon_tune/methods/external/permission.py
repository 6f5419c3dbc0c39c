"""The permission to run programs: given by the caller of a verb, for this verb only, and never read from a file."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from anon_tune.errors import RecipeError, UsageError

_PREFIX = "external:"
_allowed = ContextVar("anon_tune_external_allowed", default=False)


@contextmanager
def external_allowed(allowed: bool) -> Iterator[None]:
    """Allow methods to run programs, or forbid it, until the end of the block."""
    token = _allowed.set(allowed)
    try:
        yield
    finally:
        _allowed.reset(token)


def check_external_allowed(method: str) -> None:
    """Refuse a method that runs a program, unless this is allowed here.

    Args:
        method: The method as a user writes it.

    Raises:
        UsageError: The method runs a program, and programs are not allowed here.
    """
    if method.startswith(_PREFIX) and not _allowed.get():
        rule = f"runs the program '{method.removeprefix(_PREFIX)}', which must be allowed each time"
        raise UsageError("method 'external'", rule, remedy="Add --allow-external if you trust it")


def check_programs(methods: Iterable[str], allowed: bool, here: bool = True) -> None:
    """Check before any work that the programs of methods may be run, and that they can be found.

    Args:
        methods: Methods as users write them.
        allowed: True if programs may be run.
        here: Also check that the programs are on this machine, which runs them.

    Raises:
        UsageError: A program is not allowed, or is not found.
        RecipeError: A command line cannot be split into words.
    """
    for method in methods:
        if method.startswith(_PREFIX):
            with external_allowed(allowed):
                check_external_allowed(method)
            words = words_of(method.removeprefix(_PREFIX))
            if here:
                program_of(words)


def words_of(command: str) -> list[str]:
    """Split a command line into words as a shell would, without running one.

    Raises:
        RecipeError: There is no word, or a quotation has no end.
    """
    where, remedy = "method 'external'", "Write for example external:deface {input} -o {output}"
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise RecipeError(where, "must be a command line", command, remedy, str(error)) from None
    if not words:
        raise RecipeError(where, "needs a command", remedy=remedy)
    return words


def program_of(words: list[str]) -> str:
    """Return the path of the program that the first word names.

    Raises:
        UsageError: It is neither an absolute path of a program nor a name that is found on PATH.
    """
    name = words[0]
    is_path = Path(name).name != name
    found = shutil.which(name) if not is_path or Path(name).is_absolute() else None
    if found is None:
        rule = "must be on PATH or the absolute path of a program"
        raise UsageError("method 'external'", rule, name, "Install it, or name it by its whole path")
    return str(Path(found).absolute())
