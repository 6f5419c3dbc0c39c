"""Parallel imports that are interrupted and continued; the bytes of the store are always the same."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anon_tune.clips import open_clips
from anon_tune.datasets import ImportResult, import_folder, import_pair, in_processes
from anon_tune.datasets.decode import ClipForm
from anon_tune.datasets.side_by_side import Item, Result
from anon_tune.errors import AnonTuneError, DataError

OPTIONS: dict[str, Any] = {
    "pattern": r"(?P<person>[a-z]+)(?P<take>\d)_(?P<action>[a-z]+)\.mp4",
    "action": "action",
    "private": ["person"],
    "group": "take",
    "test_groups": ["2"],
    "num_frames": 4,
    "height": 12,
    "width": 20,
}


def write_video(path: Path, seed: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 256, (9 + seed, 24, 40, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 24, 40, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixteen videos, of which one is broken."""
    folder = tmp_path / "videos"
    folder.mkdir()
    names = [f"{who}{take}_{what}.mp4" for who in ("ann", "bob") for take in (1, 2) for what in "abcd"]
    for seed, name in enumerate(names):
        write_video(folder / name, seed)
    (folder / "bob1_a.mp4").write_bytes(b"")
    return folder


def run(folder: Path, output: Path, **changes: Any) -> ImportResult:
    return import_folder(folder, output=output, **(OPTIONS | changes))


def read(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}


class Stopping:
    """A map that decodes in this process, counts the files, and is interrupted before a chosen call."""

    def __init__(self, before: int = 1000) -> None:
        self.files: list[Any] = []
        self._before = before

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        for item in items:
            if len(self.files) == self._before:
                raise KeyboardInterrupt
            self.files.append(item)
            yield function(item)


def test_the_store_is_the_same_with_any_number_of_processes(folder: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    result = run(folder, one)
    other = run(folder, two, decode_with=in_processes(3))
    assert read(one) == read(two)
    assert result.bad == other.bad
    assert [bad.file for bad in result.bad] == ["bob1_a.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two", "videos"]


@pytest.mark.parametrize(("before", "form"), [(1, {}), (6, {"keep_frames": 12}), (15, {"num_windows": 3})])
def test_an_interrupted_import_goes_on(folder: Path, tmp_path: Path, before: int, form: dict[str, int]) -> None:
    run(folder, tmp_path / "whole", **form)
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "store", decode_with=Stopping(before), **form)
    assert not (tmp_path / "store").exists()
    second, seen = Stopping(), []
    told = {"decode_with": second, "progress": lambda done, total: seen.append(done)}
    result = run(folder, tmp_path / "store", **told, **form)
    assert len(second.files) == 16 - before
    assert seen == list(range(before + 1, 17))
    assert read(tmp_path / "store") == read(tmp_path / "whole")
    assert [bad.file for bad in result.bad] == ["bob1_a.mp4"]
    assert not (tmp_path / ".store.partial").exists()


def test_what_is_no_fault_of_the_files_costs_no_decoded_file(folder: Path, tmp_path: Path) -> None:
    def broken_pool(function: Any, items: Any) -> Iterator[Any]:
        yield from map(function, items[:6])
        yield from in_processes(2)(eval, ["__import__('os')._exit(1)"] * 2)

    store, again = tmp_path / "store", Stopping()
    with pytest.raises(AnonTuneError, match="a process was killed"):
        run(folder, store, decode_with=broken_pool)
    with pytest.raises(DataError, match="already exists"):  # another made the folder meanwhile
        run(folder, store, decode_with=again, progress=lambda done, total: store.mkdir(exist_ok=True))
    assert len(again.files) == 10
    store.rmdir()
    last = Stopping()
    run(folder, store, decode_with=last)
    assert last.files == []
    run(folder, tmp_path / "whole")
    assert read(store) == read(tmp_path / "whole")


@pytest.mark.parametrize("change", [{"height": 8}, {"num_frames": 3}, {"gray": True}, {"frame_step": 2}])
def test_another_form_starts_anew(folder: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    run(folder, tmp_path / "whole", **change)
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "store", decode_with=Stopping(6))
    again = Stopping()
    run(folder, tmp_path / "store", decode_with=again, **change)
    assert len(again.files) == 16
    assert read(tmp_path / "store") == read(tmp_path / "whole")


def test_a_file_that_has_changed_is_decoded_again(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "store", decode_with=Stopping(8))
    write_video(folder / "bob1_a.mp4", 20)  # the broken one is mended
    again = Stopping()
    assert run(folder, tmp_path / "store", decode_with=again).bad == ()
    assert again.files[0] == "bob1_a.mp4"
    run(folder, tmp_path / "whole")
    assert read(tmp_path / "store") == read(tmp_path / "whole")


def test_frames_that_were_lost_are_decoded_again(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "store", decode_with=Stopping(6))
    frames = tmp_path / ".store.partial" / "store" / "frames.npy"
    frames.write_bytes(frames.read_bytes()[:-1])
    journal = tmp_path / ".store.partial" / "journal.jsonl"
    journal.write_text(journal.read_text() + '{"file": "cut of')
    again = Stopping()
    run(folder, tmp_path / "store", decode_with=again)
    run(folder, tmp_path / "whole")
    assert read(tmp_path / "store") == read(tmp_path / "whole")
    assert 11 <= len(again.files) < 16


def test_a_tool_that_writes_another_rate_is_compared_frame_by_frame(folder: Path, tmp_path: Path) -> None:
    (folder / "bob1_a.mp4").unlink()
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        with av.open(str(path)) as video, av.open(str(other / path.name), "w") as changed:
            stream = changed.add_stream_from_template(video.streams.video[0])
            packets = [packet for packet in video.demux(video.streams.video[0]) if packet.size]
            for at, packet in enumerate(packets):  # the same frames, ever slower
                packet.pts = packet.dts = packet.pts * (at + 1)
                packet.stream = stream
                changed.mux(packet)
    options = dict(OPTIONS)
    form = ClipForm(*(options.pop(name) for name in ("num_frames", "height", "width")))
    pair = import_pair(folder, other, form=form, output=tmp_path / "pair", decode_with=in_processes(2), **options)
    assert pair.original.num_clips == 16 - 1
    assert read(tmp_path / "pair/original")["frames.npy"] == read(tmp_path / "pair/anonymized")["frames.npy"]
    alone = run(other, tmp_path / "alone").clips
    assert alone.fingerprint != pair.original.fingerprint  # by its own times it would show other frames


def test_two_imports_of_one_store_do_not_meet(folder: Path, tmp_path: Path) -> None:
    def meanwhile(function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        with pytest.raises(DataError, match="store: is being imported by another process"):
            run(folder, tmp_path / "store")
        return map(function, items)

    assert run(folder, tmp_path / "store", decode_with=meanwhile).num_imported == 15


def processes_below(process: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            child = int(status.parent.name)
            found += [child, *processes_below(child)]
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_import_leaves_no_process_and_goes_on(folder: Path, tmp_path: Path, how: signal.Signals) -> None:
    for at in range(400):  # enough to be caught in the middle
        (folder / f"cat1_x{chr(97 + at % 26)}{chr(97 + at // 26)}.mp4").hardlink_to(folder / "ann1_d.mp4")
    arguments = ["clips", "import", str(folder), "--pattern", OPTIONS["pattern"], "--action", "action", "--private"]
    arguments += ["person", "--group", "take", "--test-groups", "2", "--num-frames", "4", "--size", "12x20"]
    arguments += ["--skip-bad", "--workers", "2", "-o", str(tmp_path / "store")]
    command = [sys.executable, "-m", "anon_tune", *arguments]
    journal = tmp_path / ".store.partial" / "journal.jsonl"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: journal.exists() and len(journal.read_text().splitlines()) > 10)
        children = processes_below(process.pid)
        os.kill(process.pid, how)
        said = process.communicate()[1]
    assert len(children) >= 4  # two that decode, the server that forks them, and the tracker of resources
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert said.splitlines()[-1].startswith("Stopped. ")
        assert "Traceback" not in said
    kept = [json.loads(line) for line in journal.read_text().splitlines()[1:-1]]
    assert not (tmp_path / "store").exists()
    again = Stopping()
    run(folder, tmp_path / "store", decode_with=again)
    assert len(again.files) <= 416 - len(kept)
    run(folder, tmp_path / "whole")
    assert read(tmp_path / "store") == read(tmp_path / "whole")


def anon_tune(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "anon_tune", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_options_reach_the_store_and_a_copy_of_it(
    folder: Path, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANON_TUNE_CACHE", str(tmp_path / "cache"))
    (folder / "bob1_a.mp4").unlink()
    labels = "".join(f"{path.name},{'test' if '2_' in path.name else 'train'},{path.name[:4]},{path.name[5]},"
                     f"{int(path.name < 'b')}\n" for path in sorted(folder.iterdir()))  # fmt: skip
    (tmp_path / "labels.csv").write_text("file,split,group,action,ann\n" + labels)
    options = ["--num-frames", "4", "--size", "12x20", "--frame-step", "2", "--gray", "--workers", "1"]
    store = tmp_path / "store"
    done = anon_tune(
        "clips", "import", "csv", "--root", folder, "--labels", tmp_path / "labels.csv", *options, "-o", store
    )
    assert done.returncode == 0, done.stderr
    expected = run(folder, tmp_path / "expected", frame_step=2, gray=True, val_fraction=0.0).clips
    frames = {entry.file: entry.content_hash for entry in open_clips(store).manifest.entries}
    assert frames == {entry.file: entry.content_hash for entry in expected.manifest.entries}
    clip = expected.split("train").frames
    assert (clip == clip[..., :1]).all()

    uri = s3.format("far")
    done = anon_tune("clips", "copy", store, uri)
    assert done.stdout.splitlines()[0] == f"{uri}: 15 clips of 4 frames, 12 x 20 pixels"
    done = anon_tune("clips", "copy", store, uri)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {uri}: already holds a clip store. Name another URI.\n"


def test_windows_of_videos_are_counted_and_too_long_ones_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "bob1_a.mp4").unlink()
    kept = run(folder, tmp_path / "kept", keep_frames=12).clips
    assert {e.file: e.end - e.begin for e in kept.manifest.entries}["ann1_b.mp4"] == 10  # all that the video has
    done = anon_tune("clips", "info", tmp_path / "kept")
    assert done.stdout.splitlines()[0].endswith(
        ": 15 clips of 4 frames, 12 x 20 pixels, windows within 9 to 12 kept frames"
    )
    run(folder, tmp_path / "cut", num_windows=3)
    done = anon_tune("clips", "info", tmp_path / "cut")
    assert done.stdout.splitlines()[0].endswith(": 15 clips of 4 frames, 12 x 20 pixels, 3 windows of each")
    with pytest.raises(DataError, match="every video is so short that its windows of 4 frames repeat frames"):
        run(folder, tmp_path / "long", num_windows=3, frame_step=30)
    assert run(folder, tmp_path / "one", frame_step=30).num_imported == 15


def test_a_photograph_has_no_step() -> None:
    done = anon_tune("clips", "import", "vispr", "--root", ".", "--frame-step", "2", "-o", "x")
    assert done.stderr.startswith("error: clips import: --frame-step cannot go with data set 'vispr'.")


def test_a_decoder_that_dies_is_one_line() -> None:
    results = in_processes(2)(eval, ["1", "2", "__import__('os')._exit(1)", *"3456789"])  # a child can import eval
    with pytest.raises(AnonTuneError, match="--workers: a process was killed, or a file broke the decoder, got 2"):
        list(results)
    assert multiprocessing.active_children() == []
