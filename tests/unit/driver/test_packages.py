"""A package that is brought is built if needed, unpacked, put on the import path, and listed for Ray."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from anon_tune.driver.packages import bring_packages, brought_modules
from anon_tune.errors import RecipeError, UsageError
from anon_tune.methods import find


@pytest.fixture(autouse=True)
def _path_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("anon_tune.driver.packages._brought", {})
    return


def write_wheel(file: Path, method: str, prefix: str = "") -> Path:
    """Write a wheel with one method; its modules lie below a prefix, as those of a platform do."""
    module = method.replace("-", "_")
    spec = (
        f"from anon_tune.methods import MethodSpec\nSPEC = MethodSpec('{method}', 'Dims.', 'anon_tune.methods.blur')\n"
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{prefix}{module}.py", spec)
        archive.writestr(f"{module}-1.0.data/scripts/run", "#!python\n")
        archive.writestr(f"{module}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {method}\nVersion: 1.0\n")
        archive.writestr(f"{module}-1.0.dist-info/entry_points.txt", f"[anon_tune.methods]\n{method} = {module}:SPEC\n")
    return file


def test_a_folder_is_built_and_its_methods_are_found_though_they_were_missed_before(example_package: Path) -> None:
    with pytest.raises(RecipeError, match="unknown method 'halve'"):
        find("halve")
    (package,) = bring_packages([example_package])
    assert find("halve:0.25").values == {"factor": 0.25}
    assert find("tint").is_trained
    assert package.wheel.suffix == ".whl"
    names = ["example_anonymizers", "example_anonymizers-1.0.dist-info"]
    assert [Path(module).name for module in brought_modules()] == names
    assert bring_packages([example_package, str(example_package)]) == [package, package]
    assert len(brought_modules()) == 2 and sys.path.count(str(package.folder)) == 1


@pytest.mark.parametrize("prefix", ["", "wheeled_{}-1.0.data/platlib/"])
def test_a_wheel_is_unpacked_as_pip_would_without_its_scripts(tmp_path: Path, prefix: str) -> None:
    name = "wheeled-b" if prefix else "wheeled-a"
    wheel = write_wheel(tmp_path / "x-1.0-py3-none-any.whl", name, prefix.format(name[-1]))
    (package,) = bring_packages([wheel])
    module = name.replace("-", "_")
    assert package.wheel == wheel
    assert [Path(m).name for m in package.modules] == [f"{module}-1.0.dist-info", f"{module}.py"]
    assert find(name).name == name


def test_what_is_no_package_is_one_line(tmp_path: Path) -> None:
    empty, text, hollow = tmp_path / "empty", tmp_path / "text.whl", tmp_path / "hollow.whl"
    empty.mkdir()
    text.write_text("no archive")
    with zipfile.ZipFile(hollow, "w") as archive:
        archive.writestr("x.py", "")
    said = {
        empty: "it has no pyproject.toml",
        tmp_path / "gone": "must be the folder of a Python package, or a wheel",
        tmp_path / "gone.whl": "cannot be read",
        text: "is no wheel",
        hollow: "holds no metadata",
    }
    for given, rule in said.items():
        with pytest.raises(UsageError, match=rule) as caught:
            bring_packages([given])
        assert "\n" not in str(caught.value)
    assert brought_modules() == []


def test_a_folder_that_cannot_be_built_is_one_line_that_says_why(tmp_path: Path) -> None:
    backend = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (tmp_path / "pyproject.toml").write_text(backend + '[project]\nname = "x"\nversion = "1"\n')
    (tmp_path / "backend.py").write_text("def build_wheel(*_):\n    raise ValueError('an error of the backend')\n")
    with pytest.raises(UsageError, match="cannot be built into a wheel") as caught:
        bring_packages([tmp_path])
    assert "\n" not in str(caught.value) and "rror" in str(caught.value).partition(", got ")[2]
