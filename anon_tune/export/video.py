"""Anonymize a video file. Decoding, the network and encoding run side by side, in bounded memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, Full, Queue

import torch

from anon_tune.errors import ExportError, UsageError
from anon_tune.export.stream import FrameStream
from anon_tune.folder import writing_file
from anon_tune.networks import Anonymizer
from anon_tune.networks.memory import keep_freed_memory
from anon_tune.video.audio import FORMATS
from anon_tune.video.reader import AudioPacket, TimedFrame, VideoFacts, VideoReader
from anon_tune.video.writer import VideoWriter

_WAIT_S = 0.1  # between two looks at whether another stage has failed
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How videos are anonymized, for any anonymizer.

    Attributes:
        crf: Constant rate factor of x264, 0 (finest) to 51; at 20 the loss is hardly visible.
        drop_audio: Leave the audio out instead of copying it.
        encode_audio: Encode audio as AAC if the output cannot hold it as it is, instead of raising an error.
        accept_damage: Continue if damage is only suspected; see `DamageWatch`.
        preview: Show the original to the left of the result.
        scale: Height and width at which frames are anonymized; None for the video's own. See `FrameStream`.
        clip_frames: As in `FrameStream`.
        force: Replace an existing file.
        device: Where to compute.
    """

    crf: int = 20
    drop_audio: bool = False
    encode_audio: bool = False
    accept_damage: bool = False
    preview: bool = False
    scale: tuple[int, int] | None = None
    clip_frames: int | None = None
    force: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


@dataclass(frozen=True, slots=True)
class AnonymizedVideo:
    """The result of anonymizing one video.

    Attributes:
        source: Facts of the file that was read.
        height: Height of a written frame, in pixels.
        width: Width of a written frame, in pixels.
        num_frames: Number of written frames, which is that of the frames that were read.
        worked_at: Height and width that the anonymizer saw.
        chunk: Number of frames that went through it together.
        seconds: Wall time.
        interlaced: True if frames were deinterlaced.
        damage: Damage that was suspected and accepted, in words.
        encoded_audio: Codecs of the audio that was encoded again.
        busy_s: Seconds that decoding, the network and encoding worked; they work at the same time.
    """

    source: VideoFacts
    height: int
    width: int
    num_frames: int
    worked_at: tuple[int, int]
    chunk: int
    seconds: float
    interlaced: bool
    damage: tuple[str, ...]
    encoded_audio: tuple[str, ...]
    busy_s: dict[str, float]


@dataclass(slots=True)
class _Chunk:
    """Consecutive frames, and the audio packets between them."""

    frames: list[TimedFrame] = field(default_factory=list)
    audio: list[AudioPacket] = field(default_factory=list)


def anonymize_video(
    source: Path, output: Path, anonymizer: Anonymizer, options: VideoOptions, progress: Progress | None = None
) -> AnonymizedVideo:
    """Anonymize one video: the same frames at the same times, upright, with its audio copied.

    `VideoReader` tells how the video is read, and `VideoWriter` how it is written. Memory is that of a few chunks,
    whatever the length of the video. The output gets its name only when it is complete and was read back. Until then it
    is a hidden file beside that name, which is removed on any error.

    Args:
        source: Any file that FFmpeg reads.
        output: File to write, with the suffix .mp4, .m4v, .mov or .mkv.
        anonymizer: The network, in eval mode, without gradients.
        options: How to anonymize.
        progress: Called with frames done and total frames; the total is 0 if unknown.

    Raises:
        AnonTuneError: The video cannot be read to its end, or the output exists or cannot be written.
    """
    check_output(source, output, options.force)
    if options.device.type == "cpu":
        keep_freed_memory()
    started = time.monotonic()
    try:
        audio = not options.drop_audio
        with VideoReader(source, audio, options.accept_damage) as reader, writing_file(output) as hidden:
            facts = reader.facts
            stream = FrameStream(
                anonymizer, facts.height, facts.width, options.device, options.scale, options.clip_frames
            )
            width = facts.width * (2 if options.preview else 1)
            writer = VideoWriter(hidden, reader, facts.height, width, options.crf, output, options.encode_audio)
            pipeline = _Pipeline(reader, stream, writer, options.preview, progress)
            with _threads_for(stream):
                pipeline.run()
    except OSError as error:
        remedy = "Free space, or choose another folder with -o"
        raise ExportError(str(output), "cannot be written", remedy=remedy, cause=error.strerror) from None
    return AnonymizedVideo(
        facts,
        facts.height,
        width,
        pipeline.num_frames,
        options.scale or (facts.height, facts.width),
        stream.chunk,
        time.monotonic() - started,
        reader.interlaced,
        reader.damage,
        writer.encoded_audio,
        pipeline.busy_s,
    )


@contextmanager
def _threads_for(stream: FrameStream) -> Iterator[None]:
    """Set how many threads one call of the network uses.

    If the stream computes several parts at a time, the cores are shared between them. Otherwise one core is left to
    decoding and encoding: the threads of one call wait for each other in busy loops, so if one of them waits for a
    core, all of them wait.
    """
    before, cores = torch.get_num_threads(), os.cpu_count() or 1
    most = cores // stream.num_threads if stream.num_threads > 1 else cores - 1
    torch.set_num_threads(max(1, min(before, most)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_output(source: Path, output: Path, force: bool) -> None:
    """Refuse an output that the user cannot have meant.

    Raises:
        UsageError: The output is the source, has a suffix that cannot be written, or exists and `force` is not given.
    """
    if output.suffix.lower() not in FORMATS:
        raise UsageError(
            str(output), f"must end in one of {', '.join(FORMATS)}", output.suffix or "no suffix", "Rename it"
        )
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(str(output), "is the input itself", remedy="Name another output")
    if output.exists() and not force:
        raise UsageError(str(output), "already exists", remedy="Name another file or add --force")


class _StoppedError(Exception):
    """Another stage has failed."""


class _Pipeline:
    """Three stages, with room for one chunk between two of them. The slowest sets the pace, and memory is bounded."""

    def __init__(
        self, reader: VideoReader, stream: FrameStream, writer: VideoWriter, preview: bool, progress: Progress | None
    ) -> None:
        self.reader, self.stream, self.writer, self.preview = reader, stream, writer, preview
        self.progress = progress
        self.num_frames = 0
        self.busy_s = {"decoding": 0.0, "network": 0.0, "encoding": 0.0}
        self._stop = threading.Event()
        self._waiting: list[TimedFrame] = []  # frames whose outputs need later frames

    def run(self) -> None:
        """Run to the end. If a stage fails, stop the others, then raise the error of the stage that failed first."""
        decoded: Queue[_Chunk | None] = Queue(1)
        changed: Queue[_Chunk | None] = Queue(1)
        with ThreadPoolExecutor(2, "anonymize") as pool:
            stages = [pool.submit(self._decode, decoded), pool.submit(self._encode, changed)]
            try:
                while (chunk := self._get(decoded)) is not None:
                    self._put(changed, self._changed(chunk))
                self._put(changed, self._changed(None))
                self._put(changed, None)
            except _StoppedError:
                pass
            except BaseException:
                self._stop.set()
                raise
        for stage in stages:
            stage.result()

    def _changed(self, chunk: _Chunk | None) -> _Chunk:
        """Return the audio of a chunk and the frames that are ready; None for the end of the video."""
        started = time.monotonic()
        if chunk is None:
            ready = self.stream.finish()
        elif chunk.frames:
            self._waiting += chunk.frames
            try:
                ready = self.stream(torch.stack([torch.from_numpy(frame.pixels) for frame in chunk.frames]))
            except ExportError as error:  # raised without the name of the file
                raise ExportError(str(self.reader.path), error.rule, error.got, error.remedy) from None
        else:
            return chunk
        frames, self._waiting = self._waiting[: len(ready)], self._waiting[len(ready) :]
        if self.preview and frames:
            ready = torch.cat([torch.stack([torch.from_numpy(frame.pixels) for frame in frames]), ready], dim=2)
        pixels = ready.contiguous().numpy()
        done = [replace(frame, pixels=now) for frame, now in zip(frames, pixels, strict=True)]
        self.busy_s["network"] += time.monotonic() - started
        return _Chunk(done, chunk.audio if chunk else [])

    def _decode(self, out: Queue[_Chunk | None]) -> None:
        with self._stopping():
            items = iter(self.reader)
            while True:
                started = time.monotonic()
                chunk = self._next_chunk(items)
                self.busy_s["decoding"] += time.monotonic() - started
                if not (chunk.frames or chunk.audio):
                    break
                self._put(out, chunk)
            self._put(out, None)

    def _next_chunk(self, items: Iterator[TimedFrame | AudioPacket]) -> _Chunk:
        chunk = _Chunk()
        for item in items:
            if isinstance(item, TimedFrame):
                chunk.frames.append(item)
                if len(chunk.frames) == self.stream.chunk:
                    break
            else:
                chunk.audio.append(item)
        return chunk

    def _encode(self, source: Queue[_Chunk | None]) -> None:
        with self._stopping():
            while (chunk := self._get(source)) is not None:
                started = time.monotonic()
                for packet in chunk.audio:
                    self.writer.copy(packet)
                for frame in chunk.frames:
                    self.writer.write(frame)
                self.busy_s["encoding"] += time.monotonic() - started
                self.num_frames += len(chunk.frames)
                if self.progress:
                    self.progress(self.num_frames, self.reader.facts.num_frames)
            started = time.monotonic()
            self.writer.close()
            self.busy_s["encoding"] += time.monotonic() - started

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Stop the other stages if this one fails; end without an error if another one has failed."""
        try:
            yield
        except _StoppedError:
            pass
        except BaseException:
            self._stop.set()
            raise

    def _put(self, queue: Queue[_Chunk | None], chunk: _Chunk | None) -> None:
        while not self._stop.is_set():
            try:
                return queue.put(chunk, timeout=_WAIT_S)
            except Full:
                continue
        raise _StoppedError

    def _get(self, queue: Queue[_Chunk | None]) -> _Chunk | None:
        while not self._stop.is_set():
            try:
                return queue.get(timeout=_WAIT_S)
            except Empty:
                continue
        raise _StoppedError
