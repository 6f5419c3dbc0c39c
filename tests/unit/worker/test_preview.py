from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import torch

from anon_tune.video.looping import as_gif, looping_webm
from anon_tune.worker.preview import side_by_side


def test_original_and_anonymized_frames_stand_side_by_side_at_a_legible_size() -> None:
    raw, changed = torch.rand(2, 5, 3, 24, 32), torch.zeros(2, 5, 3, 24, 32)
    frames = side_by_side(raw, changed)
    height, width = 24 * 6, 32 * 6
    assert frames.shape == (5, 2 * (height + 4), 2 * width + 4, 3)
    expected = (raw[1, 3] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert np.array_equal(frames[3, height + 4 : 2 * height + 4 : 6, :width:6], expected)
    assert not frames[:, :height, width + 4 :].any()


def test_large_frames_are_made_smaller() -> None:
    clips = torch.rand(1, 2, 3, 360, 720)
    assert side_by_side(clips, clips).shape == (2, 180 + 4, 2 * 360 + 4, 3)


def test_a_looping_video_keeps_rate_frames_and_colours_and_becomes_a_gif() -> None:
    frames = np.zeros((8, 131, 64, 3), np.uint8)
    frames[:, :, :32] = (200, 30, 30)
    frames[4:, :, 32:] = (30, 30, 200)
    webm = looping_webm(frames, 7.5)
    with av.open(io.BytesIO(webm)) as container:
        stream = container.streams.video[0]
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.average_rate, len(shown)) == ("vp9", Fraction(15, 2), 8)
    assert shown[0].shape == (130, 64, 3)
    assert np.abs(np.stack(shown)[:, 8:-8, 8:24].astype(int) - frames[:, 8:122, 8:24]).mean() < 8
    assert np.abs(shown[7][8:-8, 40:56].astype(int) - (30, 30, 200)).mean() < 12
    gif, height, width = as_gif(webm)
    assert (gif[:6], height, width) == (b"GIF89a", 130, 64)
    assert b"NETSCAPE2.0" in gif  # it loops


def test_a_page_with_ten_previews_stays_below_15_mb_even_if_they_are_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 240, 480, 3), dtype=np.uint8)
    assert len(looping_webm(noise, 12)) < 700_000  # 10 of them in base64, beside the 4.9 MB of the page's script
