"""Noise covers persons only, moves with them, and cannot be drawn again without the raw clip."""

from __future__ import annotations

import torch
from torch import Tensor

from anon_tune.methods.warp_noise.network import WarpNoise, flows_back, stays_inside, warp


def walker(size: int = 48, num_frames: int = 10, seed: int = 0) -> Tensor:
    """Return a clip (T,3,H,W) in which a textured square moves two pixels to the right per frame."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=rng)
    person = torch.nn.functional.interpolate(coarse, (16, 16), mode="bilinear")[0]
    clip = torch.full((num_frames, 3, size, size), 0.5)
    for t in range(num_frames):
        clip[t, :, 16:32, 4 + 2 * t : 20 + 2 * t] = person
    return clip


def test_the_nearest_pixel_is_moved_and_the_border_repeats() -> None:
    frame = torch.arange(16.0).view(1, 4, 4)
    flow = torch.zeros(2, 4, 4)
    assert torch.equal(warp(frame, flow), frame)
    flow[0] = 1
    assert warp(frame, flow)[0].tolist() == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11], [13, 14, 15, 15]]
    assert stays_inside(flow)[0].tolist() == [True, True, True, False]


def test_flow_leads_back_to_the_frame_before() -> None:
    flow = flows_back(walker())
    assert flow.shape == (9, 2, 48, 48)
    body = flow[4, :, 20:28, 18:26]
    torch.testing.assert_close(body.mean(dim=(1, 2)), torch.tensor([-2.0, 0.0]), atol=0.4, rtol=0)


def test_noise_moves_with_the_person_along_the_whole_clip() -> None:
    clip = walker()
    noise = WarpNoise(1.0, "background", "colour", 1.0).noise_of(clip)
    middle = [noise[t, :, 21:27, 9 + 2 * t : 15 + 2 * t] for t in range(10)]
    carried = [float(torch.corrcoef(torch.stack([middle[0].flatten(), part.flatten()]))[0, 1]) for part in middle]
    assert min(carried) > 0.5
    still = WarpNoise(1.0, "background", "colour", 0.0).noise_of(clip)
    assert all(torch.equal(frame, still[0]) for frame in still)


def test_strength_zero_is_the_identity_and_the_background_is_kept() -> None:
    clip = walker()
    assert torch.equal(WarpNoise(0.0, "background", "colour", 1.0)(clip), clip)
    covered = WarpNoise(1.0, "background", "grey", 1.0)(clip)
    changed = (covered != clip).any(dim=1)
    assert not changed[:, :8].any()
    assert changed[5, 18:30, 16:28].float().mean() > 0.9
    assert torch.equal(covered[5, 0, 20:28, 18:26], covered[5, 2, 20:28, 18:26])  # grey
    quarter = WarpNoise(0.25, "background", "colour", 1.0)
    noise, mask = quarter.noise_of(clip), quarter.find(clip.unsqueeze(0))[0].expand_as(clip)
    torch.testing.assert_close(quarter(clip)[mask], (0.75 * clip + 0.25 * noise)[mask])


def test_two_clips_get_noise_that_does_not_match() -> None:
    method = WarpNoise(1.0, "background", "colour", 1.0)
    one, other = method.noise_of(walker())[0], method.noise_of(walker(seed=1))[0]
    assert abs(float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])) < 0.1
    assert torch.equal(one, method.noise_of(walker())[0])
