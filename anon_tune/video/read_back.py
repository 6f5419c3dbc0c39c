"""Read a written video back, to see that it has the frames and times it was given."""

from __future__ import annotations

import struct
import tempfile
from fractions import Fraction
from pathlib import Path

import av

from anon_tune.errors import ExportError
from anon_tune.video.opening import as_file

_TICK = struct.Struct("<q")
_TOLERANCE_S = Fraction(1, 500)  # Matroska counts milliseconds, and MP4 starts at one


class Promise:
    """The times of the frames that were given to a writer, kept on disk: memory does not grow with a video.

    Args:
        time_base: Seconds of a tick.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._num_frames = 0
        self._times = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`

    def add(self, pts: int) -> None:
        """Note the time stamp of a frame."""
        self._times.write(_TICK.pack(pts))
        self._num_frames += 1

    def close(self) -> None:
        """Forget everything."""
        self._times.close()

    def check(self, written: Path, output: str) -> None:
        """Decode a file as a player does, and compare.

        Args:
            written: The file.
            output: What it is going to be called.

        Raises:
            ExportError: It has other frames than promised, or they are shown at other times.
        """
        self._times.seek(0)
        seen = 0
        remedy = "Try another ending of .mp4, .mov and .mkv"
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
