"""Person masks: where they come from, how they are stored and copied, and what batches show without persons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anon_tune.clips import Clips, PoissonSampler, open_clips
from anon_tune.clips.node_cache import save_store
from anon_tune.clips.persons import BLANK, PERSONS, blanked, map_masks, without_persons, write_masks
from anon_tune.clips.place import check_place
from anon_tune.clips.windows import Windows
from anon_tune.errors import DataError
from anon_tune.methods.persons.store_masks import find_persons


def masks_of(clips: Clips) -> np.ndarray:
    packed = clips.split("train").persons
    assert packed is not None
    return np.unpackbits(packed, axis=-1, count=clips.shape[2]).astype(bool)


def test_masks_of_avatars_cover_what_moves_and_leave_the_background(avatars: Clips) -> None:
    frames, masks = avatars.split("train").frames.astype(int), masks_of(avatars)
    assert masks.shape == frames.shape[:-1] and 0.1 < masks.mean() < 0.6
    never = ~masks.any(axis=1)  # pixels that no frame of a clip shows a person in
    spread = (frames.max(axis=1) - frames.min(axis=1)).max(axis=-1)
    assert never.any() and spread[never].max() < 60 < spread[~never].max()  # the grain of the camera is below


def test_a_blanked_frame_keeps_everything_but_persons(avatars: Clips) -> None:
    train, masks = avatars.split("train"), masks_of(avatars)
    assert train.persons is not None
    found = blanked(train.frames[:3], train.persons[:3])
    assert (found[masks[:3]] == BLANK).all()
    assert np.array_equal(found[~masks[:3]], train.frames[:3][~masks[:3]])


def test_masks_come_back_and_other_shapes_are_refused(coded_clips: Clips) -> None:
    shape = (10, *coded_clips.shape[:3])
    assert coded_clips.split("val").persons is None and map_masks(coded_clips.directory, shape) is None
    masks = np.random.default_rng(0).random(shape) < 0.3
    write_masks(coded_clips.directory, shape, masks)
    opened = open_clips(coded_clips.directory)
    assert opened.fingerprint == coded_clips.fingerprint
    packed = opened.split("val").persons
    assert packed is not None
    assert np.array_equal(np.unpackbits(packed, axis=-1, count=shape[-1]).astype(bool), masks[6:8])
    with pytest.raises(DataError, match=rf"{PERSONS}: the clips require uint8 masks of shape .*, got uint8 \(10"):
        map_masks(coded_clips.directory, (9, *shape[1:]))
    (coded_clips.directory / f".{PERSONS}").touch()  # of a command that was killed
    check_place(coded_clips.directory, force=True)
    (coded_clips.directory / PERSONS).write_bytes(b"no")
    with pytest.raises(DataError, match=r"not a complete \.npy file"):
        open_clips(coded_clips.directory)


def test_masks_that_were_added_later_reach_a_node_that_has_the_clips(
    coded_clips: Clips, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANON_TUNE_CACHE", str(tmp_path / "cache"))
    save_store(coded_clips.directory, s3.format("without"))
    assert open_clips(s3.format("without")).split("train").persons is None
    write_masks(coded_clips.directory, (10, *coded_clips.shape[:3]), np.ones((10, *coded_clips.shape[:3]), bool))
    save_store(coded_clips.directory, s3.format("with"))
    packed = open_clips(s3.format("with")).split("train").persons
    assert packed is not None and packed.all()
    assert open_clips(s3.format("without")).split("train").persons is None  # whose masks they are not
    write_masks(coded_clips.directory, (10, *coded_clips.shape[:3]), np.zeros((10, *coded_clips.shape[:3]), bool))
    save_store(coded_clips.directory, s3.format("nobody"))
    for name, there in (("with", True), ("nobody", False), ("with", True)):  # of the same size
        packed = open_clips(s3.format(name)).split("train").persons
        assert packed is not None and packed.any() == there


def test_a_detector_finds_persons_who_move(
    avatars: Clips, tmp_path: Path, say: Callable[..., tuple[int, str, str]]
) -> None:
    store = tmp_path / "clips"
    store.mkdir()
    for name in ("manifest.parquet", "frames.npy", "keypoints.npy"):
        (store / name).symlink_to(avatars.directory / name)
    code, out, _ = say("clips", "persons", store)
    assert code == 0 and "frames with a person  " in out
    found, true = masks_of(open_clips(store)), masks_of(avatars)
    assert (found & true).sum() > 0.5 * found.sum()
    code, _, err = say("clips", "persons", store)
    assert code == 2 and "already has person masks. Add --force to replace them." in err
    assert find_persons(store, "background", force=True).pixels == pytest.approx(
        np.unpackbits(np.load(store / PERSONS), axis=-1, count=20).mean()
    )
    code, _, err = say("clips", "persons", tmp_path)
    assert code == 2 and "a clip store must hold 'manifest.parquet'" in err


def test_batches_show_the_same_view_without_persons(avatars: Clips) -> None:
    train = avatars.split("train")
    sampler = PoissonSampler(train, 0.5, b"key", False, crop=0.7, flip=True, persons_only=True)
    drawn = sampler.batch("move 0")
    assert drawn.without_persons is not None and drawn.without_persons.shape == drawn.batch.clips.shape
    same = drawn.without_persons == drawn.batch.clips
    assert 0.2 < float(same.float().mean()) < 0.95
    packed = np.zeros_like(train.persons)
    nobody = PoissonSampler(replace(train, persons=packed), 0.5, b"key", False, 0.7, True, persons_only=True)
    again = nobody.batch("move 0")
    assert again.without_persons is not None and (again.without_persons == again.batch.clips).all()


def test_public_clips_tell_nothing_of_who_is_in_the_noised_batch(avatars: Clips) -> None:
    sampler = PoissonSampler(avatars.split("train"), 0.25, b"key", False, persons_only=True)
    pairs = [
        (set(sampler.batch(f"move {at}").batch.ids), set(sampler.public(f"move {at}", 8).ids)) for at in range(300)
    ]
    seen = sum(len(public) for _, public in pairs)
    assert seen == 300 * 8
    both = sum(len(private & public) for private, public in pairs)
    # Of the public clips, as many are in the noised batch as of all clips: a quarter. The same batch would give all.
    assert both / seen == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / seen) ** 0.5)
    assert len({frozenset(public) for _, public in pairs}) > 290


def test_masks_follow_the_windows_of_a_clip(avatars: Clips) -> None:
    train, masks = avatars.split("train"), masks_of(avatars)
    ends = np.full(len(train), 4)
    cut = replace(train, frames=train.frames[:, 1:3], windows=Windows(train.frames, 2, 1, 0 * ends, ends))
    rows, at = np.arange(6), np.linspace(0, 0.99, 6)
    assert cut.windows is not None
    starts = cut.windows.starts(rows, at)
    assert set(starts) == {0, 1, 2}
    for row, start, seen, grey in zip(rows, starts, cut.shown(rows, at), without_persons(cut, rows, at), strict=True):
        inside = masks[row, start : start + 2]
        assert (grey[inside] == BLANK).all() and np.array_equal(grey[~inside], seen[~inside])
