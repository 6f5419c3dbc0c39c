import dataclasses

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anon_tune.clips import ClipBatch, ClipSampler, ClipSet
from anon_tune.datasets.labels import Found, Splitter, label_files, split_files

seeds = st.integers(0, 2**32)
steps = st.integers(0, 10**6)


def clip_set(num_clips: int) -> ClipSet:
    rng = np.random.default_rng(num_clips)
    return ClipSet(
        frames=rng.integers(0, 256, (num_clips, 2, 6, 9, 3), np.uint8),
        actions=rng.integers(0, 3, num_clips),
        private=rng.integers(0, 2, (num_clips, 4), np.uint8),
        groups=tuple(map(str, range(num_clips))),
        ids=tuple(map(str, range(num_clips))),
    )


def same(one: ClipBatch, two: ClipBatch) -> bool:
    return one.ids == two.ids and all(
        torch.equal(getattr(one, name), getattr(two, name)) for name in ("clips", "actions", "private")
    )


def join(parts: list[ClipBatch]) -> ClipBatch:
    names = [field.name for field in dataclasses.fields(ClipBatch) if field.name not in ("ids", "inputs")]
    tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return ClipBatch(**tensors, ids=sum((part.ids for part in parts), ()))


@given(seeds, steps, st.integers(1, 20), st.integers(1, 12), st.floats(0.3, 1.0), st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_batch_depends_on_seed_and_step_alone(
    seed: int, step: int, num_clips: int, batch_clips: int, crop: float, flip: bool
) -> None:
    fresh = ClipSampler(clip_set(num_clips), batch_clips, seed, crop, flip)
    used = ClipSampler(clip_set(num_clips), batch_clips, seed, crop, flip)
    for earlier in range(3):
        used.batch(earlier)
    batch = fresh.batch(step)
    assert same(batch, used.batch(step))
    assert len(batch) == batch_clips
    assert batch.clips.shape == (batch_clips, 2, 3, 6, 9)
    assert 0 <= batch.clips.min() <= batch.clips.max() <= 1


@given(seeds, steps, st.integers(1, 20), st.integers(1, 4), st.integers(1, 4), st.floats(0.3, 1.0), st.booleans())
@settings(deadline=None, max_examples=40)
def test_the_parts_of_a_batch_are_the_batch(
    seed: int, step: int, num_clips: int, part_clips: int, num_parts: int, crop: float, flip: bool
) -> None:
    sampler = ClipSampler(clip_set(num_clips), part_clips * num_parts, seed, crop, flip)
    parts = [sampler.batch(step, part, num_parts) for part in range(num_parts)]
    assert same(join(parts), sampler.batch(step))


@given(seeds, st.integers(1, 20), st.integers(1, 12), st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_every_clip_is_seen_equally_often(seed: int, num_clips: int, batch_clips: int, epochs: int) -> None:
    sampler = ClipSampler(clip_set(num_clips), batch_clips, seed)
    num_steps = epochs * num_clips  # so many steps are batch_clips * epochs whole epochs
    ids = [name for step in range(num_steps) for name in sampler.batch(step).ids]
    assert all(ids.count(str(at)) == epochs * batch_clips for at in range(num_clips))


labels = st.tuples(st.sampled_from("abc"), st.sampled_from("123"), st.tuples(st.sampled_from("xyz")))


@given(st.lists(labels, min_size=1, max_size=60), st.floats(0, 0.9), st.booleans())
def test_no_group_is_in_train_and_test(
    drawn: list[tuple[str, str, tuple[str]]], fraction: float, own_val: bool
) -> None:
    found = [Found(f"{at}.mp4", *one) for at, one in enumerate(drawn)]
    found += [Found("train.mp4", "a", "1", ("x",)), Found("val", "a", "2", ("x",)), Found("test", "a", "3", ("x",))]
    own = ["2"] if own_val else []
    by_group = split_files(found, ["3"], own, fraction)
    splitter = Splitter(label_files(found, by_group, {"x": (True,) * len(found)}), found, 0 if own_val else fraction)
    split_of = {one.id: one.split for one in splitter.split()}
    splits = [split_of[one.file] for one in found]
    groups = {name: {f.group for f, s in zip(found, splits, strict=True) if s == name} for name in ("train", "test")}
    assert groups["test"] == {"3"}
    assert "3" not in groups["train"]
    rest = sum(f.group != "3" for f in found)
    held = splits.count("val")
    assert held == (sum(f.group == "2" for f in found) if own_val else min(round(fraction * rest), rest - 1))
    assert groups["train"]
