import pytest

from anon_tune.datasets.labels import Found, attribute_columns, label_found, match_files, split_files
from anon_tune.errors import DataError, UsageError

FILES = [f"{p}/{p}{t}_{a}.mp4" for p in ("ann", "bob") for t in (1, 2, 3) for a in ("walk", "kick")]
PATTERN = r"(?P<person>[a-z]+)(?P<take>\d)_(?P<action>\w+)\.mp4$"


def found(pattern: str = PATTERN, **changes: object) -> list[Found]:
    options = {"action": "action", "private": ["person"], "group": "take", "where": "videos"} | changes
    return match_files(FILES, pattern, **options)  # type: ignore[arg-type]


def test_labels_come_from_named_groups() -> None:
    assert found()[0] == Found("ann/ann1_walk.mp4", "walk", "1", ("ann",))
    assert len(found()) == 12
    assert len(found(r"ann/(?P<person>[a-z])[a-z]+(?P<take>\d)_(?P<action>\w+)")) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "(?P<person"}, "is not a regular expression: .*, got "),
        ({"pattern": "(?P<action>x)(?P<take>y)"}, "has no named group 'person'"),
        ({"pattern": "mp4"}, r"has no named group 'action'.* Write it as \(\?P<name>"),
        ({"group": "tkae"}, "has no named group 'tkae'.* Did you mean 'take'"),
        ({"private": []}, "at least one private label"),
        ({"pattern": r"(?P<person>b?)[a-z]*(?P<take>\d)_(?P<action>\w+)"}, "'person' must not be empty, .*ann1_walk"),
        ({"action": "person", "pattern": PATTERN.replace("[a-z]+", "ann")}, "at least two action classes"),
    ],
)
def test_bad_patterns(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        found(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_pattern_that_matches_no_file() -> None:
    with pytest.raises(DataError, match="videos: the pattern matches no file, for example not"):
        found(PATTERN + "x")


def _with(*values: str) -> list[Found]:
    return [Found(f"{at}", "walk", "1", (value,)) for at, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "columns"),
    [
        (("0", "1", "1"), {"hat": (False, True, True)}),
        (("yes", "No", "TRUE"), {"hat": (True, False, True)}),
        (("tall", "flat", "tall"), {"hat=flat": (False, True, False), "hat=tall": (True, False, True)}),
        (("0", "1", "2"), {f"hat={v}": tuple(v == w for w in "012") for v in "012"}),
    ],
)
def test_private_labels_become_attributes(values: tuple[str, ...], columns: dict[str, tuple[bool, ...]]) -> None:
    assert attribute_columns(_with(*values), ["hat"]) == columns


@pytest.mark.parametrize("values", [("hat", "hat"), ("1", "yes"), ("0", "0")])
def test_a_label_of_one_value_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="label 'hat' must have at least two values"):
        attribute_columns(_with(*values), ["hat"])


def test_splits_by_group() -> None:
    files = found()
    splits = split_files(files, ["2"], ["3"], 0.15)
    assert {(f.group, s) for f, s in zip(files, splits, strict=True)} == {("1", "train"), ("2", "test"), ("3", "val")}


def test_the_hold_out_is_even_and_leaves_rare_labels_in_train() -> None:
    files = [Found(f"{p}{a}{n}", a, "train", (p,)) for p in "abcde" for a in ("walk", "kick", "sit") for n in range(4)]
    files += [Found("rare", "walk", "train", ("f",)), Found("test", "walk", "test", ("a",))]
    splitter, _ = label_found(files, ["person"], ["test"], [], 0.25)
    splits = {one.id: one.split for one in splitter.split()}
    held = [f for f in files if splits[f.file] == "val"]
    assert len(held) == 15
    assert [sum(f.action == a for f in held) for a in ("walk", "kick", "sit")] == [5, 5, 5]
    assert [sum(f.private == (p,) for f in held) for p in "abcdef"] == [3, 3, 3, 3, 3, 0]
    assert splits["test"] == "test"


def test_bad_files_take_no_part_in_a_split() -> None:
    files = [Found(f"{p}{a}{n}", a, "train", (p,)) for p in "ab" for a in ("walk", "kick") for n in range(5)]
    files += [Found(f"test{p}", "walk", "test", (p,)) for p in "ab"]
    good = [one for at, one in enumerate(files) if at % 2 or one.group == "test"]
    bad = {one.file for one in files} - {one.file for one in good}
    splitter, _ = label_found(files, ["person"], ["test"], [], 0.2)
    assert splitter.split(bad) == label_found(good, ["person"], ["test"], [], 0.2)[0].split()
    assert [one.split for one in splitter.split(bad)] == 8 * ["train"] + 2 * ["val"] + 2 * ["test"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((["9"], [], 0.1), "--test-groups: unknown group '9'. Found: 1, 2, 3"),
        (([], [], 0.1), "--test-groups: at least one is needed. Found: 1, 2, 3"),
        ((["1"], ["1"], 0.1), "a group is in one split only, got 1"),
        ((["1", "2", "3"], [], 0.1), "must leave groups to train on"),
        ((["1", "2"], ["3"], 0.1), "must leave groups to train on"),
        ((["1"], [], 1.0), "must be at least 0 and below 1, got 1.0"),
    ],
)
def test_bad_splits(options: tuple[list[str], list[str], float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_files(found(), *options)
