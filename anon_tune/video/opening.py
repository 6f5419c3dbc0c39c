"""Open a video file and choose its video stream."""

from __future__ import annotations

from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails
HOLD_DECODING_TIMES = ("avi", "asf")
"""FFmpeg's names of containers that tell when a frame is decoded, not when it is shown."""

_REMEDY = "Repair it, or use another copy"


class UnreadableError(Exception):
    """A file cannot be used as a video. The caller names the file and turns this into an error of its own.

    Args:
        rule: What is wrong, as in ``has no video stream``.
        got: The offending value; None if there is none.
        remedy: What to do about it.
        noun: The rule as a noun, for lists of bad files, as in ``no video stream``.
    """

    def __init__(self, rule: str, got: str | None = None, remedy: str = _REMEDY, noun: str = "") -> None:
        super().__init__(rule, got, remedy, noun)
        self.rule, self.got, self.remedy = rule, got, remedy
        self._noun = noun

    def __str__(self) -> str:
        return self._noun or f"the video {self.rule}{f': {self.got}' if self.got else ''}"


def open_video(path: Path) -> tuple[InputContainer, av.VideoStream]:
    """Open a file and return it with its first video stream that is not a cover picture or a thumbnail.

    FFmpeg lists such pictures as video streams too, and tagging tools put them first.

    Raises:
        UnreadableError: The file is empty, holds no video, or has video for which there is no decoder.
        av.FFmpegError, OSError: The file cannot be read.
    """
    if path.is_file() and not path.stat().st_size:  # not for a pipe, whose size is always 0
        raise UnreadableError("is an empty file", noun="an empty file")
    container = av.open(as_file(path), metadata_errors="replace")
    try:
        shown = [stream for stream in container.streams.video if not stream.disposition & _PICTURES]
        if not shown:
            raise UnreadableError("has no video stream", remedy="Give a file that has one", noun="no video stream")
        if shown[0].codec_context is None:
            raise UnreadableError("has video for which there is no decoder", remedy="Convert it first")
    except BaseException:
        container.close()
        raise
    return container, shown[0]


def as_file(path: Path) -> str:
    """Return a path for FFmpeg. Without ``file:``, the text before a colon in the path would name a protocol."""
    return f"file:{path}"
