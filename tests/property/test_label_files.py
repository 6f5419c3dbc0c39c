"""Whatever is in a label file, a reader returns labels or reports the fault in one line."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anon_tune.datasets.readers import read_data_set
from anon_tune.datasets.readers.label_files import read_json, read_lines, read_table
from anon_tune.datasets.readers.pa_hmdb51 import count_frames, parse_tracks, present
from anon_tune.datasets.readers.vp import ATTRIBUTES
from anon_tune.errors import DataError

VALUES = st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=1, max_size=2)
TRACKS = st.fixed_dictionaries(
    {
        name: st.lists(
            st.tuples(st.integers(0, 60), st.integers(0, 30), VALUES).map(lambda r: [r[0], r[0] + r[1], r[2]]),
            min_size=1,
            max_size=4,
        )
        for name in ATTRIBUTES
    }
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ATTRIBUTES), inner),
    max_leaves=12,
)
NAMES = ("x.csv", "trainlist01.txt", "testlist01.txt", "ucf101_privacy_attribute_label.pickle", "train2017.txt")


@given(entry=TRACKS, num_frames=st.integers(1, 40))
def test_an_attribute_is_present_as_frame_by_frame(entry: dict[str, list[list[object]]], num_frames: int) -> None:
    tracks = parse_tracks(entry, "x")
    by_frame = np.zeros((count_frames(tracks), len(ATTRIBUTES)), bool)
    for at, name in enumerate(ATTRIBUTES):
        for first, last, values in tracks[name]:
            for frame in range(first, last + 1):
                by_frame[frame, at] |= max(values) > 0
    shown = [(2 * i + 1) * len(by_frame) // (2 * num_frames) for i in range(num_frames)]
    assert present(tracks, num_frames) == tuple(by_frame[shown].any(axis=0).tolist())


@given(entry=JSON)
@example(entry={"skin_color": ["\x1e"]})  # a separator that is a line break to Python
def test_any_json_is_tracks_or_one_line(entry: object) -> None:
    try:
        present(parse_tracks(entry, "x"), 4)
    except DataError as error:
        assert len(str(error).splitlines()) == 1


@settings(max_examples=150)
@given(
    content=st.binary(max_size=80) | st.text(max_size=80).map(str.encode) | JSON.map(lambda j: json.dumps(j).encode())
)
@example(content=b"[" * 100_000)
@example(content=b'{"a": 1' + b"0" * 5_000 + b"}")
@example(content=b"file,split,group,action\n" + b"a" * 200_000 + b",train,1,x")
def test_any_bytes_are_read_or_one_line(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        for name in NAMES:
            (Path(folder) / name).write_bytes(content)
        file = Path(folder) / "x.csv"
        for read in (
            lambda: read_lines(file),
            lambda: read_json(file),
            lambda: read_table(file, ("a",)),
            lambda: read_data_set("csv", folder),
            lambda: read_data_set("ucf101", folder),
            lambda: read_data_set("vp-ucf101", folder),
            lambda: read_data_set("vispr", folder),
        ):
            try:
                read()
            except DataError as error:
                assert len(str(error).splitlines()) == 1
