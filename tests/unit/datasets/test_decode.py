import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.datasets.decode import BadFile, ClipForm, DecodedClip, decode_clip, shown_frames
from anon_tune.datasets.readers.pa_hmdb51 import present
from anon_tune.datasets.readers.vp import ATTRIBUTES
from anon_tune.errors import UsageError
from anon_tune.video.reader import TimedFrame, VideoReader

VIDEOS = Path(os.environ.get("ANON_TUNE_VIDEOS", Path(__file__).parents[3] / "../shared/data/videos"))
PACKED = VIDEOS / "one_person_mpeg4_320x240.avi"


def write_planes(
    path: Path, frames: list[list[np.ndarray]], pix_fmt: str, codec: str = "ffv1", **stream: object
) -> None:
    """Write frames given as planes, the first one full size, without loss and without any conversion."""
    height, width = frames[0][0].shape
    width //= 3 if pix_fmt == "rgb24" else 1
    times = stream.pop("times", range(len(frames)))
    unit = stream.pop("unit", Fraction(1, 25))
    with av.open(str(path), "w") as container:
        out = container.add_stream(codec, rate=25, options={"qp": "0"} if codec == "libx264" else {})
        out.width, out.height, out.pix_fmt, out.time_base = width, height, pix_fmt, unit
        out.codec_context.time_base = unit
        for name, value in stream.items():
            setattr(out.codec_context, name, value)
        for planes, time in zip(frames, times, strict=True):
            frame = av.VideoFrame(width, height, pix_fmt)
            for plane, pixels in zip(frame.planes, planes, strict=True):
                rows = np.zeros((pixels.shape[0], plane.line_size), np.uint8)
                rows[:, : pixels.shape[1]] = pixels
                plane.update(rows.tobytes())
            for name in {"color_range", "colorspace"} & stream.keys():
                setattr(frame, name, stream[name])
            frame.pts, frame.time_base = time, unit
            container.mux(out.encode(frame))
        container.mux(out.encode())


def write_rgb(path: Path, frames: np.ndarray, **stream: object) -> None:
    """Write frames (F, H, W, 3) without loss."""
    write_planes(path, [[f.reshape(len(f), -1)] for f in frames], "rgb24", "png", **stream)


def decode(path: Path, form: ClipForm, **options: object) -> DecodedClip:
    clip = decode_clip(path.parent, form, path.name, **options)  # type: ignore[arg-type]
    assert isinstance(clip, DecodedClip), clip
    return clip


def numbered(num_frames: int, height: int = 6, width: int = 10) -> np.ndarray:
    """Frame i is gray of level 3 i."""
    levels = (3 * np.arange(num_frames, dtype=np.uint8))[:, None, None, None]
    return np.broadcast_to(levels, (num_frames, height, width, 3))


def half_planes(height: int, width: int, u: int = 128, v: int = 128) -> list[np.ndarray]:
    shape = (-(-height // 2), -(-width // 2))
    return [np.full(shape, u, np.uint8), np.full(shape, v, np.uint8)]


RAMP = np.broadcast_to(np.arange(256, dtype=np.uint8), (8, 256))


@pytest.mark.parametrize(("pix_fmt", "color_range"), [("yuvj420p", 2), ("yuv420p", 2)])
def test_full_range_keeps_black_and_white(tmp_path: Path, pix_fmt: str, color_range: int) -> None:
    path = tmp_path / "full.mp4"
    write_planes(path, [[RAMP, *half_planes(8, 256)]] * 2, pix_fmt, "libx264", color_range=color_range)
    (frame,) = decode(path, ClipForm(1, 8, 256)).frames
    assert np.abs(frame.astype(int) - np.arange(256)[:, None]).max() <= 1


def test_limited_range_is_stretched(tmp_path: Path) -> None:
    path = tmp_path / "limited.mp4"
    write_planes(path, [[RAMP, *half_planes(8, 256)]] * 2, "yuv420p", "libx264")
    (frame,) = decode(path, ClipForm(1, 8, 256)).frames
    expected = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255)
    assert np.abs(frame - expected[:, None]).max() <= 1


@pytest.mark.parametrize(("colorspace", "luma"), [(1, (0.2126, 0.0722)), (6, (0.299, 0.114))])
def test_the_colour_matrix_is_the_file_s(tmp_path: Path, colorspace: int, luma: tuple[float, float]) -> None:
    path = tmp_path / "red.mp4"
    y, u, v = 90, 100, 180
    planes = [np.full((16, 16), y, np.uint8), *half_planes(16, 16, u, v)]
    write_planes(path, [planes] * 2, "yuv420p", "libx264", colorspace=colorspace)
    (frame,) = decode(path, ClipForm(1, 16, 16)).frames
    kr, kb = luma
    bright, cb, cr = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    red, blue = bright + 2 * (1 - kr) * cr, bright + 2 * (1 - kb) * cb
    green = (bright - kr * red - kb * blue) / (1 - kr - kb)
    assert np.abs(frame[8, 8] - np.array([red, green, blue])).max() <= 2


@pytest.mark.parametrize(("height", "width"), [(7, 13), (15, 4), (1, 9)])
def test_odd_sizes_and_never_swapped_sides(tmp_path: Path, height: int, width: int) -> None:
    path = tmp_path / "odd.mov"
    t, h, w = np.indices((3, height, width))
    frames = np.stack([t * 40 + h * 9, w * 9, 200 - h * 5 - w * 3], axis=-1).astype(np.uint8)
    write_rgb(path, frames)
    clip = decode(path, ClipForm(3, height, width))
    assert clip.size == (height, width)
    assert np.array_equal(clip.frames, frames)


def test_an_odd_video_with_half_size_colour(tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    luma = np.tile(np.arange(20, 20 + 13, dtype=np.uint8) * 5, (7, 1))
    write_planes(path, [[luma, *half_planes(7, 13)]], "yuv420p")
    (frame,) = decode(path, ClipForm(1, 7, 13)).frames
    assert np.abs(frame - np.clip((luma[..., None] - 16.0) * 255 / 219, 0, 255)).max() <= 1


def test_sides_are_resized_each_on_its_own(tmp_path: Path) -> None:
    frames = np.zeros((1, 12, 40, 3), np.uint8)
    frames[:, :4, :, 0] = 240  # the upper third
    frames[:, :, 30:, 1] = 240  # the right quarter
    write_rgb(tmp_path / "wide.mov", frames)
    (frame,) = decode(tmp_path / "wide.mov", ClipForm(1, 9, 4)).frames
    assert (frame[..., 0].argmin(axis=0) == 3).all()
    assert np.array_equal(frame[..., 1] > 120, np.broadcast_to(np.arange(4) == 3, (9, 4)))


def test_frames_of_a_variable_rate_are_chosen_by_time(tmp_path: Path) -> None:
    path = tmp_path / "variable.mov"
    # Ten frames in the first half second, then one that stands for half a second, then one more.
    times = [*range(0, 500, 50), 500, 1000]
    write_rgb(path, numbered(12), times=times, unit=Fraction(1, 1000))
    shown = decode(path, ClipForm(4, 6, 10)).shown
    end = 1000 + 50  # the median gap: the file says nothing of its last frame
    moments = [(i + 0.5) / 4 * end for i in range(4)]
    assert list(shown) == [max(at for at, time in enumerate(times) if time <= moment) for moment in moments]
    assert shown != tuple(shown_frames(12, 4))


def test_frames_of_a_constant_rate_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "constant.mp4"
    write_planes(
        path, [[np.full((8, 8), 20 + i, np.uint8), *half_planes(8, 8)] for i in range(20)], "yuv420p", "libx264"
    )
    clip = decode(path, ClipForm(8, 8, 8))
    assert clip.shown == tuple(shown_frames(20, 8)) == (1, 3, 6, 8, 11, 13, 16, 18)
    assert (clip.num_frames, clip.fps) == (20, pytest.approx(25 * 8 / 20))


@pytest.mark.skipif(not PACKED.is_file(), reason="the real videos are not here; ANON_TUNE_VIDEOS may name their folder")
def test_frames_whose_times_do_not_rise_are_counted() -> None:
    with av.open(str(PACKED)) as container:  # packed B-frames: one packet more than frames, times out of order
        times = [frame.pts for frame in container.decode(video=0)]
    assert times != sorted(times)
    assert decode(PACKED, ClipForm(6, 8, 12)).shown == tuple(shown_frames(len(times), 6))


def test_a_step_takes_the_middle_of_the_video(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.mov", numbered(20))
    clip = decode(tmp_path / "a.mov", ClipForm(4, 6, 10, frame_step=3))
    assert clip.shown == (5, 8, 11, 14)
    assert clip.frames[:, 0, 0, 0].tolist() == [15, 24, 33, 42]
    assert clip.fps == pytest.approx(25 / 3)


def test_a_step_beyond_the_video_repeats_its_ends(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.mov", numbered(5))
    clip = decode(tmp_path / "a.mov", ClipForm(6, 6, 10, frame_step=2))
    assert clip.shown == (0, 0, 0, 2, 4, 4)
    assert clip.frames[:, 0, 0, 0].tolist() == [0, 0, 0, 6, 12, 12]
    assert clip.repeats


@pytest.mark.parametrize("num", range(1, 30))
@pytest.mark.parametrize("step", [1, 2, 3, 4, 7])
def test_neighbours_are_a_step_apart_or_the_same(num: int, step: int) -> None:
    """Of a video that is a little too short, all but the first and the last frame were a step apart."""
    shown = shown_frames(num, 4, step)
    apart = set(np.diff(shown).tolist())
    assert len(shown) == 4
    assert 0 <= shown.min() <= shown.max() < num
    assert apart <= {0, step}
    assert ClipForm(4, 8, 8, frame_step=step).repeats(shown) == (num < 3 * step + 1)
    windows = ClipForm(4, 8, 8, frame_step=step, num_windows=3).taken(num).reshape(3, 4)
    kept = ClipForm(4, 8, 8, frame_step=step, keep_frames=8).taken(num)
    assert {*np.diff(windows, axis=1).ravel().tolist(), *np.diff(kept).tolist()} <= {0, step}


def test_gray_is_the_luma_in_three_channels(tmp_path: Path) -> None:
    colours = np.array([[250, 10, 20], [10, 250, 20], [77, 77, 77], [255, 255, 255]], np.uint8)
    write_rgb(tmp_path / "a.mov", np.broadcast_to(colours[None, None], (1, 3, 4, 3)))
    (frame,) = decode(tmp_path / "a.mov", ClipForm(1, 3, 4, gray=True)).frames
    assert frame[0].tolist() == [[level] * 3 for level in (83, 152, 77, 255)]


def test_labels_by_frame_follow_the_step() -> None:
    tracks = {name: [(0, 9, (0,)), (10, 10, (1,)), (11, 20, (0,))] for name in ATTRIBUTES}
    assert not any(present(tracks, 2))  # frames 5 and 15
    assert all(present(tracks, 2, frame_step=1))  # frames 9 and 10


def test_given_frames_are_taken(tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.mov", numbered(9))
    clip = decode(tmp_path / "a.mov", ClipForm(3, 6, 10), shown=(0, 0, 8))
    assert clip.frames[:, 0, 0, 0].tolist() == [0, 0, 24]


def test_a_file_of_no_packets_is_bad(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        container.add_stream("ffv1", rate=25).width = 16
    bad = decode_clip(tmp_path, ClipForm(2, 4, 4), "none.mkv")
    assert isinstance(bad, BadFile)


@pytest.mark.parametrize("wrong", [{"num_frames": 0}, {"height": 0}, {"width": -1}, {"frame_step": 0}])
def test_a_form_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be at least 1, got"):
        ClipForm(**({"num_frames": 1, "height": 1, "width": 1} | wrong))


def test_a_file_too_large_to_hold_gives_the_same_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 16, 3), np.uint8)
    write_rgb(tmp_path / "x.mov", pixels, times=[0, 1, 2, 3, 20, 21, 22, 23, 24])
    held = decode(tmp_path / "x.mov", ClipForm(4, 12, 16))
    monkeypatch.setattr("anon_tune.datasets.decode._HELD_BYTES", 0)
    again = decode(tmp_path / "x.mov", ClipForm(4, 12, 16))
    assert (again.frames == held.frames).all()
    assert (again.shown, again.fps, again.num_frames) == (held.shown, held.fps, held.num_frames)


def test_the_size_of_a_file_that_ends_before_the_frames_that_are_asked_for(tmp_path: Path) -> None:
    write_rgb(tmp_path / "short.mov", numbered(3))
    clip = decode(tmp_path / "short.mov", ClipForm(2, 6, 10), shown=(12, 37))
    assert (clip.num_frames, clip.size) == (3, (6, 10))


def test_interlaced_frames_are_imported_as_they_are_anonymized(
    write_interlaced: Callable[..., None], tmp_path: Path
) -> None:
    write_interlaced(tmp_path / "in.mp4")
    with VideoReader(tmp_path / "in.mp4") as reader:
        wanted = np.stack([item.pixels for item in reader if isinstance(item, TimedFrame)]).astype(int)
    clip = decode(tmp_path / "in.mp4", ClipForm(8, 48, 64))
    assert (clip.num_frames, clip.shown) == (8, tuple(range(8)))
    assert np.abs(clip.frames - wanted).max() <= 2
    some = decode(tmp_path / "in.mp4", ClipForm(3, 48, 64))
    assert np.array_equal(some.frames, clip.frames[list(some.shown)])


def test_interlaced_frames_are_turned_upright(write_interlaced: Callable[..., None], tmp_path: Path) -> None:
    one = 1 << 16
    write_interlaced(tmp_path / "in.mp4")
    write_interlaced(tmp_path / "turned.mp4", [0, one, 0, -one, 0, 0, 0, 0, 1 << 30])
    stored = decode(tmp_path / "in.mp4", ClipForm(8, 48, 64)).frames
    turned = decode(tmp_path / "turned.mp4", ClipForm(8, 64, 48))
    assert turned.size == (64, 48)
    assert np.array_equal(turned.frames, np.rot90(stored, -1, axes=(1, 2)))
