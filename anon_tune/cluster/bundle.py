"""A study's files as lines of text: what a job says when a study is fetched through the cluster.

Of a cluster often nothing but the port of its dashboard can be reached, and all that comes back through it is
what a job has said. ``python -m anon_tune.cluster.bundle DIR [--all]`` is that job. Its lines carry a mark, as a job's
log holds what others say too; a hash over all tells a whole bundle from one that was cut off.
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

MOST_BYTES = 64 * 2**20  # a log is passed on as one piece of JSON, by two processes that hold it in memory
_MARK, _END = "anon-tune-bundle:", "anon-tune-bundle-end:"
_LINE_BYTES = 48 * 2**10


def bundle(location: str, everything: bool) -> Iterator[str]:
    """Yield the files of a study as lines.

    Raises:
        StudyError: No study there.
        ClusterError: It is more than can be sent this way.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in read_study(location, everything):
            archive.writestr(name, content)
            if packed.tell() > MOST_BYTES:
                rule = f"more than {MOST_BYTES >> 20} MiB, which is what a job's log may carry"
                remedy = "Leave --all out, or copy the folder with rsync or 'ray rsync-down'"
                raise ClusterError(location, rule, remedy=remedy)
    content = packed.getvalue()
    for start in range(0, len(content), _LINE_BYTES):
        yield _MARK + base64.b64encode(content[start : start + _LINE_BYTES]).decode()
    yield _END + hashlib.sha256(content).hexdigest()


def unbundle(lines: Iterable[str], where: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files that lines hold.

    Args:
        lines: Of a job's log; those without a mark are passed over.
        where: Named in an error.

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
        raise ClusterError(where, "the study did not come through the cluster whole", remedy="Try again")
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
