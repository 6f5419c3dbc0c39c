"""The anonymizer that runs a program once for each clip, through real video files.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.errors import DataError, on_one_line
from anon_tune.methods.external import ExternalRecipe
from anon_tune.methods.external.permission import check_external_allowed, program_of, words_of
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe
from anon_tune.video.lossless import write_lossless
from anon_tune.video.reader import TimedFrame, VideoReader

Frames = NDArray[np.uint8]

_FPS = 25
_TAIL = 4096  # bytes of its output in which the last line is looked for
_MESSAGE = 300  # characters of a program's last line that an error shows
_OWN = ("input", "output")


class External(Anonymizer):
    """Writes each clip to a video file, runs a program on it, and reads the video that the program wrote.

    The clip becomes H.264 without loss, 4:4:4, 25 frames per second, in MP4. The program runs without a shell, in an
    empty folder, without input, and is stopped with all its children when its time is over. Its video must have as many
    frames as the clip, of the same size.

    Args:
        words: The command line: program, arguments and places such as ``{input}``.
        args: The program's parameters by name.
        timeout_s: Seconds that it may take for one clip.

    Raises:
        DataError: When it is called: the program fails, takes too long, or writes no video of the size and length of
            the clip.
    """

    num_before = None

    def __init__(self, words: Sequence[str], args: Mapping[str, bool | int | float | str], timeout_s: float) -> None:
        super().__init__()
        self.words, self.args, self.timeout_s = list(words), dict(args), timeout_s

    def rewrite(self, clips: Tensor) -> Tensor:
        levels = (clips.detach().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 1, 3, 4, 2).cpu().numpy()
        made = np.stack([self.run(clip) for clip in levels])
        return torch.from_numpy(made).permute(0, 1, 4, 2, 3).to(clips) / 255

    def run(self, clip: Frames) -> Frames:
        """Run the program on one clip (T,H,W,3) uint8, and return its result, of the same shape."""
        with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
            source, empty = Path(scratch) / "clip.mp4", Path(scratch) / "work"
            empty.mkdir()
            write_lossless(clip, source, _FPS)
            said = self._run(command_line(self.words, self.args, source, empty / "anonymized.mp4"), empty)
            return self._read(empty / "anonymized.mp4", clip.shape, said)

    def _run(self, command: list[str], folder: Path) -> str:
        """Run a command, and return the last line that it wrote."""
        with tempfile.TemporaryFile() as log:  # a file, because a full pipe would stop the program
            try:
                process = subprocess.Popen(
                    command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            except OSError as error:
                raise self._error("cannot be started", str(error.strerror)) from None
            try:
                code = process.wait(self.timeout_s)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _stop(process)
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
            said = _last_line(log.read())
        if code is None:
            raise self._error(f"must end within {self.timeout_s:g} s", said)
        if code:
            raise self._error(f"ended with exit code {code}", said)
        return said

    def _read(self, file: Path, shape: tuple[int, ...], said: str) -> Frames:
        if not file.is_file():
            raise self._error("wrote no video to {output}", said)
        try:
            with VideoReader(file, audio=False) as reader:
                size = (reader.facts.height, reader.facts.width)
                frames = [] if size != shape[1:3] else [item.pixels for item in reader if isinstance(item, TimedFrame)]
        except DataError as error:
            raise self._error(f"wrote a video that {error.rule}", said) from None
        if size != shape[1:3]:
            got = f"{size[0]} x {size[1]}"
            raise self._error(f"must write frames of {shape[1]} x {shape[2]} pixels, got {got}", said)
        if len(frames) != shape[0]:
            raise self._error(f"must write {shape[0]} frames, got {len(frames)}", said)
        return np.stack(frames)

    def _error(self, rule: str, said: str) -> DataError:
        remedy = "Try the command by hand, or set external.args and external.timeout_s"
        return DataError(f"program '{self.words[0]}'", rule, remedy=remedy, cause=said or "it said nothing")


def command_line(
    words: Sequence[str], args: Mapping[str, bool | int | float | str], source: Path, output: Path
) -> list[str]:
    """Return the words of a command with files and parameters in their places.

    A word that holds a place in a longer text, as ``--thresh={thresh}``, is filled in too. Parameters without a place
    are added as ``--NAME VALUE``: True as ``--NAME`` alone, False not at all.
    """
    values = {"input": str(source), "output": str(output)} | {name: _text(value) for name, value in args.items()}
    line = [_filled(word, values) for word in words]
    has_place = {name for name in values if any(f"{{{name}}}" in word for word in words)}
    for name, value in args.items():
        if name not in has_place and value is not False:
            line += [f"--{name}"] if value is True else [f"--{name}", _text(value)]
    if not has_place.intersection(_OWN):
        line += [values[name] for name in _OWN]
    return line


def _filled(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _text(value: bool | int | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and whatever it started; its group is its own."""
    with contextlib.suppress(ProcessLookupError):  # all of them have ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").replace("\r", "\n").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return on_one_line(last)[-_MESSAGE:]


def build(recipe: Recipe, command: str) -> Anonymizer:
    """Return the anonymizer.

    Raises:
        UsageError: Nobody allowed to run programs, or there is no such program here.
    """
    check_external_allowed(recipe.method)
    section = recipe.section if isinstance(recipe.section, ExternalRecipe) else ExternalRecipe()
    words = words_of(command)
    return External([program_of(words), *words[1:]], section.args, section.timeout_s)
