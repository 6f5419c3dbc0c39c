"""Odd videos, label files, folders and options, each with the command that a user types: is the answer right?

    python benchmarks/odd_inputs.py [--kind KIND] [--name TEXT]

Every input is made here. A command is right in two ways: it exits with 0, and its result is the one that was promised
(frames, times, pictures, clips); or it exits with 2 and one line that names the place, the rule and the remedy, and
leaves nothing behind. A line of typer about an option it cannot parse counts too. A traceback, another exit code, a
result that is not whole and a file that is left over are failures. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import av
import numpy as np
from odd_labels import IMPORT, NAMES, SMALL, Command, labels_and_folders
from odd_options import options
from odd_video_files import Form, Frames, pictures, write
from odd_videos import Video, videos

from anon_tune.cli import main as command_line
from anon_tune.clips import open_clips

# A rule that says what a value must be is its own remedy, and so is the place in a text that cannot be parsed.
ONE_LINE = re.compile(r"error: [^\n]+?: ([^\n]+[.?] [^\n]+[.?]|[^\n]*(must|should|is not valid)[^\n]+[.])\n")
PARSER = re.compile(r"Usage: anon-tune [^\n]+\nTry '[^\n]+ --help' for help\.\n.*\n", re.DOTALL)
NEAR_S = 0.002
SETTINGS = ("out", "out/.lock", "out/study.toml")  # of a study whose first trial cannot begin; it can be resumed
GRACE = 0.85  # of the frames of a torn video: half a second may be missing at its end
SPACE = '[search]\n"penalty.weight" = { low = 0.1, high = 10.0, log = true }\n'


class Said(NamedTuple):
    """What a command did: its exit code (-1 for an exception), its output and its messages."""

    code: int
    out: str
    err: str


def say(words: Sequence[object]) -> Said:
    """Run the command line in this process, and catch what it and its libraries print."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        kept = os.dup(1), os.dup(2)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            sys.argv = ["anon-tune", *map(str, words)]
            code: object = 0
            try:
                command_line()
            except SystemExit as end:
                code = end.code or 0
            except BaseException:
                code = -1
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            for at, one in enumerate(kept, start=1):
                os.dup2(one, at)
                os.close(one)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Said(code if isinstance(code, int) else 1, *texts)


def refused(said: Said, says: str, last_only: bool = False) -> Iterator[str]:
    """Yield what is wrong with a refusal, which must say something in one line."""
    line = [*said.err.splitlines(keepends=True), ""][-1 if not said.err else -2] if last_only else said.err
    if said.code != 2:
        yield f"exit code {said.code}, out {said.out[-200:]!r}, err {said.err[-800:]!r}"
    elif not (ONE_LINE.fullmatch(line) or PARSER.fullmatch(said.err)):
        yield f"not one line with a remedy: {said.err[-800:]!r}"
    elif says not in re.sub(r"\s*│\n│\s*", " ", said.err):
        yield f"must say {says!r}: {said.err[-800:]!r}"


def left_over(folder: Path, known: set[str]) -> Iterator[str]:
    """Yield the files of a folder that nobody knows."""
    for name in sorted({path.name for path in folder.iterdir()} - known):
        yield f"left over: {name!r}"


def expected(video: Video, form: Form) -> Frames:
    return video.upright(pictures(form))


def anonymized(video: Video, form: Form, path: Path) -> Iterator[str]:
    """Yield what is wrong with an anonymized video, which is the same video, from time 0."""
    with av.open(f"file:{path}") as container:
        shown = list(container.decode(video=0))
    report = json.loads(path.with_name(f"{path.name}.json").read_text())
    num, found = len(form.times), report["output"]["num_frames"]
    if len(shown) != found:
        yield f"{len(shown)} frames, {found} in the report"
    elif video.is_torn:
        # MPEG streams have no length, so that a cut leaves no trace.
        if found < GRACE * num and not ("cut" in video.name and video.name.endswith((".ts", ".mpg"))):
            yield f"{found} frames instead of {num}, and not a word"
        return
    elif found != num:
        yield f"{found} frames instead of {num}"
        return
    times = np.array([float(frame.pts * frame.time_base) for frame in shown])
    wanted = np.array(form.times) - form.times[0]
    # Sound may start before the first frame.
    if video.is_timed and np.abs(times - times[0] - wanted).max() > NEAR_S + 0.001:
        yield f"times {np.round(times, 3).tolist()} instead of {np.round(wanted, 3).tolist()}"
    if not form.audio and times[0] > NEAR_S:
        yield f"starts at {times[0]:.3f} s"
    frames = np.stack([frame.to_ndarray(format="rgb24") for frame in shown]).astype(int)
    yield from differs(frames, expected(video, form), video.near)


def differs(frames: Frames, wanted: Frames, near: float) -> Iterator[str]:
    if frames.shape != wanted.shape:
        yield f"frames of shape {frames.shape} instead of {wanted.shape}"
    elif (off := np.abs(frames - wanted).mean()) > near:
        yield f"pictures differ by {off:.1f} of 255"


def try_anonymize(video: Video, source: Path, out: Path) -> Iterator[str]:
    """Anonymize one video with the identity."""
    target = out / "out.mp4"
    words = ["anonymize", source, "-o", target, "--method", "identity", "--crf", "4"]
    words += ["--encode-audio"] if video.form is not None and video.form.audio else []
    said = say(words)
    if video.form is not None and said.code == 0:
        if said.err:
            yield f"said {said.err!r}"
        yield from anonymized(video, video.form, target)
        yield from left_over(out, {"out.mp4", "out.mp4.json"})
        return
    if video.form is None or video.is_torn:
        yield from refused(said, printed(source.name))
    else:
        yield f"refused: {said.err[-800:]}"
    yield from left_over(out, set())
    if video.is_torn and "--accept-damage" in said.err:
        said = say([*words, "--accept-damage"])
        if said.code == 0 and not json.loads((out / "out.mp4.json").read_text())["input"]["damage"]:
            yield "accepted damage is not in the report"
        elif said.code != 0:
            yield from refused(said, printed(source.name))


def printed(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def try_import(video: Video, source: Path, good: Path, out: Path) -> Iterator[str]:
    """Import a folder of the odd video and seven good ones."""
    folder = source.parent
    for name in NAMES[:1] + NAMES[2:]:
        os.link(good / name, folder / name)
    said = say(["clips", "import", folder, *shlex.split(IMPORT), *shlex.split(SMALL), "-o", out / "store"])
    is_bad = video.form is None or (video.is_torn and said.code == 2)
    if is_bad and video.in_folders:
        yield from refused(said, printed(source.name), last_only=True)
    elif said.code != 0:
        yield f"exit code {said.code}: {said.err[-800:]!r}"
    if (num := num_clips(out / "store")) != 8 - (is_bad or not video.in_folders):
        yield f"{num} clips"
    elif video.form is not None and video.form.times == Form.times and not is_bad and not video.is_torn:
        wanted = expected(video, video.form)[[1, 3, 6, 8]]
        entries = open_clips(out / "store").manifest.entries
        at = [entry.id for entry in entries].index(source.name) if video.in_folders else 0
        frames = np.load(out / "store/frames.npy")[at].astype(int)
        if video.in_folders and wanted.shape == frames.shape:
            yield from differs(frames, wanted, video.near)
    yield from left_over(out, {"store"})


def num_clips(store: Path) -> int | str:
    """Return the number of clips in a store that is whole; otherwise, what is wrong with it."""
    try:
        clips = open_clips(store)
        return len(np.load(store / "frames.npy")) if clips.num_clips == len(clips.manifest.entries) else "damaged"
    except Exception as error:
        return str(error)


def try_video(video: Video, good: Path, folder: Path) -> Iterator[str]:
    """Anonymize a video and import it."""
    (folder / "in").mkdir()
    source = folder / "in" / video.name
    video.make(source)
    for verb in (try_anonymize, partial(try_import, good=good)):
        out = Path(tempfile.mkdtemp(dir=folder))
        name = getattr(verb, "__name__", "try_import")
        yield from (f"{name}: {fault}" for fault in verb(video, source, out=out))


def try_command(command: Command, good: Path, folder: Path) -> Iterator[str]:
    """Run a command beside good videos, a good store and a good search space."""
    shutil.copytree(good, folder / "videos")
    shutil.copytree(good.parent / "store", folder / "store")
    (folder / "space.toml").write_text(SPACE)
    command.prepare(folder)
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    words = shlex.split(command.words.replace("{}", str(folder)), comments=True)
    said = say(words)
    if isinstance(command.promise, int):
        if said.code != 0:
            yield f"exit code {said.code}: {said.err[-800:]!r}"
        elif (num := num_clips(Path(words[-1]))) != command.promise:
            yield f"{num} clips instead of {command.promise}"
        return
    yield from refused(said, command.promise, last_only=command.words.startswith("anonymize"))
    after = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    for path in sorted((after.keys() ^ before.keys()) - {folder / name for name in SETTINGS}):
        yield f"left over or gone: {path.relative_to(folder)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", help="only inputs of this kind")
    parser.add_argument("--name", default="", help="only inputs whose name contains this text")
    given = parser.parse_args()
    failures, counts = [], Counter[str]()
    with tempfile.TemporaryDirectory(prefix="odd-") as scratch:
        good = Path(scratch) / "videos"
        good.mkdir()
        for name in NAMES:
            write(Form(), good / name)
        made = ["clips", "import", good, *shlex.split(IMPORT), *shlex.split(SMALL), "-o", good.parent / "store"]
        assert say(made).code == 0
        for one in (*videos(), *labels_and_folders(), *options()):
            if given.kind not in (None, one.kind) or given.name not in one.name:
                continue
            counts[one.kind] += 1
            if sum(counts.values()) % 25 == 0:
                print(f"{sum(counts.values())} inputs, {len(failures)} failures", file=sys.stderr, flush=True)
            folder = Path(tempfile.mkdtemp(dir=scratch))
            attempt = try_video if isinstance(one, Video) else try_command
            try:
                faults = list(attempt(one, good, folder))  # type: ignore[operator]
            except Exception:
                faults = [traceback.format_exc()]
            if faults:
                message = "; ".join(faults).replace(str(folder), "")
                failures.append({"kind": one.kind, "name": one.name, "message": message})
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
    num = sum(counts.values())
    print(json.dumps({"num_inputs": num, "kinds": counts, "num_failed": len(failures), "failures": failures}, indent=2))


if __name__ == "__main__":
    main()
