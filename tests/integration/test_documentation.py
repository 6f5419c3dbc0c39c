"""The documentation: the site builds without a broken link, says what the code says, and shows its pictures."""

from __future__ import annotations

import html
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from anon_tune.attackers.table import ATTACKERS
from anon_tune.cli import app
from anon_tune.methods import names
from anon_tune.networks.table import NETWORKS
from anon_tune.recipe import Recipe
from anon_tune.recipe.part import flat_names
from anon_tune.schedule import Schedule

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

needs_mkdocs = pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="no mkdocs-material")


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    return subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target)
    assert done.returncode == 0, done.stderr
    return target


def words(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8")))


@needs_mkdocs
def test_every_page_is_on_the_site_and_in_its_navigation(site: Path) -> None:
    home = (site / "index.html").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / page.stem / "index.html").exists()
        assert f'href="{page.stem}/"' in home, page.stem
    assert "<!-- generated" not in "".join(one.read_text("utf-8") for one in site.glob("*/index.html"))


@needs_mkdocs
def test_every_option_of_every_command_is_named(site: Path) -> None:
    shown = words(site / "commands" / "index.html")

    def check(name: str, command: object) -> None:
        for word, one in getattr(command, "commands", {}).items():
            check(f"{name} {word}", one)
        if not hasattr(command, "commands"):
            assert name in shown
            options = {option for param in command.params if param.param_type_name == "option" for option in param.opts}
            assert not {option for option in options - {"--help"} if option not in shown}

    check("anon-tune", typer.main.get_command(app))


@needs_mkdocs
def test_every_recipe_name_method_attacker_and_network_is_named(site: Path) -> None:
    shown = (site / "recipe" / "index.html").read_text("utf-8")
    of_schedules = {f".{field}" for field in Schedule.model_fields}
    for name in flat_names(Recipe):
        if name not in ("method", "section") and not name.endswith(tuple(of_schedules)):
            assert f"<code>{name}</code>" in shown, name
    methods = (site / "methods" / "index.html").read_text("utf-8")
    for name in {*names(), *ATTACKERS.ours, *NETWORKS.ours}:
        assert f"<code>{name}</code>" in methods, name


@needs_mkdocs
def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]* src="([^"]+)"|<link[^>]* href="([^"]+)"', page.read_text("utf-8")
        )
        assert not [one for pair in loaded for one in pair if one.startswith(("http", "//"))]


@needs_mkdocs
def test_a_broken_link_is_an_error(tmp_path: Path) -> None:
    for name in ("docs", "anon_tune", "benchmarks", "cluster", "search_spaces"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docs").unlink()
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("mkdocs.yml", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "docs" / "odd.md").write_text("# Odd\n\n[gone](nowhere.md)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0 and "nowhere.md" in done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    targets = [target for target in LINK.findall(text) if "://" not in target and not target.startswith("#")]
    assert not [target for target in targets if not (page.parent / target.partition("#")[0]).exists()]


def test_the_readme_is_short_and_shows_pictures() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.count("\n") <= 170
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) >= 2
    for picture in pictures:
        assert (ROOT / picture).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert (ROOT / picture).stat().st_size < 200_000
