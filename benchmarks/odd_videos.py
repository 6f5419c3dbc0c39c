"""The odd videos of `odd_inputs.py`: what is odd, how each is written, and what a player must show of it.

Shapes: F frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from av.codec.context import Flags
from odd_video_files import (
    HEIGHT,
    WIDTH,
    Form,
    Frames,
    write,
    write_cover,
    write_joined,
    write_sound,
    write_subtitle,
    write_torn,
)

PLAIN = Form()


@dataclass(frozen=True)
class Video:
    """One odd video.

    Attributes:
        kind: What is odd.
        name: Name of the file.
        make: Writes it.
        form: How its frames look; None if it must be refused.
        upright: Turns stored frames (F,H,W,3) upright.
        is_timed: False if the file holds no times.
        near: Accepted mean difference to the frames that were encoded, of 255.
        is_torn: It may be refused as damaged. If it is not, it must have all frames, unless nothing tells of the loss.
        in_folders: False if a folder leaves it out.
    """

    kind: str
    name: str
    make: Callable[[Path], object]
    form: Form | None = PLAIN
    upright: Callable[[Frames], Frames] = lambda frames: frames
    is_timed: bool = True
    near: float = 8.0
    is_torn: bool = False
    in_folders: bool = True


def videos() -> Iterator[Video]:
    """Yield all odd videos."""
    for kind in (
        _codecs,
        _pixel_formats,
        _sizes,
        _times,
        _turns,
        _audio,
        _streams,
        _interlaced,
        _torn,
        _no_videos,
        _names,
    ):
        yield from kind()


def _plain(kind: str, form: Form, ending: str, name: str, **more: Any) -> Video:
    return Video(kind, f"ann1_walk_{name}.{ending}", partial(write, form), form, **more)


# An encoder, a pixel format, and the suffixes of its containers.
_CODECS = """
libx264 yuv420p mp4 mov mkv avi ts m2ts flv f4v m4v nut h264 3gp asf
libx265 yuv420p mp4 mkv ts hevc
libsvtav1 yuv420p mp4 webm ivf obu
libvpx yuv420p webm ivf
libvpx-vp9 yuv420p webm mp4 ivf
mpeg4 yuv420p mp4 avi mkv mov
mpeg2video yuv420p mpg vob m2v ts mkv mxf
mpeg1video yuv420p mpg m1v mpeg
mjpeg yuvj420p avi mjpeg mov mkv
msmpeg4 yuv420p avi wmv
wmv2 yuv420p wmv asf
flv yuv420p flv
rv20 yuv420p rm
h263 yuv420p 3gp
dvvideo yuv420p dv
prores_ks yuv422p10le mov
cfhd yuv422p10le mov
ffv1 bgr0 mkv avi
huffyuv rgb24 avi
utvideo yuv420p avi
magicyuv yuv420p avi
png rgb24 mov
qtrle rgb24 mov
jpeg2000 rgb24 mov
rawvideo yuv420p avi nut
wrapped_avframe yuv420p y4m
gif rgb8 gif
cinepak rgb24 avi
svq1 yuv410p mov
msvideo1 rgb555le avi
flashsv bgr24 flv
snow yuv420p avi
"""
_SIZES = {"libsvtav1": (64, 96), "h263": (144, 176), "dvvideo": (576, 720)}
_UNTIMED = ("h264", "hevc", "obu", "m1v", "m2v", "mjpeg")


def _codecs() -> Iterator[Video]:
    for line in _CODECS.strip().split("\n"):
        codec, pixels, *endings = line.split()
        form = Form(codec, pixels, _SIZES.get(codec, (HEIGHT, WIDTH)))
        for ending in endings:
            yield _plain(
                "codec", form, ending, codec, is_timed=ending not in _UNTIMED, near=25 if codec == "gif" else 8
            )


_PIXELS = {
    "libx264": "yuv422p yuv444p yuvj420p yuv420p10le yuv444p10le gray nv12",
    "ffv1": "yuva420p yuv444p16le gray16le rgb48le rgba64le gbrp10le",
    "libvpx-vp9": "yuva420p yuv440p gbrp",
    "png": "rgba gray rgb48be",
    "prores_ks": "yuva444p10le",
}


def _luma(frames: Frames) -> Frames:
    return np.repeat(np.rint(frames @ [0.299, 0.587, 0.114]).astype(np.int64)[..., None], 3, axis=3)


def _pixel_formats() -> Iterator[Video]:
    for codec, names in _PIXELS.items():
        for name in names.split():
            ending = "mov" if codec in ("png", "prores_ks") else "mkv"
            more = {"upright": _luma} if "gray" in name else {}
            yield _plain("pixel format", Form(codec, name), ending, f"{codec}_{name}", **more)
    hdr = Form("libx265", "yuv420p10le", colour=(9, 9, 16))
    yield _plain("pixel format", hdr, "mp4", "hdr", near=60)


def _sizes() -> Iterator[Video]:
    for size in [(1, 1), (2, 2), (16, 16), (15, 17), (49, 65), (3, 200), (200, 3), (240, 426)]:
        pixels = "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
        codec = "ffv1" if min(size) < 4 else "libx264"
        near = 80 if size == (2, 2) else 12  # H.264 gives them one colour
        yield _plain("size", Form(codec, pixels, size), "mkv", "{}x{}".format(*size), near=near)


_TIMES: dict[str, Sequence[float]] = {
    "late": [at + 7.5 for at in Form.times],
    "variable": [0, 0.01, 0.2, 0.21, 0.5, 1.7, 1.75, 2.0, 2.9, 3.0],
    "gap": [at + 20 * (at > 0.2) for at in Form.times],
    "slow": [at * 9.0 for at in range(5)],
    "fast": [at / 240 for at in range(30)],
    "thousand": [at / 1000 for at in range(30)],
    "ntsc": [at * 1001 / 30_000 for at in range(12)],
    "one": [0.0],
    "two": [0.0, 0.04],
}


def _times() -> Iterator[Video]:
    for name, times in _TIMES.items():
        for ending in ("mp4", "mkv"):
            yield _plain("times", Form(times=times), ending, name)
    for start in (95_443.0, 95_443.5, 47_721.8, 26.5):  # the clock of MPEG-TS wraps after 95,443.7 s
        form = Form(times=[at + start for at in Form.times])
        yield _plain("times", form, "ts", f"at_{start}")
        yield _plain("times", replace(form, audio=["aac"], audio_start=start), "ts", f"at_{start}_audio")
    for codec, ending in (
        ("libx264", "mp4"),
        ("libx264", "ts"),
        ("libx264", "avi"),
        ("mpeg4", "avi"),
        ("mpeg4", "mp4"),
    ):
        yield _plain("times", Form(codec, options={"bf": "2"}), ending, f"{codec}_b-frames")
    yield _plain("times", Form(options={"x264-params": "intra-refresh=1"}), "ts", "intra-refresh")
    fragments = Form(options={"g": "3"}, container_options={"movflags": "frag_keyframe+empty_moov"})
    yield _plain("times", fragments, "mp4", "fragments")
    yield _plain("times", Form(container_options={"movflags": "faststart"}), "mp4", "faststart")


_TURNS: dict[tuple[int, int, int, int], Callable[[Frames], Frames]] = {
    (1, 0, 0, 1): lambda frames: frames,
    (0, 1, -1, 0): lambda frames: np.rot90(frames, -1, (1, 2)),
    (-1, 0, 0, -1): lambda frames: frames[:, ::-1, ::-1],
    (0, -1, 1, 0): lambda frames: np.rot90(frames, 1, (1, 2)),
    (-1, 0, 0, 1): lambda frames: frames[:, :, ::-1],
    (1, 0, 0, -1): lambda frames: frames[:, ::-1],
    (0, 1, 1, 0): lambda frames: frames.transpose(0, 2, 1, 3),
    (0, -1, -1, 0): lambda frames: frames[:, ::-1, ::-1].transpose(0, 2, 1, 3),
}


def _matrix(a: float, b: float, c: float, d: float) -> list[int]:
    return [round(a * 65536), round(b * 65536), 0, round(c * 65536), round(d * 65536), 0, 0, 0, 1 << 30]


def _turns() -> Iterator[Video]:
    for numbers, upright in _TURNS.items():
        name = "".join("n0p"[number + 1] for number in numbers)
        for ending in ("mp4", "mov"):
            yield _plain("rotation", Form(matrix=_matrix(*numbers)), ending, name, upright=upright)
    yield _plain("rotation", Form(matrix=_matrix(0.5, 0, 0, 0.5)), "mp4", "scaled")
    for name, (a, b) in {"30": (0.866, 0.5), "45": (0.7, 0.7), "shear": (1.0, 0.3)}.items():
        slanted = Form(matrix=_matrix(a, b, -b, a))
        yield Video("rotation", f"ann1_walk_{name}.mp4", partial(write, slanted), None)


_AUDIO = {
    "aac": "mp4 mkv mov ts flv avi",
    "libmp3lame": "mp4 avi mkv",
    "libopus": "mkv webm mp4",
    "flac": "mkv mp4",
    "ac3": "mp4 ts",
    "pcm_s16le": "avi mov mkv",
    "pcm_alaw": "avi",
    "libmp3lame -libmp3lame": "avi",
    "aac aac": "mp4 mkv",
    "-aac": "mp4 mkv",
}


def _audio() -> Iterator[Video]:
    for names, endings in _AUDIO.items():
        for ending in endings.split():
            form = Form("libvpx" if ending == "webm" else "libx264", audio=names.split())
            yield _plain("audio", form, ending, names.replace(" ", "_"))
    yield _plain("audio", Form(audio=["aac"], audio_start=1.0), "mp4", "late")
    for seconds in (0.1, 5.0):
        for ending in ("mp4", "mkv", "ts"):
            yield _plain("audio", Form(audio=["aac"], audio_s=seconds), ending, f"for_{seconds}_s")


def _streams() -> Iterator[Video]:
    yield Video("streams", "ann1_walk_cover_first.mp4", partial(write_cover, is_first=True))
    yield Video("streams", "ann1_walk_cover_last.mp4", partial(write_cover, is_first=False))
    yield Video("streams", "ann1_walk_sound.mp4", write_sound, None)
    for seconds in (0, 1, 100):
        yield Video("streams", f"ann1_walk_subtitle_{seconds}.mkv", partial(write_subtitle, seconds=seconds))


def _interlaced() -> Iterator[Video]:
    for codec, ending, options in (
        ("libx264", "mp4", {"x264-params": "tff=1"}),
        ("libx264", "mkv", {"x264-params": "bff=1"}),
        ("libx264", "ts", {"x264-params": "tff=1"}),
        ("mpeg2video", "mpg", {}),
        ("mpeg4", "avi", {}),
    ):
        form = Form(codec, flags=int(Flags.interlaced_dct | Flags.interlaced_me), options=options)
        yield _plain("interlaced", form, ending, codec, near=12)


_TORN = {"cut": 3, "zeros": 3, "noise": 3, "lost": 3, "head": 2, "more": 1}
_LONG = tuple(at / 25 for at in range(100))
_TORN_FORMS = {
    "mp4": Form(times=_LONG),
    "mkv": Form(times=_LONG),
    "ts": Form(times=_LONG, audio=["aac"]),
    "avi": Form("mpeg4", times=_LONG),
    "mpg": Form("mpeg2video", times=_LONG),
    "webm": Form("libvpx", times=_LONG),
    "mov": Form(times=_LONG, container_options={"movflags": "faststart"}),
}


def _torn() -> Iterator[Video]:
    for ending, form in _TORN_FORMS.items():
        for how, num in _TORN.items():
            for seed in range(num):
                make = partial(write_torn, form, how, seed)
                yield Video("torn", f"ann1_walk_{how}_{seed}.{ending}", make, form, near=255, is_torn=True)
    for second in (0.4, 0.0, 5.0):
        make = partial(write_joined, second=second)
        yield Video("torn", f"ann1_walk_joined_{second}.ts", make, Form(times=range(20)), is_timed=False, is_torn=True)


def _no_videos() -> Iterator[Video]:
    for name, content in {
        "empty": b"",
        "text": b"no video\n" * 99,
        "zeros": bytes(4096),
        "html": b"<!DOCTYPE html><html><body>404</body></html>",
        "playlist": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        "header": bytes.fromhex("0000002066747970") + b"isom",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    }.items():
        for ending in ("mp4", "ts"):
            yield Video("no video", f"ann1_walk_{name}.{ending}", partial(_write_bytes, content), None)


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)


_NAMES = """
ann1_walk:12:30.mp4
file:ann1_walk.mp4
http:ann1_walk.mp4
concat:ann1_walk|b.mp4
ann1_walk_%03d.mp4
ann1_walk a  b.mp4
 ann1_walk .mp4
ann1_walk'"`$HOME;.mp4
ann1_walk[bold]x[red].mp4
ann1_walk*?.mp4
ann1_walk\\b.mp4
ann1_walk_éü漢字🎬.mp4
ann1_walk_e\u0301.mp4
ann1_walk.MP4
ann1_walk.tar.mp4
ann1_walk..mp4
~ann1_walk.mp4
#ann1_walk.mp4
-ann1_walk.mp4
ann1_walk\u202egnp.mp4
"""


def _names() -> Iterator[Video]:
    for name in _NAMES.strip("\n").split("\n"):
        yield Video("name", name, partial(write, Form()))
    yield Video("name", "ann1_walk\nb.mp4", partial(write, Form()))
    yield Video("name", "ann1_walk\x1b[31m.mp4", partial(write, Form()))
    yield Video("name", f"ann1_walk{'x' * 236}.mp4", partial(write, Form()))
    for name in ("ann1_walk", "ann1_walk.video", "ann1_walk.mp4.part"):
        yield Video("name", name, partial(write, Form(container="mp4")), in_folders=False)
    yield Video("name", ".ann1_walk.mp4", partial(write, Form()), in_folders=False)
