"""Sizes, tiles, and the frames that a stream keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from anon_tune.errors import ExportError
from anon_tune.export import stream as streams
from anon_tune.export.stream import FrameStream, tiled
from anon_tune.methods import build_anonymizer, specs
from anon_tune.networks import Anonymizer
from anon_tune.recipe import AnonymizerRecipe, Recipe

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", [*(s.example for s in specs() if not s.is_trained and s.name != "external"), "bdq"])
def test_a_frame_depends_on_no_more_than_an_anonymizer_says(name: str) -> None:
    network = "bdq" if name == "bdq" else "unet_small"
    anonymizer = build_anonymizer(Recipe(method=name, anonymizer=AnonymizerRecipe(network=network))).eval()
    if anonymizer.num_before is None:
        return
    clip = torch.rand(8, 3, 20, 24)
    other = torch.rand(8, 3, 20, 24)
    first = 5 - anonymizer.num_before
    other[first:6] = clip[first:6]
    assert torch.equal(anonymizer(clip)[5], anonymizer(other)[5])


@pytest.mark.parametrize(("num_before", "num_after"), [(2, 0), (1, 1), (0, 2)])
def test_a_frame_depends_on_its_window_only(num_before: int, num_after: int) -> None:
    recipe = AnonymizerRecipe(network="unet_temporal", frames_before=num_before, frames_after=num_after)
    anonymizer = build_anonymizer(Recipe(anonymizer=recipe)).eval()
    assert (anonymizer.num_before, anonymizer.num_after) == (num_before, num_after)
    clip, other = torch.rand(2, 9, 3, 20, 24)
    other[4 - num_before : 5 + num_after] = clip[4 - num_before : 5 + num_after]
    assert torch.equal(anonymizer(clip)[4], anonymizer(other)[4])
    for outermost in {4 - num_before, 4 + num_after}:
        changed = clip.clone()
        changed[outermost] = other[0]
        assert not torch.equal(anonymizer(clip)[4], anonymizer(changed)[4])


def test_a_long_part_of_a_window_network_is_cut_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_SHARE", 1)
    monkeypatch.setitem(streams._BATCH_PIXELS, "cpu", 1)
    recipe = AnonymizerRecipe(network="unet_temporal", base_channels=4, frames_before=2, frames_after=1)
    anonymizer = build_anonymizer(Recipe(anonymizer=recipe)).eval().requires_grad_(False)
    lengths: list[int] = []
    anonymizer.register_forward_pre_hook(lambda _, given: lengths.append(len(given[0])))
    frames = torch.randint(0, 256, (20, 16, 16, 3), dtype=torch.uint8)
    stream = FrameStream(anonymizer, 16, 16, CPU)
    changed = torch.cat([stream(frames), stream.finish()])
    assert max(lengths) == 6
    whole = (anonymizer(frames.permute(0, 3, 1, 2).float() / 255) * 255).round().permute(0, 2, 3, 1)
    assert (changed.float() - whole).abs().max() <= 1


def test_tiles_of_a_filter_show_no_seam() -> None:
    frames = torch.rand(1, 3, 70, 90)
    kernel = torch.full((3, 1, 5, 5), 1 / 25)

    def network(tile: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.pad(tile, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)

    difference = (tiled(network, frames, 32, 12) - network(frames)).abs()
    # The outermost two pixels of a tile see its border; their weight in the blend is small.
    assert difference.max() < 0.12
    assert difference.mean() < 0.01
    smooth = torch.linspace(0, 1, 90).expand(1, 3, 70, 90)
    assert (tiled(network, smooth, 32, 12) - network(smooth)).abs().max() < 0.005


def test_a_large_frame_goes_through_a_network_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    anonymizer = (
        build_anonymizer(Recipe(method="adversarial", anonymizer=AnonymizerRecipe(base_channels=4)))
        .eval()
        .requires_grad_(False)
    )
    frames = (F.interpolate(torch.rand(2, 3, 6, 8), (72, 96), mode="bilinear") * 255).to(torch.uint8)
    frames = frames.permute(0, 2, 3, 1).contiguous()
    sizes: list[torch.Size] = []
    anonymizer.network.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[-2:]))
    for name, value in (("_TILE_PIXELS", 1000), ("_TILE_SIDE", 40), ("_TILE_OVERLAP", 16)):
        monkeypatch.setattr(streams, name, value)
    changed = FrameStream(anonymizer, 72, 96, CPU)(frames)
    assert changed.shape == frames.shape
    assert len(sizes) > 2
    assert max(map(max, sizes)) == 40


def test_tiles_show_no_more_than_blocks_and_levels_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = AnonymizerRecipe(base_channels=4, grey=True, block=8, levels=4)
    anonymizer = build_anonymizer(Recipe(method="adversarial", anonymizer=recipe)).eval().requires_grad_(False)
    frames = torch.randint(0, 256, (2, 72, 96, 3), dtype=torch.uint8)
    for name, value in (("_TILE_PIXELS", 1000), ("_TILE_SIDE", 40), ("_TILE_OVERLAP", 13)):
        monkeypatch.setattr(streams, name, value)
    changed = FrameStream(anonymizer, 72, 96, CPU)(frames)
    assert set(changed.unique().tolist()) <= {0, 85, 170, 255}
    assert torch.equal(changed, changed[:, ::8, ::8].repeat_interleave(8, 1).repeat_interleave(8, 2))


def test_scaling_works_at_the_given_size_and_comes_back() -> None:
    anonymizer = build_anonymizer(Recipe(method="identity"))
    seen: list[torch.Size] = []
    anonymizer.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-2:]))
    frames = torch.randint(0, 256, (3, 48, 40, 3), dtype=torch.uint8)
    changed = FrameStream(anonymizer, 48, 40, CPU, scale=(12, 20))(frames)
    assert changed.shape == frames.shape
    assert set(seen) == {(12, 20)}
    assert changed.float().std() < frames.float().std() / 2  # averaged away


def test_nobody_can_be_found_by_motion_in_one_frame() -> None:
    stream = FrameStream(build_anonymizer(Recipe(method="person-blur:4")), 16, 16, CPU)
    with pytest.raises(ExportError, match=r"compares the frames .* at least 2, got 1 frame\. Choose detector=hog"):
        stream(torch.zeros(1, 16, 16, 3, dtype=torch.uint8))


def test_chunks_get_shorter_as_frames_get_larger() -> None:
    blur = build_anonymizer(Recipe(method="blur:2"))
    chunks = [FrameStream(blur, side, side, CPU).chunk for side in (100, 1080, 4000, 8000)]
    assert chunks == sorted(chunks, reverse=True)
    assert chunks[0] == 32
    assert chunks[-1] == 2


def test_key_points_of_a_chunk_are_those_of_its_frames() -> None:
    class Numbers(Anonymizer):
        num_before = None

        def rewrite_by(self, clips: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
            return keypoints[..., 0, 0, 0].view(1, -1, 1, 1, 1).expand_as(clips) / 255

    def of(frames: Sequence[int], size: tuple[int, int]) -> np.ndarray:
        assert size == (4, 6)
        return np.full((len(frames), 1, 17, 3), 0, np.float32) + np.array(frames, np.float32)[:, None, None, None]

    stream = FrameStream(Numbers().eval(), 4, 6, torch.device("cpu"), clip_frames=4, keypoints=of)
    video = torch.zeros(10, 4, 6, 3, dtype=torch.uint8)
    out = torch.cat([stream(part) for part in video.split(stream.chunk)])
    assert out[:, 0, 0, 0].tolist() == list(range(10))


@pytest.mark.parametrize(
    ("method", "filled"), [("dp-noise:8", []), ("dprp:8", []), ("person-black-out", list(range(1, 32)))]
)
def test_a_private_release_sees_no_frame_of_a_video_twice(method: str, filled: list[int]) -> None:
    anonymizer = build_anonymizer(Recipe(method=method)).eval()
    seen: list[int] = []
    anonymizer.register_forward_pre_hook(lambda _, given: seen.extend((given[0][:, 0, 0, 0] * 255).int().tolist()))
    stream = FrameStream(anonymizer, 16, 16, CPU)
    assert stream.chunk == 32
    frames = torch.arange(33, dtype=torch.uint8).view(33, 1, 1, 1).expand(33, 16, 16, 3)
    changed = [stream(frames[:32]), stream(frames[32:]), stream.finish()]
    assert sum(len(part) for part in changed) == 33
    assert seen == [*range(32), *filled, 32]
