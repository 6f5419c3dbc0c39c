"""List options with several values. Typer has none, so ``--private a b`` becomes ``--private a --private b``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_LISTS = ("--private", "--test-groups", "--val-groups")
_FLAGS = (
    "--accept-damage",
    "--allow-external",
    "--skip-bad",
    "--no-skip-bad",
    "--gray",
    "--force",
    "--no-force",
    "--partial",
    "--help",
)


def spread_lists(args: list[str]) -> list[str]:
    """Repeat each list option of ``clips import`` and ``audit`` once per value.

    The positional argument of these commands (a folder, a data set or a study) may come after the values of a list
    option. If no other word can be the positional argument, the last value is, provided that it exists.
    """
    start = 2 if args[:2] == ["clips", "import"] else 1 if args[:1] == ["audit"] else len(args)
    words = list(_words(args[start:]))
    subject = _subject(words, args) if start < len(args) else None
    spread = args[:start]
    for at, (option, place, word) in enumerate(words):
        if option in _LISTS and place > 1 and at != subject:
            spread.append(option)
        spread.append(word)
    return spread


def _words(args: list[str]) -> Iterator[tuple[str, int, str]]:
    """Yield (option, place, word) for every word. If it is a value, option is its option, and place counts from 1."""
    option, place = "", 0
    for word in args:
        if word.startswith("-"):
            option, place = ("" if word in _FLAGS or "=" in word else word), 0
            yield "", 0, word
            continue
        place += 1
        if option not in _LISTS and place > 1:
            option = ""
        yield option, place, word


def _subject(words: list[tuple[str, int, str]], args: list[str]) -> int | None:
    """Return the index of the positional argument if it is the last value of a list option, else None."""
    if any(not option and not word.startswith("-") for option, _, word in words):
        return None  # the positional argument is elsewhere
    if args[0] == "audit" and not any(word.split("=")[0] == "--trial" for word in args):
        return None  # without --trial, audit takes no positional argument
    ends = [
        at
        for at, (option, place, _) in enumerate(words)
        if option in _LISTS and place > 1 and (at + 1 == len(words) or words[at + 1][0] != option)
    ]
    return next((at for at in ends if _is_there(words[at][2], args)), None)


def _is_there(word: str, args: list[str]) -> bool:
    if args[0] == "audit" or not any(arg.split("=")[0] == "--root" for arg in args):
        return Path(word).is_dir() or "://" in word
    from anon_tune.datasets.readers import DATA_SETS

    return word in DATA_SETS
