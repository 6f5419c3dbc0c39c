"""``python -m anon_tune`` and ``anon-tune``: settle where modules come from, before any other is loaded."""

from __future__ import annotations

import os
import sys

import anon_tune

TYPE_CHECKING = False  # nothing is imported that the current folder could still shadow
if TYPE_CHECKING:
    from collections.abc import Iterable

_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray for the driver of a job


def main() -> None:
    """Run the command line."""
    _settle_import_path()
    _collect_seldom()
    # The processes that multiprocessing and a private Ray start would put the current folder first again.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    from anon_tune.cli import main as run

    run()


def _collect_seldom() -> None:
    """Spare the garbage collector the objects of libraries: with torch, they take half a second at start and end."""
    import atexit
    import gc

    gc.set_threshold(20_000)
    atexit.register(gc.freeze)


def _settle_import_path() -> None:
    """Let the current folder shadow nothing that is installed: somebody else's study may lie in it.

    ``python -m`` puts the folder first, and Ray does for the driver of a job. It becomes the last place if this
    package was found there, and goes otherwise.
    """
    try:
        here, home = os.getcwd(), anon_tune.__path__[0]
    except OSError as error:  # it was deleted, or made anew under its name
        print(f"error: the current folder: {error.strerror}. Change to another one.", file=sys.stderr)
        sys.exit(2)
    if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] in ("", here):
        del sys.path[0]
    elif _JOB not in os.environ:
        return
    is_home = os.path.realpath(os.path.dirname(home)) == here
    if is_home or _JOB in os.environ:
        sys.path[:] = _without(here, sys.path)
    if is_home:
        sys.path.append(here)
    if _JOB in os.environ:
        os.environ["PYTHONPATH"] = os.pathsep.join(_without(here, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
        if is_home:
            _keep_package()


def _without(folder: str, places: Iterable[str]) -> list[str]:
    return [place for place in places if os.path.realpath(place) != folder]


def _keep_package() -> None:
    """Load the rest of this package from a copy: nodes that share a machine unpack a job's files over each other."""
    import atexit
    import shutil
    import tempfile

    copy = tempfile.mkdtemp(prefix="anon-tune-")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    home = os.path.join(copy, anon_tune.__name__)
    shutil.copytree(anon_tune.__path__[0], home, ignore=shutil.ignore_patterns("__pycache__"))
    anon_tune.__path__[:] = [home]


if __name__ == "__main__":
    main()
