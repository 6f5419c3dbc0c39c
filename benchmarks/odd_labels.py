"""Odd label files and folders for `odd_inputs.py`: the command that a user types, and what it must do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

NAMES = [f"{person}{take}_{action}.mp4" for person in ("ann", "bob") for take in (1, 2) for action in ("kick", "walk")]
PATTERN = r"(?P<person>ann|bob)(?P<take>\d)_(?P<action>kick|walk)"
IMPORT = f"--pattern '{PATTERN}' --action action --private person --group take --test-groups 2"
SMALL = "--num-frames 4 --size 48x64"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        kind: What is odd.
        name: Which one it is.
        words: The command, in which ``{}`` is the folder of the input.
        promise: The number of clips in the store that it makes; or what its line must say.
        prepare: Writes the input into the folder, which holds eight good videos in ``videos``, a clip store of them in
            ``store``, and a search space in ``space.toml``.
    """

    kind: str
    name: str
    words: str
    promise: int | str
    prepare: Callable[[Path], object] = lambda folder: None


def labels_and_folders() -> Iterator[Command]:
    """Yield commands with odd labels, odd folders of videos and odd places for a store."""
    for kind in (_tables, _lists, _folders, _outputs):
        yield from kind()


HEADER = "file,split,group,action,person"
ROWS = [f"{name},{'test' if name[3] == '2' else 'train'},{name[3]},{name[5:9]},{name[:3]}" for name in NAMES]
TABLE = "\n".join([HEADER, *ROWS])


def _cells(change: Callable[[list[str]], object]) -> str:
    """Change a list of the cells of every row."""
    rows = [line.split(",") for line in (HEADER, *ROWS)]
    for row in rows:
        change(row)
    return "\n".join(",".join(row) for row in rows)


def _column(*values: str) -> str:
    """Add a column whose rows have these values in turn, after its name."""
    name, *rest = values
    return "\n".join([f"{HEADER},{name}", *(f"{row},{rest[at % len(rest)]}" for at, row in enumerate(ROWS))])


_QUOTED = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in (HEADER, *ROWS))

_TABLES: dict[str, tuple[str | bytes, int | str]] = {
    "plain": (TABLE, 8),
    "byte order mark": (b"\xef\xbb\xbf" + TABLE.encode(), 8),
    "UTF-16": (TABLE.encode("utf-16"), "must be text in UTF-8, got byte 0xff"),
    "Latin-1": (TABLE.replace("ann,", "").encode() + "\nö".encode("latin-1"), "must be text in UTF-8, got byte 0xf6"),
    "NUL": (TABLE.encode() + b"\0", "without control characters"),
    "CRLF": (TABLE.replace("\n", "\r\n"), 8),
    "CR": (TABLE.replace("\n", "\r"), 8),
    "empty lines": (TABLE.replace("\n", "\n\n") + "\n\n\n", 8),
    "line of blanks": (TABLE + "\n  \n", 8),
    "line of commas": (TABLE + "\n,,,,\n", 8),
    "no newline at the end": (TABLE.rstrip(), 8),
    "quoted": (_QUOTED, 8),
    "quoted half": (TABLE.replace("ann1_kick.mp4", '"ann1_kick.mp4'), "is not valid CSV"),
    "quotes inside": (TABLE.replace("ann1_kick.mp4", 'a"b.mp4'), "must hold all 8 files"),
    "comma in a cell": (TABLE.replace(",ann\n", ',"ann, b"\n'), 8),
    "newline in a cell": (TABLE.replace(",ann\n", ',"ann\nb"\n'), "a cell must be one line"),
    "semicolons": (TABLE.replace(",", ";"), "must name the columns file, split, group, action, got file;split"),
    "tabs": (TABLE.replace(",", "\t"), "must name the columns"),
    "blanks around": (TABLE.replace(",", " , "), 8),
    "capital header": (TABLE.replace("file,split", "File,Split"), "must name the columns"),
    "comment first": ("# labels\n" + TABLE, "must name the columns"),
    "no header": ("\n".join(ROWS), "must name the columns"),
    "header only": (HEADER, "holds no labels"),
    "nothing": ("", "must name the columns file, split, group, action, got nothing"),
    "index column": (_cells(lambda row: row.insert(0, "" if "file" in row else str(len(row[0])))), "must have a name"),
    "last column without a name": (_cells(lambda row: row.append("" if "file" in row else "1")), "must have a name"),
    "row numbers": (_column("id", *map(str, range(8))), "must repeat its values"),
    "column twice": (_cells(lambda row: row.append(row[4])), "every column must have a name of its own"),
    "column missing": (_cells(lambda row: row.pop(2)), "Add 'group'"),
    "cell missing": (TABLE.replace(",walk,bob", ",walk"), "must have 5 cells, like the first row, got 4"),
    "cell too many": (TABLE.replace(",ann\n", ",ann,\n"), "must have 5 cells, like the first row, got 6"),
    "value missing": (TABLE.replace(",ann\n", ",\n"), "'person' must not be empty"),
    "other columns first": (_cells(lambda row: row.reverse()), 8),
    "no private column": (_cells(lambda row: row.pop()), 8),
    "constant column": (_column("indoor", "1"), 8),
    "yes and no": (_column("hat", "yes", "no"), 8),
    "True and false": (_column("hat", "True", "false"), 8),
    "1.0 and 0.0": (_column("hat", "1.0", "0.0", "0.0"), 8),
    "nan": (_column("hat", "nan", "1", "1", "0"), 8),
    "letters of the world": (_column("Größe", "größer", "漢字"), 8),
    "formula": (_column("hat", "=1+1", "@x"), 8),
    "split in capitals": (TABLE.replace("train", "Train"), "a split must be one of train, val, test, got Train"),
    "split validation": (TABLE.replace("train", "validation"), "a split must be one of train, val, test"),
    "no test": (TABLE.replace("test", "train"), "no file of the test split"),
    "a group in two splits": (TABLE.replace("test,2", "test,1"), "no group may be in the test split and in another"),
    "a file twice": (TABLE + "\n" + ROWS[0], "a video must be listed only once"),
    "a file that is not there": (TABLE + "\ngone.mp4,train,1,kick,ann", "must hold all 9 files"),
    "dot slash": (TABLE.replace("ann1", "./ann1"), 8),
    "backslash": (TABLE.replace("ann1_kick", "x\\ann1_kick"), "must hold all 8 files"),
    "up and back": (TABLE.replace("ann1", "../videos/ann1"), "must hold all 8 files"),
    "from the root": (TABLE.replace("ann1", "/ann1"), "must hold all 8 files"),
    "gzip": (bytes.fromhex("1f8b0800") + bytes(20), "must be text in UTF-8"),
    "Excel": (b"PK\x03\x04" + bytes(range(200, 256)), "must be text in UTF-8"),
    "long cell": (TABLE.replace(",ann\n", f",{'x' * 200_000}\n"), "is not valid CSV"),
}


def _tables() -> Iterator[Command]:
    for name, (content, promise) in _TABLES.items():
        text = content if isinstance(content, bytes) else content.encode()
        words = f"clips import csv --root {{}}/videos --labels {{}}/labels.csv {SMALL} -o {{}}/out"
        yield Command("table", name, words, promise, lambda folder, text=text: _put(folder / "labels.csv", text))
    words = f"clips import csv --root {{}}/videos --labels {{}}/labels {SMALL} -o {{}}/out"
    yield Command(
        "table", "folder of none", words, "must hold one .csv file", lambda folder: (folder / "labels").mkdir()
    )
    yield Command("table", "not there", words, "must be a label file or a folder of label files")
    yield Command("table", "folder", words, 8, lambda folder: _put(folder / "labels/x.csv", TABLE.encode()))


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


_UCF = {"classInd.txt": "1 Kick\n2 Walk\n", "trainlist01.txt": "", "testlist01.txt": ""}
_UCF["trainlist01.txt"] = "".join(
    f"{a}/v_{a}_g0{g}_c01.avi {n}\n" for n, a in ((1, "Kick"), (2, "Walk")) for g in (8, 9)
)
_UCF["testlist01.txt"] = "".join(f"{a}/v_{a}_g0{g}_c01.avi\n" for a in ("Kick", "Walk") for g in (1, 2))


def _lists() -> Iterator[Command]:
    def published(change: Callable[[dict[str, bytes]], object]) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            files = {name: text.encode() for name, text in _UCF.items()}
            change(files)
            for name, content in files.items():
                _put(folder / "lists" / name, content)
            for at, line in enumerate((_UCF["trainlist01.txt"] + _UCF["testlist01.txt"]).splitlines()):
                (folder / "ucf").mkdir(exist_ok=True)
                shutil.copy(folder / "videos" / NAMES[at], folder / "ucf" / Path(line.split()[0]).name)

        return prepare

    def edit(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
        return lambda files: files.update({name: files[name].replace(old, new)})

    words = f"clips import ucf101 --root {{}}/ucf --labels {{}}/lists --partial {SMALL} -o {{}}/out"
    for name, change, promise in (
        ("plain", lambda files: None, 8),
        ("CRLF", edit("trainlist01.txt", b"\n", b"\r\n"), 8),
        ("byte order mark", edit("classInd.txt", b"1 Kick", b"\xef\xbb\xbf1 Kick"), 8),
        ("empty lines", edit("testlist01.txt", b"\n", b"\n\n"), 8),
        ("without classes", lambda files: files.pop("classInd.txt"), 8),
        ("without lists", lambda files: files.pop("trainlist01.txt"), "no label file 'trainlist01.txt'"),
        ("empty list", edit("trainlist01.txt", _UCF["trainlist01.txt"].encode(), b""), "holds no labels"),
        ("another number", edit("trainlist01.txt", b".avi 1", b".avi 7"), 8),
        ("no number", edit("trainlist01.txt", b".avi 1", b".avi x"), "lists"),
        ("Latin-1", edit("testlist01.txt", b"Kick", b"K\xefck"), "must be text in UTF-8"),
        ("a video twice", edit("trainlist01.txt", b"g09", b"g08"), "only once"),
        ("a group in both", edit("testlist01.txt", b"g01", b"g08"), "lists"),
    ):
        yield Command("list", name, words, promise, published(change))
    yield Command(
        "list", "not partial", words.replace(" --partial", ""), "must have all", published(lambda files: None)
    )


def _folders() -> Iterator[Command]:
    words = f"clips import {{}}/videos {IMPORT} {SMALL} -o {{}}/out"

    def moved(folder: Path, to: str) -> None:
        (folder / to).mkdir(parents=True)
        for name in NAMES[:4]:
            (folder / "videos" / name).rename(folder / to / name)

    def linked(folder: Path) -> None:
        moved(folder, "far")
        (folder / "videos/near").symlink_to(folder / "far")

    def beside(*names: str) -> Callable[[Path], None]:
        def prepare(folder: Path) -> None:
            for name in names:
                _put(folder / "videos" / name, b"\x00\x05\x16\x07")

        return prepare

    def each(ending: str) -> Callable[[Path], None]:
        return beside(*(f"{name}{ending}" for name in NAMES))

    def not_utf8(folder: Path) -> None:
        (folder / "videos" / NAMES[0]).rename(folder / "videos" / os.fsdecode(b"ann1_kick\xe9.mp4"))

    for name, prepare, promise in (
        ("plain", lambda folder: None, 8),
        ("deep", lambda folder: moved(folder, "videos/a/b/c/d"), 8),
        ("link to a folder", linked, 8),
        ("loop", lambda folder: (folder / "videos/loop").symlink_to(folder / "videos"), 8),
        ("loop above", lambda folder: (folder / "videos/up").symlink_to(folder), 8),
        ("link to nothing", lambda folder: (folder / "videos/ann1_kick_2.mp4").symlink_to("gone.mp4"), 8),
        ("link to itself", lambda folder: (folder / "videos/ann1_kick_2.mp4").symlink_to("ann1_kick_2.mp4"), 8),
        ("a pipe", lambda folder: os.mkfifo(folder / "videos/ann1_kick_2.mp4"), 8),
        ("a folder like a video", lambda folder: (folder / "videos/ann1_kick_2.mp4").mkdir(), 8),
        ("hidden files", beside("._ann1_kick.mp4", ".DS_Store", ".ann1_kick.mp4"), 8),
        ("folders of systems", beside("__MACOSX/ann1_kick.mp4", "@eaDir/ann1_kick.mp4"), 8),
        ("our reports", each(".json"), 8),
        ("side files", beside("ann1_kick.srt", "ann1_kick.jpg", "ann1_kick.nfo", "Thumbs.db"), 8),
        ("a name twice", lambda folder: shutil.copytree(folder / "videos", folder / "videos/again"), 16),
        ("not UTF-8", not_utf8, r"ann1_kick\xe9.mp4: its name must be UTF-8"),
        ("empty folder", lambda folder: moved(folder, "far") or shutil.rmtree(folder / "videos"), "must be a folder"),
        ("a file", lambda folder: shutil.rmtree(folder / "videos") or (folder / "videos").touch(), "must be a folder"),
        (
            "one action",
            lambda folder: [p.unlink() for p in folder.glob("videos/*kick*")],
            "at least two action classes",
        ),
        (
            "one person",
            lambda folder: [p.unlink() for p in folder.glob("videos/ann*")],
            "must have at least two values",
        ),
        ("one take", lambda folder: [p.unlink() for p in folder.glob("videos/???1*")], "must leave groups to train on"),
    ):
        yield Command("folder", name, words, promise, prepare)


def _outputs() -> Iterator[Command]:
    words = f"clips import {{}}/videos {IMPORT} {SMALL} -o"
    outputs: dict[str, int | str] = {
        "a/b/c": 8,
        "out.mp4": 8,
        "a:b": 8,
        " ": 8,
        "videos": "already exists",
        "space.toml": "already exists",
    }
    outputs |= {"space.toml/x": "Not a directory", "x" * 256: "too long", "out\\x": 8}
    for output, promise in outputs.items():
        yield Command("output", output[:20], f"{words} '{{}}/{output}'", promise)
