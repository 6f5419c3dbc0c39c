"""Random numbers with a key: their laws, and that no bit of the key is lost."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from anon_tune.networks.keyed_numbers import KeyedNumbers
from anon_tune.networks.secret_noise import normal_noise

KEY = bytes(range(32))


def test_numbers_follow_their_laws() -> None:
    drawn = KeyedNumbers(KEY)
    normal, uniform = drawn.normal((200, 100)), drawn.uniform((200, 100))
    assert normal.dtype == uniform.dtype == torch.float32
    assert stats.kstest(normal.flatten(), "norm").pvalue > 0.01
    assert stats.kstest(uniform.flatten(), "uniform").pvalue > 0.01
    assert float(uniform.min()) >= 0 and float(uniform.max()) < 1
    assert abs(float(torch.corrcoef(torch.stack([normal.flatten(), uniform.flatten()]))[0, 1])) < 0.03


@pytest.mark.parametrize("place", range(32))
def test_every_byte_of_the_key_counts(place: int) -> None:
    other = bytearray(KEY)
    other[place] ^= 128
    same, changed = (KeyedNumbers(bytes(key)).normal((50,)) for key in (KEY, other))
    assert torch.equal(same, KeyedNumbers(KEY).normal((50,)))
    assert (same - changed).abs().min() > 0


def test_draws_of_a_stream_differ_and_may_have_any_size() -> None:
    drawn = KeyedNumbers(KEY)
    assert not torch.equal(drawn.normal((4,)), drawn.normal((4,)))
    assert drawn.normal(()).shape == () and drawn.uniform((0, 3)).shape == (0, 3)


def test_noise_of_frames_is_not_that_of_a_seed_of_32_bits() -> None:
    # torch takes the low 32 bits of a seed alone: two seeds that differ above give the same numbers.
    low, high = (torch.Generator().manual_seed(5 + more) for more in (0, 2**40))
    assert torch.equal(torch.randn(9, generator=low), torch.randn(9, generator=high))
    frames = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    noise = normal_noise(frames, "test")
    assert torch.equal(noise, normal_noise(frames, "test"))
    assert not torch.equal(noise, normal_noise(frames, "other")) and not torch.equal(noise[0], noise[1])
