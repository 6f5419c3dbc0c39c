import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anon_tune.clips import Clips, ClipSampler, epoch_batches
from anon_tune.clips.augment import Views, to_unit
from anon_tune.errors import DataError


def test_a_batch_carries_the_labels_of_its_clips(coded_clips: Clips) -> None:
    train = coded_clips.split("train")
    batch = ClipSampler(train, 4, seed=3).batch(0)
    assert (len(batch), len(set(batch.ids))) == (4, 4)
    assert (batch.clips.dtype, batch.actions.dtype, batch.private.dtype) == (
        torch.float32,
        torch.int64,
        torch.float32,
    )
    for at, name in enumerate(batch.ids):
        row = train.ids.index(name)
        assert batch.actions[at] == train.actions[row]
        assert batch.private[at].tolist() == train.private[row].tolist()
        assert torch.equal(batch.clips[at], train.clips([row])[0])


def test_an_epoch_of_steps_sees_every_clip_once(coded_clips: Clips) -> None:
    sampler = ClipSampler(coded_clips.split("train"), 2, seed=0)
    epochs = [[i for step in range(3 * e, 3 * e + 3) for i in sampler.batch(step).ids] for e in range(4)]
    assert all(sorted(ids) == sorted(coded_clips.split("train").ids) for ids in epochs)
    assert len({tuple(ids) for ids in epochs}) > 1


def test_a_batch_may_be_larger_than_the_split(coded_clips: Clips) -> None:
    ids = ClipSampler(coded_clips.split("val"), 7, seed=0).batch(5).ids
    assert {ids.count("clip-6"), ids.count("clip-7")} == {3, 4}


def test_the_crop_is_one_box_for_all_frames(coded_clips: Clips) -> None:
    train = coded_clips.split("train")
    frames = np.repeat(train.frames[:, :1], 3, axis=1)
    still = type(train)(frames, train.actions, train.private, train.groups, train.ids)
    batch = ClipSampler(still, 6, seed=1, crop=0.5, flip=True).batch(0)
    plain = ClipSampler(still, 6, seed=1).batch(0)
    assert batch.clips.shape == plain.clips.shape
    assert torch.equal(batch.clips[:, :1].expand_as(batch.clips), batch.clips)
    assert sum(not torch.equal(a, b) for a, b in zip(batch.clips, plain.clips, strict=True)) >= 4
    assert batch.clips.min() >= 0
    assert batch.clips.max() <= 1


def test_a_crop_shows_a_part_of_the_frame(coded_clips: Clips) -> None:
    # On a ramp, a crop of half the width spans at most half of the values.
    train = coded_clips.split("train")
    ramp = np.broadcast_to(np.arange(0, 240, 6, np.uint8)[:, None], (6, 1, 8, 40, 3))
    wide = type(train)(ramp, train.actions, train.private, train.groups, train.ids)
    seen = [ClipSampler(wide, 6, seed=s, crop=0.5).batch(0).clips * 255 for s in range(8)]
    spans = torch.stack([b[..., -1] - b[..., 0] for b in seen])
    assert 19 * 6 <= spans.min() < 25 * 6
    assert 35 * 6 < spans.max() <= 39 * 6
    assert all((b - b[:, :, :, :1]).abs().max() < 1e-3 for b in seen)  # of 255: rows stay alike


def test_a_crop_is_that_part_of_the_whole_clip(coded_clips: Clips) -> None:
    train = coded_clips.split("train")
    rows = np.array([4, 0, 4])
    views = Views(*np.array([[0.0, 0.4, 0.9], [0.5, 0.0, 0.99], [0.99, 0.5, 0.0], [0.2, 0.7, 0.4]]))
    whole = to_unit(train.frames[rows])
    # 5 rows and 7 columns at scales of 0.6 to 1: sizes, corners and mirrors by hand.
    boxes = [(slice(1, 4), slice(3, 7), True), (slice(0, 4), slice(1, 6), False), (slice(0, 5), slice(0, 7), True)]
    for at, (h, w, mirrored) in enumerate(boxes):
        part = F.interpolate(whole[at, :, :, h, w], (5, 7), mode="bilinear", align_corners=False).clamp(0, 1)
        seen = views.read(train.frames[rows], 0, 0.6, flip=True).clips(torch.device("cpu"))[at]
        assert torch.equal(seen, part.flip(-1) if mirrored else part)


def test_flipping_mirrors_about_half_of_the_clips(coded_clips: Clips) -> None:
    train = coded_clips.split("train")
    plain, flipped = ClipSampler(train, 6, seed=0), ClipSampler(train, 6, seed=0, flip=True)
    mirrored = 0
    for step in range(20):
        for a, b in zip(plain.batch(step).clips, flipped.batch(step).clips, strict=True):
            assert torch.equal(a, b) or torch.equal(a.flip(-1), b)
            mirrored += torch.equal(a.flip(-1), b)
    assert 40 < mirrored < 80


def test_unequal_parts_are_refused(coded_clips: Clips) -> None:
    with pytest.raises(DataError, match="must be a multiple of the 2 workers, got 5"):
        ClipSampler(coded_clips.split("train"), 5, seed=0).batch(0, 0, 2)


def test_epoch_batches_drop_nothing(coded_clips: Clips) -> None:
    train = coded_clips.split("train")
    assert [len(b) for b in epoch_batches(train, 4, 0, 0, shuffle=True)] == [4, 2]
    in_order = [i for b in epoch_batches(train, 4, 3, 9, shuffle=False) for i in b.ids]
    assert tuple(in_order) == train.ids
    orders = [tuple(i for b in epoch_batches(train, 4, e, 0, shuffle=True) for i in b.ids) for e in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == sorted(train.ids)
