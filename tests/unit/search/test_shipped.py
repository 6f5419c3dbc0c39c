from __future__ import annotations

from pathlib import Path

import pytest

from anon_tune.errors import SpaceError
from anon_tune.search.shipped import find_space, shipped_spaces

SHIPPED = Path(__file__).parents[3] / "search_spaces"


def test_what_we_ship_is_found_by_name_unless_a_file_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert dict(shipped_spaces()) == {file.stem: file for file in sorted(SHIPPED.glob("*.toml"))}
    assert find_space("quickstart") == find_space("quickstart.toml") == SHIPPED / "quickstart.toml"
    (tmp_path / "quickstart").write_text("")
    assert find_space("quickstart") == Path("quickstart")
    assert find_space("mine/quickstart.toml") == Path("mine/quickstart.toml")


def test_a_name_that_nothing_has_is_one_line() -> None:
    with pytest.raises(SpaceError, match=r"quikstart: no such file.*Did you mean 'quickstart'\?"):
        find_space("quikstart")
    with pytest.raises(SpaceError, match=r"Known: .*methods.*quickstart"):
        find_space("zzz")
