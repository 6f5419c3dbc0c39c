from __future__ import annotations

import math

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from anon_tune.training import adversary, distortion, penalty, privacy_loss, quantize

offsets = st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=5)
thresholds = st.floats(0, 0.6)
losses = st.lists(st.floats(0, 1e4, width=32), min_size=1, max_size=20)
blinds = st.floats(0.1, 10)
caps = st.floats(0.01, 10)
bounds = st.sampled_from(["cap", "tanh"])


def moved(shifts: list[float], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return clips and themselves shifted, each by its own constant: rms is the size of the shift."""
    raw = torch.rand((len(shifts), 2, 3, 4, 5), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return raw, (raw + torch.tensor(shifts, dtype=torch.float64).view(-1, 1, 1, 1, 1)).requires_grad_()


@given(offsets, thresholds, st.integers(0, 100))
def test_a_clip_has_gradient_beyond_the_threshold_and_none_within(
    shifts: list[float], threshold: float, seed: int
) -> None:
    assume(all(abs(abs(shift) - threshold) > 1e-4 for shift in shifts))
    raw, changed = moved(shifts, seed)
    before = raw.clone()
    value = penalty(raw, changed, threshold)
    value.backward()
    assert changed.grad is not None
    for shift, gradient in zip(shifts, changed.grad, strict=True):
        if abs(shift) < threshold:
            assert (gradient == 0).all()
        else:
            # Of the mean over clips, of a root mean square: towards the raw clip, of norm 1 / (B sqrt(n)).
            assert (torch.sign(gradient) == math.copysign(1, shift)).all()
            size = 1 / (len(shifts) * math.sqrt(gradient.numel()))
            assert math.isclose(float(gradient.norm()), size, rel_tol=1e-3)
    excess = sum(max(0.0, abs(shift) - threshold) for shift in shifts) / len(shifts)
    assert math.isclose(value.item(), excess, abs_tol=2e-6)
    assert torch.equal(raw, before)


@given(st.integers(0, 100), thresholds)
def test_an_unchanged_clip_has_no_gradient_at_any_threshold(seed: int, threshold: float) -> None:
    raw, changed = moved([0.0, 0.0], seed)
    penalty(raw, changed, threshold).backward()
    assert changed.grad is not None
    assert (changed.grad == 0).all()


@given(st.integers(0, 1000), st.floats(-3, 3))
def test_distortion_is_a_distance(seed: int, scale: float) -> None:
    one, two = torch.rand((2, 3, 2, 3, 4, 5), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    there = distortion(one, two)
    assert there.shape == (3,)
    torch.testing.assert_close(there, distortion(two, one))
    torch.testing.assert_close(distortion(one * scale, two * scale), abs(scale) * there, rtol=0, atol=2e-6)
    naive = [math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a.flatten(), b.flatten(), strict=True)) / 120)
             for a, b in zip(one, two, strict=True)]  # fmt: skip
    torch.testing.assert_close(there, torch.tensor(naive, dtype=torch.float64), rtol=0, atol=2e-6)


@given(losses, blinds, bounds, caps)
def test_the_adversary_term_is_bounded(values: list[float], blind: float, bound: str, cap: float) -> None:
    term = float(adversary(torch.tensor(values), blind, bound, cap))  # type: ignore[arg-type]
    slack = 1e-5 * cap * blind
    assert -cap * blind - slack <= term <= 0


@given(losses, blinds, caps)
def test_beyond_the_cap_there_is_nothing_to_gain(values: list[float], blind: float, cap: float) -> None:
    loss = torch.tensor(values, requires_grad=True)
    assume(all(abs(v - cap * blind) > 1e-3 for v in values))
    adversary(loss, blind, "cap", cap).backward()
    assert loss.grad is not None
    below = loss.detach() < cap * blind
    assert (loss.grad[~below] == 0).all()
    torch.testing.assert_close(loss.grad[below], torch.full_like(loss.grad[below], -1 / len(values)))


@given(losses, blinds, caps)
def test_tanh_gains_less_the_higher_the_loss(values: list[float], blind: float, cap: float) -> None:
    loss = torch.tensor(sorted(values), dtype=torch.float64, requires_grad=True)
    adversary(loss, blind, "tanh", cap).backward()
    assert loss.grad is not None
    assert (loss.grad <= 0).all()
    assert (loss.grad.diff() >= -1e-12).all()
    expected = -(1 - torch.tanh(loss.detach() / (cap * blind)) ** 2) / len(values)
    torch.testing.assert_close(loss.grad, expected)


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 5), st.floats(0.05, 2), st.integers(0, 50))
def test_a_blind_branch_gets_the_blind_loss(num_stills: int, width: int, temperature: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(1, width, generator=generator, dtype=torch.float64), dim=1)
    private = torch.randint(2, (2 * num_stills, width), generator=generator).double()
    loss, blind = privacy_loss(direction.expand(2 * num_stills, width), private, "nt_xent", temperature)
    assert blind == math.log(2 * num_stills - 1)
    torch.testing.assert_close(loss, torch.full_like(loss, blind), rtol=0, atol=1e-9)
    loss, blind = privacy_loss(torch.zeros_like(private), private, "attributes", temperature)
    assert loss.shape == private.shape
    torch.testing.assert_close(loss, torch.full_like(loss, blind))


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30))
def test_quantized_clips_are_levels_and_pass_the_gradient_through(values: list[float]) -> None:
    clips = torch.tensor(values, requires_grad=True)
    out = quantize(clips)
    assert torch.equal(out.detach(), (clips.detach() * 255).round().to(torch.uint8).float() / 255)
    assert (out - clips).abs().max() <= 0.5001 / 255
    weights = torch.arange(len(values)).float()
    (out * weights).sum().backward()
    assert clips.grad is not None
    assert torch.equal(clips.grad, weights)
