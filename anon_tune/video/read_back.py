"""Read a written video back, to check that it has the frames and times that were given to the writer."""

from __future__ import annotations

import struct
import tempfile
from fractions import Fraction
from pathlib import Path

import av

from anon_tune.errors import ExportError
from anon_tune.video.opening import as_file

_TICK = struct.Struct("<q")
_TOLERANCE_S = Fraction(1, 500)  # Matroska stores times, and MP4 its start time, in milliseconds


class Promise:
    """The times of the frames that were given to a writer. They are kept on disk, so memory does not grow with a video.

    Args:
        time_base: Seconds per tick.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._num_frames = 0
        self._times = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`

    def add(self, pts: int) -> None:
        """Record the timestamp of a frame."""
        self._times.write(_TICK.pack(pts))
        self._num_frames += 1

    def close(self) -> None:
        """Delete the recorded times."""
        self._times.close()

    def check(self, written: Path, output: str) -> None:
        """Decode a file as a player does, and compare its frames and times with those that were recorded.

        Args:
            written: The file.
            output: The name that the file will get, for errors.

        Raises:
            ExportError: The file has more or fewer frames, or a frame is shown at another time.
        """
        self._times.seek(0)
        seen = 0
        remedy = "Choose another suffix: .mp4, .mov or .mkv"
        try:
            with av.open(as_file(written)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in container.decode(stream):
                    expected = self._times.read(_TICK.size)
                    seen += 1
                    if len(expected) < _TICK.size or frame.pts is None:
                        break
                    wanted = _TICK.unpack(expected)[0] * self._time_base
                    found = frame.pts * (frame.time_base or Fraction(0))
                    if abs(wanted - found) > _TOLERANCE_S:
                        rule = f"frame {seen - 1} is shown at {float(found):.3f} instead of {float(wanted):.3f} seconds"
                        raise ExportError(output, f"was written and then removed: {rule}", remedy=remedy)
        except av.FFmpegError as error:
            rule = "was written and then removed: it cannot be read back"
            raise ExportError(output, rule, remedy=remedy, cause=error.strerror) from None
        if seen != self._num_frames:
            rule = f"was written and then removed: a player must show {self._num_frames} frames"
            raise ExportError(output, rule, seen, remedy)
