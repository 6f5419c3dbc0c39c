"""Label files as they are published, written small; the real ones are read in integration/test_data_sets.py."""

from __future__ import annotations

import csv
import json
import pickle
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from anon_tune.datasets.readers import DATA_SETS, Count, Listing, import_listing, read_data_set
from anon_tune.datasets.readers.hmdb51 import NUM_ACTIONS
from anon_tune.datasets.readers.pa_hmdb51 import count_frames, parse_tracks, present
from anon_tune.datasets.readers.vp import ATTRIBUTES
from anon_tune.errors import DataError, UsageError

FIVE = [1, 0, 1, 0, 0]
SHOT = "_f_cm_np1_fr_med_"


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def ids(listing: Listing, split: str) -> list[str]:
    return [one.id for one in listing.samples if one.split == split]


@pytest.fixture
def ucf101(tmp_path: Path) -> Path:
    root = tmp_path / "ucf"
    train = ["Archery/v_Archery_g08_c01.avi 3", "HandstandPushups/v_HandStandPushups_g08_c01.avi 37"]
    test = ["Archery/v_Archery_g01_c01.avi", "HandstandPushups/v_HandStandPushups_g01_c02.avi"]
    for split in (1, 2, 3):
        write(root / f"ucfTrainTestlist/trainlist0{split}.txt", "\r\n".join(train) + "\r\n")
        write(root / f"ucfTrainTestlist/testlist0{split}.txt", "\n".join(test))
    touch(root, "Archery/v_Archery_g08_c01.avi", "Archery/v_Archery_g01_c01.avi")
    touch(root, "HandStandPushups/v_HandstandPushups_g08_c01.MP4", "v_HandStandPushups_g01_c02.avi")
    return root


@pytest.fixture
def hmdb51(tmp_path: Path) -> Path:
    """51 lists: of the source "film" of each action two videos are trained on, of "web" one is tested on."""
    root = tmp_path / "hmdb"
    for number in range(NUM_ACTIONS):
        action = f"act{number:02}"
        lines = [f"film_{action}{SHOT}{n}.avi {use} " for n, use in ((0, 1), (1, 1), (2, 0))]
        write(root / f"splits/{action}_test_split1.txt", "\n".join([*lines, f"web_{action}{SHOT}0.avi 2 "]) + "\n")
        touch(root, f"{action}/film_{action}{SHOT}0.avi", f"{action}/film_{action}{SHOT}1.avi")
        touch(root, f"{action}/web_{action}{SHOT}0.avi")
    return root


@pytest.fixture
def vp_hmdb51(hmdb51: Path) -> Path:
    """The lists with the labels of VP-HMDB51, as published."""
    arrays = {}
    for number in range(NUM_ACTIONS):
        action = f"act{number:02}"
        for video in (f"film_{action}{SHOT}{n}" for n in range(3)):
            arrays[f"{action}/{video}.mp4"] = np.array([FIVE])
        arrays[f"{action}/web_{action}{SHOT}0.mp4"] = np.array([FIVE[::-1]])
    write(hmdb51 / "hmdb51_privacy_attribute_label.pickle", pickle.dumps(arrays))
    return hmdb51


def test_ucf101_follows_its_lists(ucf101: Path) -> None:
    listing = read_data_set("ucf101", ucf101)
    assert ids(listing, "train") == ["Archery/v_Archery_g08_c01.avi", "HandstandPushups/v_HandStandPushups_g08_c01.avi"]
    assert {(one.group, one.split) for one in listing.samples} == {("g08", "train"), ("g01", "test")}
    assert {one.action for one in listing.samples} == {"Archery", "HandstandPushups"}
    assert listing.attributes == ()
    # Releases differ in folder, case and extension.
    assert listing.samples[1].file == "HandStandPushups/v_HandstandPushups_g08_c01.MP4"
    assert [(one.found, one.published) for one in listing.counts] == [(4, 13_320), (2, 9_537), (2, 3_783)]
    assert read_data_set("ucf101", ucf101, split=3).counts[-1] == Count("test videos", 2, 3_696)


def test_a_group_in_both_lists_is_refused(ucf101: Path) -> None:
    write(ucf101 / "ucfTrainTestlist/testlist01.txt", "Archery/v_Archery_g08_c02.avi\n")
    with pytest.raises(DataError, match="no group may be in the test split and in another, got 'g08' of 'Archery/"):
        read_data_set("ucf101", ucf101)


def test_hmdb51_groups_by_source_and_leaves_the_unused_out(hmdb51: Path) -> None:
    listing = read_data_set("hmdb51", hmdb51)
    assert (len(ids(listing, "train")), len(ids(listing, "test"))) == (2 * NUM_ACTIONS, NUM_ACTIONS)
    assert {one.group for one in listing.samples if one.action == "act00"} == {"film_act00", "web_act00"}
    assert listing.counts[0] == Count("listed videos", 4 * NUM_ACTIONS, 6_766)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_vp_reads_the_published_pickle_and_a_csv_alike(vp_hmdb51: Path, protocol: int) -> None:
    file = vp_hmdb51 / "hmdb51_privacy_attribute_label.pickle"
    arrays = pickle.loads(file.read_bytes())
    file.write_bytes(pickle.dumps(arrays, protocol))
    by_pickle = read_data_set("vp-hmdb51", vp_hmdb51)
    assert by_pickle.attributes == ATTRIBUTES
    assert {one.private for one in by_pickle.samples if one.split == "test"} == {(False, False, True, False, True)}
    file.unlink()
    with file.with_suffix(".csv").open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("video", *ATTRIBUTES), *((name, *row[0]) for name, row in arrays.items())])
    assert read_data_set("vp-hmdb51", vp_hmdb51) == by_pickle


class _Harmful:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return print, ("it ran",)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (pickle.dumps(_Harmful()), "got the object builtins.print"),
        (pickle.dumps({"a/b.mp4": np.array([[1, 0, 1]])}), r"got 'a/b.mp4': \[1, 0, 1\]"),
        (pickle.dumps({"a/b.mp4": np.array([[1, 0, 1, 2, 0]])}), r"got 'a/b.mp4': \[1, 0, 1, 2, 0\]"),
        (pickle.dumps({"a/b.mp4": np.array([object()] * 5)}), "got the object builtins.object"),
        # An array made by its class, of references to memory of the pickle's choice.
        (
            b"\x80\x05}\x8c\x07a/b.mp4\x8c\x05numpy\x8c\x07ndarray\x93(K\x05\x85\x8c\x05numpy\x8c\x05dtype\x93\x8c\x01O"
            b"\x85R\x96" + struct.pack("<Q", 40) + b"A" * 40 + b"tRs.",
            "got ",
        ),
        (pickle.dumps([1, 2]), "got list"),
        (pickle.dumps({"a/b.mp4": np.array([FIVE])})[:60], "got "),
        (b"", "got Ran out of input"),
    ],
)
def test_a_pickle_of_anything_else_is_refused(
    hmdb51: Path, capsys: pytest.CaptureFixture[str], content: bytes, got: str
) -> None:
    write(hmdb51 / "hmdb51_privacy_attribute_label.pickle", content)
    with pytest.raises(DataError, match=rf"label.pickle: must hold a pickled dict .*, {got}"):
        read_data_set("vp-hmdb51", hmdb51)
    assert not capsys.readouterr().out


def entry(last: int = 9, **changes: object) -> dict[str, object]:
    return {name: [[0, last, 0]] for name in ATTRIBUTES} | {"review": True, "note": ""} | changes


def test_pa_hmdb51_is_the_test_split_and_nothing_of_its_sources_is_trained_on(vp_hmdb51: Path) -> None:
    # One was to be trained on, one to be tested on, one was unused.
    write(vp_hmdb51 / "act00.json", json.dumps({f"film_act00{SHOT}0.avi": entry(gender=[[0, 9, [0, 1]]])}))
    write(vp_hmdb51 / "act01.json", json.dumps({f"web_act01{SHOT}0.avi": entry(last=4)}))
    write(vp_hmdb51 / "act02.json", json.dumps({f"film_act02{SHOT}2.avi": entry()}))
    listing = read_data_set("pa-hmdb51", vp_hmdb51, num_frames=4)
    tested = (("act00", "film", 0), ("act01", "web", 0), ("act02", "film", 2))
    assert ids(listing, "test") == [f"{action}/{source}_{action}{SHOT}{n}.avi" for action, source, n in tested]
    assert len(ids(listing, "train")) == 2 * (NUM_ACTIONS - 2)
    assert not any(name.startswith(("act00", "act02")) for name in ids(listing, "train"))
    private = [dict(zip(ATTRIBUTES, one.private, strict=True)) for one in listing.samples if one.split == "test"]
    assert [one["gender"] for one in private] == [True, False, False]
    assert {one.private for one in listing.samples if one.split == "train"} == {(True, False, True, False, False)}
    assert [(one.what, one.found) for one in listing.counts[:2]] == [
        ("labelled test videos", 3),
        ("labelled test frames", 10 + 5 + 10),
    ]


def test_an_attribute_is_present_if_a_shown_frame_has_it() -> None:
    tracks = parse_tracks(entry(last=99, face=[[0, 70, 0], [71, 80, 2], [81, 99, 0]], nudity=[[90, 95, [0, 2]]]), "x")
    assert count_frames(tracks) == 100
    # Of 100 frames, four show 12, 37, 62, 87; one shows 50; two show 25, 75.
    shown = {num_frames: dict(zip(ATTRIBUTES, present(tracks, num_frames), strict=True)) for num_frames in (1, 2, 4, 8)}
    assert [shown[n]["face"] for n in (1, 2, 4)] == [False, True, False]
    assert [shown[n]["nudity"] for n in (1, 2, 4, 8)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (entry(gender=[]), r"needs a list of frame ranges 'gender', got \[\]"),
        ({"gender": [[0, 1, 1]]}, "needs a list of frame ranges 'skin_color', got None"),
        (entry(face=[[0, 1]]), r"face: a frame range must be \[first, last, value\], got \[0, 1\]"),
        (entry(face=[[5, 1, 1]]), r"got \[5, 1, 1\]"),
        (entry(face=[[0, 1, "1"]]), r"got \[0, 1, '1'\]"),
        (entry(face=[[0, 1, []]]), r"got \[0, 1, \[\]\]"),
        (entry(face=[[0, 1e3, 1]]), r"got \[0, 1000.0, 1\]"),
        (entry(face=[[0, 10**30, 1]]), r"got \[0, 10{30}, 1\]"),
        ([1], "needs a list of frame ranges"),
    ],
)
def test_a_track_that_is_none(wrong: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_tracks(wrong, "walk.json: 'a.avi'")


@pytest.fixture
def vispr(tmp_path: Path) -> Path:
    root = tmp_path / "vispr"
    labels = {
        "train": {"2017_1": ["a4_gender", "a9_face_complete", "a6_hair_color"], "2017_2": ["a0_safe"]},
        "val": {"2017_3": ["a65_rel_social"]},
        "test": {"2017_4": ["a10_face_partial", "a12_semi_nudity"], "2017_5": []},
    }
    for split, stills in labels.items():
        names = [f"annotations/{split}2017/{still}.json" for still in stills]
        write(root / f"{split}2017.txt", "\n".join(names) + "\n")
        for (still, found), name in zip(stills.items(), names, strict=True):
            write(root / name, json.dumps({"image_path": f"images/{split}2017/{still}.jpg", "labels": found}))
            touch(root, f"images/{split}2017/{still}.jpg")
    return root


def test_vispr_reads_annotations_of_stills(vispr: Path) -> None:
    listing = read_data_set("vispr", vispr, num_frames=16)
    assert listing.num_frames == 1
    assert {one.action for one in listing.samples} == {"still"}
    assert [(one.what, one.found, one.published) for one in listing.counts] == [
        ("training labels", 2, 10_000),
        ("validation labels", 1, 4_167),
        ("test labels", 2, 8_000),
        ("training stills", 2, 10_000),
        ("validation stills", 1, 4_167),
        ("test stills", 2, 8_000),
    ]
    assert listing.attributes[:3] == ("a17_color", "a4_gender", "a9_face_complete")
    assert listing.samples[0].private == (False, True, True, False, False, False, False)
    assert listing.samples[0].file == "images/train2017/2017_1.jpg"


def test_vispr_subsets(vispr: Path) -> None:
    second = read_data_set("vispr", vispr, attributes="vispr2")
    assert len(second.attributes) == 7
    assert second.samples[0].private == (True, False, False, False, False, False, False)
    merged = read_data_set("vispr", vispr, attributes="pa-hmdb51")
    assert merged.attributes == ATTRIBUTES
    assert [one.private for one in merged.samples] == [
        (False, True, True, False, False),
        (False, False, False, False, False),
        (False, False, False, False, True),
        (False, True, False, True, False),
        (False, False, False, False, False),
    ]
    with pytest.raises(UsageError, match=r"unknown set 'vispr3'. Did you mean 'vispr"):
        read_data_set("vispr", vispr, attributes="vispr3")


def test_a_still_without_annotation_counts_as_missing(vispr: Path, tmp_path: Path) -> None:
    (vispr / "annotations/train2017/2017_2.json").unlink()
    listing = read_data_set("vispr", vispr)
    assert (listing.counts[0].found, listing.counts[3].found) == (1, 1)
    with pytest.raises(
        DataError, match=r"must have all 10,000 training labels of the data set, got 1. Add the missing"
    ):
        import_listing(listing, 8, 8, tmp_path / "store")


def test_kth_tests_a_scenario(tmp_path: Path) -> None:
    names = [f"person{p:02}_{a}_d{d}_uncomp.avi" for p in (1, 2) for a in ("boxing", "walking") for d in (1, 2, 3, 4)]
    touch(tmp_path, *names, "person01_boxing_d1_uncomp.txt", "other.avi")
    listing = read_data_set("kth", tmp_path)
    assert listing.counts[0] == Count("videos", 16, 599)
    assert listing.attributes == ("person=person01", "person=person02")
    assert {one.group for one in listing.samples if one.split == "test"} == {"d4"}
    listing = read_data_set("kth", tmp_path, test_groups=["d3", "d2"])
    assert {one.group for one in listing.samples if one.split == "train"} == {"d1", "d4"}
    with pytest.raises(UsageError, match=r"--test-groups: unknown group 'd9'. Found: d1, d2, d3, d4."):
        read_data_set("kth", tmp_path, test_groups=["d9"])


TABLE = "file,split,group,action,hat,colour\na/x.mp4,train,1,walk,yes,red\nb/x.mp4,test,2,kick,no,blue\n"


def test_a_csv_finds_files_by_path(tmp_path: Path) -> None:
    write(tmp_path / "labels/mine.csv", b"\xef\xbb\xbf" + TABLE.encode())
    touch(tmp_path / "videos", "a/x.mp4")
    listing = read_data_set("csv", tmp_path / "videos", tmp_path / "labels/mine.csv")
    assert listing.attributes == ("hat", "colour=blue", "colour=red")
    assert [(one.file, one.private) for one in listing.samples] == [
        ("a/x.mp4", (True, False, True)),
        ("", (False, True, False)),
    ]
    assert listing.counts == (Count("videos", 1, 2),)
    with pytest.raises(DataError, match=r"must hold all 2 files that the labels name, got 1 of them, without 'b/x"):
        import_listing(listing, 8, 8, tmp_path / "store")
    with pytest.raises(DataError, match=r"no file of the test split was found. Add more"):
        import_listing(listing, 8, 8, tmp_path / "store", partial=True)


def test_rows_of_nothing_are_no_rows(tmp_path: Path) -> None:
    write(tmp_path / "labels.csv", f"{TABLE}\n , \n,,,,,\n\n")
    assert len(read_data_set("csv", tmp_path).samples) == 2


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "the first line must name the columns file, split, group, action, got nothing"),
        ("file,split\n", "got file, split. Add 'group'"),
        (TABLE.replace("walk,", ""), "row 2 must have 6 cells, like the first row, got 5"),
        (TABLE.replace(",train", ",training"), "row 2: a split must be one of train, val, test, got training"),
        (TABLE.replace(",red", ","), "row 2: 'colour' must not be empty"),
        (TABLE.replace("hat", "colour"), "every column must have a name of its own"),
        (TABLE.replace("b/x", "a/x"), "a video must be listed only once, got a/x.mp4"),
        (TABLE.replace(",2,", ",1,"), "no group may be in the test split and in another, got '1' of 'a/x.mp4'"),
        (TABLE.replace("walk", '"wa\nlk"'), r"a cell must be one line without control characters, got 'wa\\nlk'"),
        (TABLE.replace("red", "red\0"), r"a cell must be one line without control characters, got 'red\\x00'"),
        (TABLE + '"', "is not valid CSV: unexpected end of data"),
        ("file,split,group,action\n", "holds no labels"),
        (
            TABLE.replace("walk", "gehen\udcff").encode("utf-8", "surrogateescape"),
            "must be text in UTF-8, got byte 0xff",
        ),
        (TABLE.encode("utf-16"), "must be text in UTF-8, got byte 0xff"),
    ],
)
def test_a_csv_that_is_wrong(tmp_path: Path, table: str | bytes, message: str) -> None:
    write(tmp_path / "labels.csv", table)
    with pytest.raises(DataError, match=message) as caught:
        read_data_set("csv", tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def edit(name: str, text: str | bytes | None) -> Callable[[Path], None]:
    """Write a label file, or take it away."""
    return lambda root: (root / name).unlink() if text is None else write(root / name, text)


@pytest.mark.parametrize(
    ("name", "broken", "message"),
    [
        ("ucf101", edit("ucfTrainTestlist/testlist01.txt", None), "/ucf: no label file 'testlist01.txt'. Download the"),
        ("ucf101", edit("ucfTrainTestlist/testlist01.txt", " \n"), "testlist01.txt: holds no labels"),
        (
            "ucf101",
            edit("ucfTrainTestlist/testlist01.txt", "Archery\n"),
            "line 1: a video must be named like .*, got 'Arc",
        ),
        ("ucf101", edit("ucfTrainTestlist/trainlist01.txt", b"\xff\xfe"), "must be text in UTF-8, got byte 0xff"),
        ("ucf101", edit("more/trainlist01.txt", "x"), "only one file may be called 'trainlist01.txt', got .* and "),
        ("ucf101", edit("more/v_archery_g01_c01.mp4", ""), "only one file may be called like 'Archery/v_Archery_g01"),
        ("vp-ucf101", edit("x", ""), r"no label file 'ucf101_privacy_attribute_label.csv or ucf101_.*\.pickle'"),
        ("hmdb51", edit("splits/act07_test_split1.txt", None), "must hold the 51 lists .*, got 50, such as 'act00_"),
        ("hmdb51", edit("splits/act07_test_split1.txt", "a.avi 1\n"), "act07_test_split1.txt: line 1: a line must hol"),
        ("pa-hmdb51", edit("x", ""), "must hold the private attributes of PA-HMDB51, <action>.json, got none"),
        ("pa-hmdb51", edit("act00.json", '{"a.avi": {"face": [[0,'), "act00.json: is not valid JSON: Expecting"),
        ("pa-hmdb51", edit("act00.json", "[]"), "act00.json: must hold a JSON object, got list"),
        ("pa-hmdb51", edit("act00.json", b"\xff"), "act00.json: must be text in UTF-8, got byte 0xff"),
        ("pa-hmdb51", edit("act00.json", json.dumps({"a\n.avi": entry()})), r"be one of HMDB51, got 'act00/a\\n.avi'"),
        ("vispr", edit("annotations/test2017/2017_4.json", '{"labels": ["a4'), "2017_4.json: is not valid JSON"),
        ("vispr", edit("annotations/test2017/2017_4.json", "{}"), "must hold a list 'labels' of attribute names"),
        ("vispr", edit("test2017.txt", "annotations/test2017/9.json"), "no annotation '9.json', nor 'vispr1_test_lab"),
    ],
)
def test_labels_that_cannot_be_read_are_one_line(
    ucf101: Path, vp_hmdb51: Path, vispr: Path, name: str, broken: Callable[[Path], None], message: str
) -> None:
    root = ucf101 if "ucf" in name else vispr if name == "vispr" else vp_hmdb51
    broken(root)
    with pytest.raises(DataError, match=message) as caught:
        read_data_set(name, root)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_an_empty_folder_is_no_data_set(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"^{tmp_path}: .*(no label file|must hold|no video is named like)"):
        read_data_set(name, tmp_path)
    with pytest.raises(DataError, match=r"/gone: must be a folder of videos or stills\. Name another with --root"):
        read_data_set(name, tmp_path / "gone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ucf-101"], "unknown data set 'ucf-101'. Did you mean 'ucf101'"),
        (["ucf101", None, 16, 4], "--split: must be 1, 2 or 3, got 4"),
    ],
)
def test_choices_that_are_none(tmp_path: Path, arguments: Sequence[object], message: str) -> None:
    name, *rest = arguments
    with pytest.raises(UsageError, match=message):
        read_data_set(name, tmp_path, *rest)  # type: ignore[arg-type]


def test_a_folder_of_labels_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: must be a label file or a folder of label files"):
        read_data_set("ucf101", tmp_path, "gone")
