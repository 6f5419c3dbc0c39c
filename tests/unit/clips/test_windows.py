"""Stores that hold several windows of each clip. The value of a pixel tells its clip and its stored frame."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from anon_tune.clips import (
    Clips,
    ClipSampler,
    ClipSet,
    PoissonSampler,
    StillSampler,
    mean_of_windows,
    one_per_clip,
    open_clips,
    spread_windows,
)
from anon_tune.clips.labels import Labels
from anon_tune.clips.manifest import MANIFEST, WindowForm
from anon_tune.clips.outside import outside_training
from anon_tune.clips.store import StoreWriter
from anon_tune.errors import DataError

T, H, W = 3, 2, 2


def write(path: Path, form: WindowForm, kept: list[tuple[int, int]]) -> Clips:
    with StoreWriter(path, (T, H, W, 3), windows=form) as writer:
        for at, span in enumerate(kept):
            split = ("train", "val", "test")[(at >= 4) + (at >= 8)]
            levels = 20 * at + np.arange(form.stored_frames, dtype=np.uint8)
            frames = np.broadcast_to(levels[:, None, None, None], (form.stored_frames, H, W, 3))
            labels = Labels(f"clip-{at}", "", split, f"group-{at}", f"action-{at % 2}", (at % 3 == 0,))
            writer.add(labels, np.ascontiguousarray(frames), span)
        return writer.finish(("third",), 5.0, "numbered")


@pytest.fixture
def five(tmp_path: Path) -> Clips:
    """Ten clips of five windows, stored one after another."""
    return write(tmp_path / "five", WindowForm(5 * T, T), [(0, 5 * T)] * 10)


@pytest.fixture
def kept(tmp_path: Path) -> Clips:
    """Ten clips of 3 to 12 kept frames, in the middle of twelve; windows may begin at any of them."""
    lengths = [3, 4, 5, 12, 6, 7, 8, 3, 12, 9]
    return write(tmp_path / "kept", WindowForm(12, 1), [((12 - n + 1) // 2, (12 - n + 1) // 2 + n) for n in lengths])


def numbers(frames: np.ndarray) -> list[list[int]]:
    """The stored frames that clips show, without the number of the clip."""
    return [[int(level) % 20 for level in clip[:, 0, 0, 0]] for clip in frames]


def test_frames_are_the_middle_window(five: Clips, kept: Clips) -> None:
    assert (five.shape, five.num_clips, five.manifest.stored_shape) == ((T, H, W, 3), 10, (15, H, W, 3))
    assert numbers(five.split("test").frames) == [[6, 7, 8]] * 2
    train = kept.split("train")
    assert numbers(train.frames) == [[5, 6, 7]] * 4
    assert train.windows is not None
    assert train.windows.counts.tolist() == [1, 2, 3, 10]
    assert (train.windows.begin <= 5).all()
    assert (train.windows.end >= 8).all()


@pytest.mark.parametrize("name", ["five", "kept"])
def test_training_draws_each_window_of_a_clip_and_no_other_frames(
    name: str, five: Clips, kept: Clips, request: pytest.FixtureRequest
) -> None:
    train = {"five": five, "kept": kept}[name].split("train")
    assert train.windows is not None
    sampler, seen = ClipSampler(train, 4, seed=1), dict[str, set[int]]()
    for step in range(150):
        batch = sampler.batch(step)
        levels = (batch.clips[:, :, 0, 0, 0] * 255).round().int() % 20
        assert (levels.diff(dim=1) == 1).all()  # frames follow each other
        for clip, first in zip(batch.ids, levels[:, 0].tolist(), strict=True):
            seen.setdefault(clip, set()).add(first)
    spans = zip(train.ids, train.windows.begin, train.windows.end, strict=True)
    step = train.windows.stride
    assert seen == {clip: set(range(begin, end - T + 1, step)) for clip, begin, end in spans}


def test_a_batch_depends_on_seed_and_step_only(kept: Clips) -> None:
    train = kept.split("train")
    used = ClipSampler(train, 4, seed=3, crop=0.6, flip=True)
    before = [used.batch(step).clips for step in range(6)]
    fresh = ClipSampler(train, 4, seed=3, crop=0.6, flip=True)
    halves = [fresh.batch(5, part, 2).clips for part in range(2)]
    assert before[5].equal(fresh.batch(5).clips)
    assert np.array_equal(before[5], np.concatenate(halves))
    assert not before[5].equal(ClipSampler(train, 4, seed=4, crop=0.6, flip=True).batch(5).clips)


def test_other_samplers_show_windows_too(five: Clips) -> None:
    train = five.split("train")
    stills = {int(x) % 20 for at in range(60) for x in StillSampler(train, 4, 2, 0).batch(at).clips[..., 0, 0, 0].mul(255).round().flatten()}  # fmt: skip  # noqa: E501
    private = PoissonSampler(train, 0.5, b"key", by_group=False)
    drawn = {int(x) % 20 for at in range(60) for x in private.batch(str(at)).batch.clips[:, 0, 0, 0, 0].mul(255).round()}  # fmt: skip  # noqa: E501
    assert stills == set(range(15))
    assert drawn == {0, 3, 6, 9, 12}


def test_measured_windows_are_spread_evenly(five: Clips, kept: Clips) -> None:
    test = five.split("test")
    rows = spread_windows(test, 5)
    assert numbers(rows.frames) == [[at, at + 1, at + 2] for at in range(0, 15, 3)] * 2
    assert np.shares_memory(rows.frames, test.windows.stored)  # type: ignore[union-attr]  # nothing is copied
    assert (len(rows), rows.num_windows, rows.groups[4:6]) == (10, 5, ("group-8", "group-9"))
    assert rows.private.tolist() == np.repeat(test.private, 5, axis=0).tolist()
    assert numbers(spread_windows(test, 3).frames) == [[0, 1, 2], [6, 7, 8], [12, 13, 14]] * 2
    assert numbers(spread_windows(test, 1).frames) == numbers(test.frames)
    assert spread_windows(test, 9).num_windows == 5  # there are no more
    # Clips with fewer windows than others repeat some.
    train = spread_windows(kept.split("train"), 3)
    firsts = [first for first, *_ in numbers(train.frames)]
    assert firsts == [5, 5, 5, 4, 5, 5, 4, 5, 6, 1, 5, 8]


def test_rows_of_windows_become_clips_again(five: Clips) -> None:
    test = five.split("test")
    rows = spread_windows(test, 5)
    again = one_per_clip(replace(rows, inputs={"mask": np.arange(10, dtype=np.float32)}))
    assert (again.ids, again.groups, again.num_windows) == (test.ids, test.groups, 1)
    assert again.actions.tolist() == test.actions.tolist()
    assert again.inputs["mask"].tolist() == [0, 5]
    said = np.arange(20.0).reshape(10, 2)
    assert mean_of_windows(said, rows).tolist() == [[4, 5], [14, 15]]
    assert mean_of_windows(said, again) is said


def test_a_store_of_one_window_is_as_before(coded_clips: Clips) -> None:
    train = coded_clips.split("train")
    assert train.windows is None
    assert spread_windows(train, 5) is train
    assert one_per_clip(train) is train
    assert coded_clips.fingerprint == "47881b9f2956dcd7"
    assert sorted(pq.read_schema(coded_clips.directory / MANIFEST).names) == sorted(
        ["id", "file", "split", "group", "action", "content_hash", "row", "private.even", "private.low"]
    )


def test_windows_change_the_fingerprint(five: Clips, tmp_path: Path) -> None:
    assert open_clips(five.directory).manifest == five.manifest
    fewer = write(tmp_path / "fewer", WindowForm(5 * T, 1), [(0, 5 * T)] * 10)
    moved = write(tmp_path / "moved", WindowForm(5 * T, 1), [(0, 5 * T)] * 9 + [(0, 4 * T)])
    assert len({five.fingerprint, fewer.fingerprint, moved.fingerprint}) == 3


def test_clips_outside_the_training_split_keep_their_windows(tmp_path: Path) -> None:
    kept = write(tmp_path / "more", WindowForm(5 * T, T), [(0, 5 * T)] * 10)
    seen: ClipSet = outside_training(kept).split("train")
    assert seen.ids == ("clip-4", "clip-5", "clip-6")
    assert spread_windows(seen, 5).num_windows == 5


@pytest.mark.parametrize(("span", "shown"), [((0, 2), "0 to 2"), ((10, 13), "10 to 13"), ((-1, 5), "-1 to 5")])
def test_a_window_outside_of_what_is_stored_is_refused(tmp_path: Path, span: tuple[int, int], shown: str) -> None:
    with pytest.raises(DataError, match=f"at least one window of 3 of the 12 stored frames, got frames {shown} of"):
        write(tmp_path / "bad", WindowForm(12, 1), [(0, 12)] * 9 + [span])


def test_a_later_version_is_refused(five: Clips) -> None:
    path = five.directory / MANIFEST
    table = pq.read_table(path)
    facts = json.loads(table.schema.metadata[b"anon_tune"]) | {"version": 3}
    pq.write_table(table.replace_schema_metadata({"anon_tune": json.dumps(facts)}), path)
    with pytest.raises(DataError, match="must be of version 1 or 2, got 3"):
        open_clips(five.directory)
