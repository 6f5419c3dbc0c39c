"""A video that is processed in chunks is the same as one that is processed at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anon_tune.export.stream import FrameStream, tiled
from anon_tune.methods import build_anonymizer, specs
from anon_tune.networks import Anonymizer
from anon_tune.recipe import AnonymizerRecipe, Recipe

CPU = torch.device("cpu")
APART = ("dp-noise", "dprp", "external")  # the noise of the first two is that of a window; the last runs a program
NAMES = [s.example for s in specs() if not s.is_trained and "persons" not in s.needs and s.name not in APART]


def build(name: str) -> Anonymizer:
    return built(name, AnonymizerRecipe(network="bdq" if name == "bdq" else "unet_small", base_channels=4))


def built(name: str, network: AnonymizerRecipe) -> Anonymizer:
    torch.manual_seed(0)
    return build_anonymizer(Recipe(method=name, anonymizer=network)).eval().requires_grad_(False)


def video(num_frames: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (num_frames, height, width, 3), dtype=torch.uint8, generator=generator)


def at_once(anonymizer: Anonymizer, frames: Tensor) -> Tensor:
    clip = anonymizer(frames.permute(0, 3, 1, 2).float() / 255)
    return (clip * 255).round().to(torch.uint8).permute(0, 2, 3, 1)


def largest(a: Tensor, b: Tensor) -> int:
    return int((a.int() - b.int()).abs().max())


@pytest.mark.parametrize("name", [*NAMES, "adversarial", "bdq"])
@settings(max_examples=8)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4), height=st.integers(9, 24), seed=st.integers(0, 9))
def test_chunk_borders_change_nothing(name: str, lengths: list[int], height: int, seed: int) -> None:
    lengths[0] += 1  # a first chunk has at least two frames, see FrameStream.chunk
    anonymizer, frames = build(name), video(sum(lengths), height, 17, seed)
    before = frames.clone()
    stream = FrameStream(anonymizer, height, 17, CPU)
    changed = torch.cat([stream(part) for part in frames.split(lengths)])
    # Other batches may round the last bit of a float otherwise, which is a level of 255 at most.
    assert largest(changed, at_once(anonymizer, frames)) <= 1
    assert torch.equal(frames, before)


@pytest.mark.parametrize("window", [(0, 0), (2, 0), (0, 2), (1, 1), (3, 2)])
@settings(max_examples=8)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_a_window_of_frames_is_streamed_with_the_same_result(
    window: tuple[int, int], lengths: list[int], seed: int
) -> None:
    before, after = window
    recipe = AnonymizerRecipe(network="unet_temporal", base_channels=4, frames_before=before, frames_after=after)
    anonymizer, frames = built("adversarial", recipe), video(sum(lengths), 12, 17, seed)
    stream = FrameStream(anonymizer, 12, 17, CPU)
    ready = [stream(part) for part in frames.split(lengths)]
    assert sum(map(len, ready)) == max(0, len(frames) - after)
    assert largest(torch.cat([*ready, stream.finish()]), at_once(anonymizer, frames)) <= 1
    assert len(stream.finish()) == 0


@pytest.mark.parametrize("name", ["person-black-out", "area-pixelate"])
@settings(max_examples=6)
@given(num_clips=st.integers(1, 3), rest=st.integers(0, 5))
def test_the_background_is_that_of_successive_clips_of_one_length(name: str, num_clips: int, rest: int) -> None:
    anonymizer, frames = build(name), video(6 * num_clips + rest, 20, 17)
    stream = FrameStream(anonymizer, 20, 17, CPU, clip_frames=6)
    changed = torch.cat([stream(part) for part in frames.split(stream.chunk)])
    clips = [at_once(anonymizer, frames[at : at + 6]) for at in range(0, 6 * num_clips, 6)]
    if rest:  # filled up with what came before
        clips.append(at_once(anonymizer, frames[-6:])[-rest:])
    assert largest(changed, torch.cat(clips)) <= 1


@settings(max_examples=20)
@given(height=st.integers(1, 60), width=st.integers(1, 60), side=st.integers(8, 40), overlap=st.integers(1, 7))
def test_tiles_of_a_pointwise_network_are_the_whole(height: int, width: int, side: int, overlap: int) -> None:
    frames = torch.rand(2, 3, height, width)
    sizes: list[tuple[int, int]] = []

    def network(tile: Tensor) -> Tensor:
        sizes.append((tile.shape[-2], tile.shape[-1]))
        return 1 - tile

    assert torch.allclose(tiled(network, frames, side, overlap), 1 - frames, atol=1e-6)
    assert max(map(max, sizes)) <= side
