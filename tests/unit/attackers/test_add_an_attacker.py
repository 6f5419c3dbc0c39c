"""The code of docs/add-an-attacker.md is found as an installed package and keeps the contract."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from anon_tune.attackers import find
from anon_tune.testing.attackers import check_attacker

PAGE = (Path(__file__).parents[3] / "docs" / "add-an-attacker.md").read_text(encoding="utf-8")


def test_the_attacker_of_the_page_is_found_and_keeps_its_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = dict(re.findall(r"```(python|toml)\n(.*?)```", PAGE, re.DOTALL))
    (tmp_path / "my_attackers.py").write_text(blocks["python"])
    entry = re.search(r'^\[project\.entry-points\."(.+)"\]\n(\w+) = "(.+)"', blocks["toml"])
    assert entry is not None
    info = tmp_path / "my_attackers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_attackers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_attackers", raising=False)
    spec = find("brightness")
    assert "torch" not in blocks["python"].partition("def build")[0]
    check_attacker(spec)
