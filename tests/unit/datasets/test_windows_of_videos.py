"""Which frames of a video are stored as windows. Frame i of a test video is gray of level 3 i."""

from pathlib import Path

import av
import numpy as np
import pytest

from anon_tune.clips.manifest import WindowForm
from anon_tune.datasets.decode import ClipForm, DecodedClip, decode_clip, shown_frames
from anon_tune.errors import UsageError


def write(path: Path, num_frames: int) -> None:
    with av.open(str(path), "w") as container:
        out = container.add_stream("png", rate=25)
        out.width, out.height, out.pix_fmt = 10, 6, "rgb24"
        for level in 3 * np.arange(num_frames, dtype=np.uint8):
            frame = av.VideoFrame.from_ndarray(np.full((6, 10, 3), level, np.uint8), format="rgb24")
            container.mux(out.encode(frame))
        container.mux(out.encode())


def windows(form: ClipForm, num_frames: int) -> list[list[int]]:
    return form.taken(num_frames).reshape(-1, form.num_frames).tolist()


def test_windows_share_out_the_time_of_a_video() -> None:
    form = ClipForm(4, 8, 8, num_windows=3)
    assert windows(form, 24) == [[1, 3, 5, 7], [9, 11, 13, 15], [17, 19, 21, 23]]
    assert form.windows == WindowForm(12, 4)
    assert not form.repeats(form.taken(12))
    assert form.repeats(form.taken(11))


def test_windows_with_a_step_reach_from_the_first_to_the_last_frame() -> None:
    form = ClipForm(3, 8, 8, frame_step=2, num_windows=4)
    assert windows(form, 14) == [[0, 2, 4], [3, 5, 7], [6, 8, 10], [9, 11, 13]]
    assert windows(form, 5) == [[0, 2, 4]] * 4
    assert not form.repeats(form.taken(5))
    assert windows(form, 3) == [[0, 0, 2]] * 4
    assert form.repeats(form.taken(3))
    assert windows(form, 2) == [[0, 0, 0]] * 4
    assert form.repeats(form.taken(2))


@pytest.mark.parametrize("num_frames", [1, 2, 3, 4, 5, 8, 9, 20])
@pytest.mark.parametrize("step", [1, 2])
def test_all_frames_are_kept_up_to_a_limit(num_frames: int, step: int) -> None:
    form = ClipForm(3, 8, 8, frame_step=step, keep_frames=8)
    taken = form.taken(num_frames)
    begin, end = form.kept(taken)
    own = taken[begin:end]
    assert len(taken) == 8
    assert begin <= 3  # where the middle window begins
    assert end >= 6
    assert set(own) == set(taken)
    assert form.repeats(taken) == (len(own) > len(set(own)))
    if num_frames >= 3 and step == 1:
        first = max(0, (num_frames - 8) // 2)
        assert own.tolist() == list(range(first, first + min(8, num_frames)))


def test_one_window_is_the_clip_of_before() -> None:
    for step in (None, 2):
        form = ClipForm(5, 8, 8, frame_step=step)
        assert form.windows is None
        assert form.kept(form.taken(17)) == (0, 0)
        assert form.taken(17).tolist() == shown_frames(17, 5, step).tolist()


def test_a_decoded_video_holds_all_its_windows(tmp_path: Path) -> None:
    write(tmp_path / "a.mov", 10)
    clip = decode_clip(tmp_path, ClipForm(3, 6, 10, num_windows=2), "a.mov")
    assert isinstance(clip, DecodedClip)
    assert clip.shown == tuple(shown_frames(10, 6))
    assert np.abs(clip.frames[:, 0, 0, 0].astype(int) - 3 * np.array(clip.shown)).max() <= 1
    assert (clip.fps, clip.kept, clip.repeats) == (pytest.approx(25 * 6 / 10), (0, 6), False)
    long = decode_clip(tmp_path, ClipForm(3, 6, 10, keep_frames=14), "a.mov")
    assert isinstance(long, DecodedClip)
    assert (long.frames.shape, long.kept, long.fps) == ((14, 6, 10, 3), (2, 12), 25)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"num_windows": 0}, "--windows: must be at least 1, got 0"),
        ({"keep_frames": 2}, "--keep-frames: must be at least the 3 frames of a clip, got 2"),
        ({"keep_frames": 9, "num_windows": 2}, "--keep-frames: cannot go with --windows"),
    ],
)
def test_wrong_windows_are_refused(wrong: dict[str, int], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ClipForm(3, 8, 8, **wrong)  # type: ignore[arg-type]
