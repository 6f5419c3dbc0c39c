from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from anon_tune.entry_points import Table
from anon_tune.errors import RecipeError, UsageError


@dataclass(frozen=True)
class Fruit:
    name: str


GROUP = "anon_tune.fruits"
FRUITS = Table("fruit", GROUP, Fruit, {"apple": Fruit("apple"), "pear": Fruit("pear")})


def install(folder: Path, package: str, entries: str, source: str = "") -> None:
    """Lay a package into a folder as pip does with --target."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entries}\n")
    (folder / f"{package}.py").write_text(source)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("grove", "orchard"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


GOOD = "import sys\nplum = sys.modules['fruits'].Fruit('plum')"


@pytest.fixture(autouse=True)
def _fruits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fruits", sys.modules[__name__])


def test_what_a_package_adds_is_found_by_name(site: Path) -> None:
    install(site, "orchard", "plum = orchard:plum", GOOD)
    assert FRUITS.names() == ("apple", "pear", "plum")
    assert FRUITS.find("plum", "f") == Fruit("plum")
    assert FRUITS.find("pear", "f") is FRUITS.ours["pear"]


def test_an_unknown_name_is_one_line_with_the_nearest_known_one(site: Path) -> None:
    install(site, "orchard", "plum = orchard:plum", GOOD)
    with pytest.raises(RecipeError, match=r"^f\.toml: unknown fruit 'plumm'\. Did you mean 'plum'\?$"):
        FRUITS.find("plumm", "f.toml")
    with pytest.raises(RecipeError, match=r"^f\.toml: unknown fruit 'xyz'\. If .* Known: apple, pear, plum\.$"):
        FRUITS.find("xyz", "f.toml")


@pytest.mark.parametrize(
    ("entries", "source", "message"),
    [
        (
            "plum = orchard:plum",
            "raise OSError('gone\\nhere')",
            "package 'orchard': its fruit 'plum' cannot be loaded: OSError: gone. Fix the package, or uninstall it.",
        ),
        (
            "plum = orchard:prune",
            GOOD,
            "package 'orchard': its fruit 'plum' cannot be loaded: AttributeError: module 'orchard' has no attribute "
            "'prune'. Fix the package, or uninstall it.",
        ),
        (
            "plum = gone:plum",
            "",
            "package 'orchard': its fruit 'plum' cannot be loaded: ModuleNotFoundError: No module named 'gone'. "
            "Fix the package, or uninstall it.",
        ),
        (
            "plum = orchard:plum",
            "plum = 7",
            "package 'orchard': its fruit 'plum' must be of type {module}.Fruit, got int. "
            "Fix the package, or uninstall it.",
        ),
        (
            "plum = orchard:plum",
            GOOD.replace("'plum')", "'prune')"),
            "package 'orchard': its fruit 'plum' must have the name of its entry point, got prune. "
            "Fix the package, or uninstall it.",
        ),
    ],
)
def test_a_package_that_breaks_the_contract_is_named_in_one_line(
    site: Path, entries: str, source: str, message: str
) -> None:
    install(site, "orchard", entries, source)
    with pytest.raises(UsageError) as caught:
        FRUITS.find("plum", "f.toml")
    assert str(caught.value) == message.format(module=Fruit.__module__)
    assert FRUITS.find("apple", "f.toml")  # the others stand


def test_a_name_has_one_owner(site: Path) -> None:
    install(site, "orchard", "plum = orchard:plum\napple = orchard:plum", GOOD)
    install(site, "grove", "plum = grove:plum", GOOD)
    with pytest.raises(UsageError, match=r"^f: the fruit 'plum' comes from 2 packages, 'grove' and 'orchard'\. Unin"):
        FRUITS.find("plum", "f")
    with pytest.raises(UsageError, match=r"^f: the fruit 'apple' comes from 2 packages, anon_tune and 'orchard'\. "):
        FRUITS.find("apple", "f")
