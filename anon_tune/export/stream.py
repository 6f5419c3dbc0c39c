"""Anonymize the frames of a long video in chunks of consecutive frames.

Shapes: T frames of a chunk, N frames of a batch, H height, W width. Frames are (T,H,W,3) uint8 RGB here, as in
files, and (T,3,H,W) in [0, 1] for the anonymizer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from anon_tune.errors import ExportError
from anon_tune.networks import Anonymizer, FrameAnonymizer

if TYPE_CHECKING:
    from anon_tune.clips.keypoints import Points  # which loads pyarrow

PointsOf: TypeAlias = "Callable[[Sequence[int], tuple[int, int]], Points]"
_CLIP_FRAMES = 32
_CHUNK_PIXELS = 2**24  # of the frames of a chunk, which wait between two stages
_BATCH_PIXELS = {"cpu": 2**17, "cuda": 2**22}  # larger batches are slower on a CPU, because its caches are too small
_TOGETHER_PIXELS = 2**21  # of the parts that a CPU computes at a time
_SHARE = 8  # a part has this many times as many frames as it needs around it, whose outputs are computed in vain
_TILE_PIXELS = 2**21  # of the largest frame that a network takes in one piece: 1920 x 1080 fits
_TILE_SIDE, _TILE_OVERLAP = 1024, 128


class FrameStream:
    """Anonymizes the consecutive frames of one video as if they were one clip.

    The frames that an output depends on are kept from chunk to chunk, so chunk borders change nothing. Frame
    differences need one earlier frame; networks that rewrite single frames need none. An output that depends on later
    frames comes when they are there, so outputs may lag behind; `finish` returns the last ones. Only the background
    detector needs all frames of a clip. It sees the video as successive clips of `chunk` frames; a shorter last clip is
    filled up with the frames before it, but for a private release, which would then release these frames twice.

    Frames above 2 megapixels go through a network in tiles of 1024 x 1024 pixels, which overlap by 128 pixels and are
    blended there, before blocks and levels narrow the frame. Because the network's normalization sees one tile at a
    time, the result is close to that of the whole frame but not equal to it.

    Args:
        anonymizer: The network, in eval mode, without gradients. It is moved to the device.
        height: H in pixels.
        width: W in pixels.
        device: Where to compute.
        scale: Height and width at which frames are anonymized; they are shrunk by averaging areas, and the result is
            enlarged bilinearly. None for H x W.
        clip_frames: Frames of the successive clips that an anonymizer of whole clips sees; None for as many as it was
            trained on, or 32.
        keypoints: Returns the key points (T,P,17,3) of frames by their numbers, for frames of H x W pixels; None if
            they are not known.
    """

    def __init__(
        self,
        anonymizer: Anonymizer,
        height: int,
        width: int,
        device: torch.device,
        scale: tuple[int, int] | None = None,
        clip_frames: int | None = None,
        keypoints: PointsOf | None = None,
    ) -> None:
        # Frames come with channels last; in that layout a CPU runs the convolutions twice as fast.
        is_flat = all(weights.dim() < 5 for weights in anonymizer.parameters())  # else it has 3D convolutions
        layout = torch.channels_last if is_flat else torch.preserve_format
        self._anonymizer = anonymizer.to(device, memory_format=layout)  # type: ignore[call-overload]
        self._device, self._scale, self._size = device, scale, (height, width)
        self._work_size = scale or (height, width)
        num_before = anonymizer.num_before
        fitting = max(2, _CHUNK_PIXELS // (height * width))
        of_clips = clip_frames or anonymizer.clip_frames or _CLIP_FRAMES
        self.chunk = of_clips if num_before is None else min(_CLIP_FRAMES, fitting)
        """Frames to give at a time; all but the last chunk must have as many."""
        self._keypoints, self._num_seen = keypoints, 0
        self._recent = torch.empty(0, height, width, 3, dtype=torch.uint8)
        self._num_waiting = 0  # the last of the recent frames, whose outputs need later frames
        rewrites_frames = isinstance(anonymizer, FrameAnonymizer)
        self._tiled = rewrites_frames and self._work_size[0] * self._work_size[1] > _TILE_PIXELS
        self.num_threads = self._most_parts() if rewrites_frames and device.type == "cpu" else 1
        """Parts of a chunk that are computed at a time."""
        self._pool = ThreadPoolExecutor(self.num_threads, "network") if self.num_threads > 1 else None

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        """Take the next frames of the video, (T,H,W,3) uint8, and return the outputs that are ready, on the CPU.

        Raises:
            ExportError: The video has only one frame, and the anonymizer compares the frames of a clip.
        """
        if self._anonymizer.num_before is None:
            return self._rewrite_clip(frames)
        clip = torch.cat([self._recent, frames])
        start = len(self._recent) - self._num_waiting
        stop = max(start, len(clip) - self._anonymizer.num_after)
        self._recent = clip[max(0, stop - self._anonymizer.num_before) :].clone()
        self._num_waiting = len(clip) - stop
        return self._rewrite(clip, start, stop)

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """Return the outputs that wait for later frames, (T,H,W,3) uint8: there are none. Call it after the last frame.

        T is 0 unless the anonymizer looks at later frames.
        """
        start = len(self._recent) - self._num_waiting
        self._num_waiting, waiting = 0, self._num_waiting
        return self._rewrite(self._recent, start, len(self._recent)) if waiting else self._recent[:0]

    def _rewrite_clip(self, frames: Tensor) -> Tensor:
        """Anonymize the next frames as one clip, filled up with frames before them if they are fewer than `chunk`."""
        once = self._anonymizer.sees_frames_once
        before = self._recent[:0] if once else self._recent[max(0, len(self._recent) + len(frames) - self.chunk) :]
        clip = torch.cat([before, frames])
        if len(clip) == 1 and not once:
            rule = "an anonymizer that compares the frames of a clip needs at least 2"
            raise ExportError("the video", rule, "1 frame", "Choose detector=hog or another anonymizer")
        self._recent = clip[1 - self.chunk :].clone()
        self._num_seen += len(frames)
        points = None
        if self._keypoints is not None:
            found = self._keypoints(range(self._num_seen - len(clip), self._num_seen), self._size)
            points = torch.from_numpy(found).to(self._device)
        return self._levels(clip, points)[-len(frames) :]

    def _rewrite(self, clip: Tensor, start: int, stop: int) -> Tensor:
        """Anonymize a clip (T,H,W,3) in parts, and return its frames from `start` to before `stop`."""
        before, after, size = self._anonymizer.num_before or 0, self._anonymizer.num_after, self._part_frames

        def part(at: int) -> Tensor:
            end, low = min(at + size, stop), max(0, at - before)
            return self._levels(clip[low : end + after])[at - low : end - low]

        parts = range(start, stop, size)
        return torch.cat([self._recent[:0], *(self._pool.map(part, parts) if self._pool else map(part, parts))])

    @property
    def _part_frames(self) -> int:
        """Frames of a part, whose outputs are computed together."""
        pixels = _BATCH_PIXELS.get(self._device.type, _BATCH_PIXELS["cuda"])
        around: int = (self._anonymizer.num_before or 0) + self._anonymizer.num_after
        height, width = self._work_size
        return max(1, pixels // (height * width), _SHARE * around)

    def _most_parts(self) -> int:
        """Return how many parts to compute at a time: one per core, but few if they are large."""
        height, width = self._work_size
        part = self._part_frames * height * width
        return max(1, min(os.cpu_count() or 1, _TOGETHER_PIXELS // part))

    @torch.inference_mode()
    def _levels(self, clip: Tensor, keypoints: Tensor | None = None) -> Tensor:
        # Permuting makes (T,3,H,W) with channels last, without a copy.
        x = clip.to(self._device).permute(0, 3, 1, 2).float().div_(255)
        if self._scale:
            x = F.interpolate(x, self._scale, mode="area")
        y = self._in_tiles(x) if self._tiled else self._anonymizer(x, keypoints)
        if self._scale:
            y = F.interpolate(y, self._size, mode="bilinear", align_corners=False)
        if self._tiled or self._scale:  # an anonymizer's own output is in [0, 1]
            y = y.clamp(0, 1)
        # The output may be the input itself, so it is not changed in place.
        return y.mul(255).round_().to(torch.uint8).permute(0, 2, 3, 1).cpu()

    def _in_tiles(self, frames: Tensor) -> Tensor:
        """Anonymize large frames. What narrows them sees the whole frame, as blended tiles would have more levels."""
        anonymizer = cast("FrameAnonymizer", self._anonymizer)
        blended = tiled(lambda tile: anonymizer.wide(tile.unsqueeze(0)), frames, _TILE_SIDE, _TILE_OVERLAP)
        return anonymizer.bottleneck.narrow(blended.clamp(0, 1))


def tiled(network: Callable[[Tensor], Tensor], frames: Tensor, side: int, overlap: int) -> Tensor:
    """Run a network over overlapping tiles of frames, and blend the results linearly where tiles overlap.

    Args:
        network: Maps (N,3,h,w) to the same shape.
        frames: (N,3,H,W).
        side: Largest height and width of a tile in pixels.
        overlap: Smallest number of pixels that neighbouring tiles share; less than `side`.
    """
    out = torch.zeros_like(frames)
    weights = frames.new_zeros(frames.shape[-2:])
    for top, tall in _spans(frames.shape[-2], side, overlap):
        for left, wide in _spans(frames.shape[-1], side, overlap):
            ramp = _ramp(tall, overlap, frames).unsqueeze(1) * _ramp(wide, overlap, frames)
            place = (..., slice(top, top + tall), slice(left, left + wide))
            out[place] += network(frames[place]) * ramp
            weights[place] += ramp
    return out / weights


def _spans(length: int, side: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield start and length of equally spaced spans that together cover a length."""
    if length <= side:
        yield 0, length
        return
    num = -(-(length - overlap) // (side - overlap))
    for at in range(num):
        yield round(at * (length - side) / (num - 1)), side


def _ramp(length: int, overlap: int, like: Tensor) -> Tensor:
    """Return weights (length,) above 0 that rise from either end and reach 1 within the overlap."""
    distance = torch.arange(length, device=like.device, dtype=like.dtype) + 0.5
    return (torch.minimum(distance, length - distance) / overlap).clamp(max=1)
