"""Starts Chromium, and makes reports to open in it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import Trial


def _beside_the_reports_tests(name: str) -> ModuleType:
    file = Path(__file__).parents[1] / "unit" / "report" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


synthetic = _beside_the_reports_tests("synthetic_study")
certificates = _beside_the_reports_tests("test_certificates")

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def study_directory(tmp_path_factory) -> Path:
    return synthetic.write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def verified_directory(tmp_path_factory) -> Path:
    return synthetic.write_repeats(synthetic.write_study(tmp_path_factory.mktemp("verified"), 40))


@pytest.fixture(scope="session")
def hostile_directory(tmp_path_factory) -> Path:
    """A study and certificates made by an attacker."""
    directory = synthetic.write_hostile_study(tmp_path_factory.mktemp("hostile"))
    (directory / "audits").mkdir()
    for number, words in enumerate(synthetic.HOSTILE):
        name = words.replace("/", "|")
        (directory / "audits" / f"{name}.json").write_text(certificates.certificate(words).to_json(), "utf-8")
        (directory / "audits" / f"{number}{name}.json").write_text("{" + words, "utf-8")
    return directory


@pytest.fixture(scope="session")
def large_study(study_directory) -> list[Trial]:
    """Trials of a study of 2,000."""
    return synthetic.multiplied(Ledger(study_directory / "ledger").trials(), 2000)


@pytest.fixture(scope="session")
def chromium():
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=SWITCHES)
        yield browser
        browser.close()
