"""List options that take several values at once, which typer does not know: ``--private a b`` is given twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_LISTS = ("--private", "--test-groups", "--val-groups")
_FLAGS = ("--skip-bad", "--no-skip-bad", "--gray", "--force", "--no-force", "--partial", "--help")


def spread_lists(args: list[str]) -> list[str]:
    """Give a list option of ``clips import`` and ``audit`` once a value.

    The folder, data set or study that such a command takes without an option may come last of the values: where
    nothing else can be it, and it is there, it is taken out of them.
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
    """Yield every word with the option it is a value of, empty for none, and which value of it, from 1."""
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
    """Return the place of what belongs to no option, if it stands last among the values of a list."""
    if any(not option and not word.startswith("-") for option, _, word in words):
        return None  # it stands elsewhere
    if args[0] == "audit" and not any(word.split("=")[0] == "--trial" for word in args):
        return None  # it takes none
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
