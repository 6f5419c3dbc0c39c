"""Deinterlace frames. An interlaced frame holds two moments in alternate rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph

Timed = tuple[av.VideoFrame, int | None, int]
"""A frame, the tick at which it is shown (None if unknown), and its duration in ticks."""


class Deinterlacer:
    """Passes every frame on. From the first interlaced frame, they go through FFmpeg's bwdif, which delays them by two.

    bwdif does not change frames that are not interlaced. The times of frames bypass it, because it halves them.

    Attributes:
        worked: True once an interlaced frame was seen.
    """

    def __init__(self) -> None:
        self.worked = False
        self._graph: Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._times: deque[tuple[int | None, int]] = deque()

    def push(self, frame: av.VideoFrame, time: int | None) -> Iterator[Timed]:
        """Take a frame and yield the frames that are ready."""
        if not frame.interlaced_frame and self._graph is None:
            yield frame, time, frame.duration or 0
            return
        self.worked = True
        kind = frame.width, frame.height, frame.format.name
        if kind != self._kind:  # frames may change within a stream, but a graph takes one kind
            yield from self.flush()
            self._graph, self._kind = _graph(frame), kind
        assert self._graph is not None
        self._times.append((time, frame.duration or 0))
        self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[Timed]:
        """Yield the frames that bwdif still holds."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph, self._kind = None, None

    def _ready(self) -> Iterator[Timed]:
        assert self._graph is not None
        while self._times:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield frame, *self._times.popleft()


def _graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    unit = frame.time_base or Fraction(1, 1000)
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=unit)
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph
