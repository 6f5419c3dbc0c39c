"""A study's files as lines of text, which a job prints to its log when a study is fetched through the cluster.

Often only the port of a cluster's dashboard can be reached, and the only data that comes back through it is the log
of a job. ``python -m anon_tune.cluster.bundle DIR [--all]`` is that job. Each of its lines has a mark, because the log
also has lines of other programs. A hash over all lines shows whether the bundle is complete.
"""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator

from anon_tune.cluster.copying import read_study
from anon_tune.errors import AnonTuneError, ClusterError

MOST_BYTES = 64 * 2**20  # two processes pass the log on, and each holds it in memory as one JSON text
_MARK, _END = "anon-tune-bundle:", "anon-tune-bundle-end:"
_LINE_BYTES = 48 * 2**10


def bundle(location: str, everything: bool) -> Iterator[str]:
    """Yield the files of a study as lines of text.

    Raises:
        StudyError: There is no study.
        ClusterError: The study is too large to be sent this way.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in read_study(location, everything):
            archive.writestr(name, content)
            if packed.tell() > MOST_BYTES:
                rule = f"the study packs into more than {MOST_BYTES >> 20} MiB, the most that a job's log may carry"
                remedy = "Leave --all out, or copy the folder with rsync or 'ray rsync-down'"
                raise ClusterError(location, rule, remedy=remedy)
    content = packed.getvalue()
    for start in range(0, len(content), _LINE_BYTES):
        yield _MARK + base64.b64encode(content[start : start + _LINE_BYTES]).decode()
    yield _END + hashlib.sha256(content).hexdigest()


def unbundle(lines: Iterable[str], where: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file that the lines hold.

    Args:
        lines: Lines of a job's log; lines without a mark are skipped.
        where: The place named in an error.

    Raises:
        ClusterError: The bundle is cut off or damaged.
    """
    content, end = bytearray(), ""
    for line in lines:
        if line.startswith(_MARK):
            content += base64.b64decode(line.removeprefix(_MARK))
        elif line.startswith(_END):
            end = line.removeprefix(_END).strip()
    if hashlib.sha256(content).hexdigest() != end:
        raise ClusterError(where, "the study arrived incomplete or damaged", remedy="Try again")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _main(arguments: list[str]) -> int:
    try:
        for line in bundle(arguments[0], "--all" in arguments[1:]):
            print(line)
    except AnonTuneError as error:
        print(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
