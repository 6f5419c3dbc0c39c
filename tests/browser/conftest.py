"""Starts Chromium, and makes reports to open in it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from anon_tune.ledger import Ledger
from anon_tune.pareto import ParetoFront
from anon_tune.recipe import MEASURE_VERSION
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial
from anon_tune.video.looping import looping_webm


def _beside_the_reports_tests(name: str) -> ModuleType:
    file = Path(__file__).parents[1] / "unit" / "report" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


synthetic = _beside_the_reports_tests("synthetic_study")
certificates = _beside_the_reports_tests("test_certificates")

PLACE = """([name, id]) => {
    const plot = document.getElementById(id);
    plot.scrollIntoView({behavior: "instant", block: "center"});
    const trace = plot._fullData.find(t => (t.customdata || []).includes(name));
    const at = trace.customdata.indexOf(name), box = plot.getBoundingClientRect();
    const axis = (a, v) => a._offset + a.d2p(v);
    const {xaxis, yaxis} = plot._fullLayout;
    return [box.x + axis(xaxis, trace.x[at]), box.y + axis(yaxis, trace.y[at])];
}"""

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Dashboard:
    """A dashboard in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        words = [sys.executable, "-m", "anon_tune", "dashboard", *map(str, arguments)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().rstrip("\n")
        self.place, _, self.token = self.address.partition("/?token=")

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture(scope="session")
def new_dashboard():
    """Return a function that starts a dashboard, which the caller stops; one that is left over is killed."""
    started = []

    def start(*arguments):
        started.append(Dashboard(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


@pytest.fixture(scope="session")
def study_directory(tmp_path_factory) -> Path:
    return synthetic.write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def moving_directory(tmp_path_factory) -> Path:
    """A study whose trials on the front have moving previews of half a second."""
    directory = synthetic.write_study(tmp_path_factory.mktemp("moving"))
    frames = np.random.default_rng(0).integers(0, 256, (4, 64, 132, 3), dtype=np.uint8)
    for trial in ParetoFront.of(Ledger(directory / "ledger").trials()).members:
        StudyDirectory.at(directory).trial(trial.id).moving_preview.write(looping_webm(frames, 8))
    return directory


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
def new_certificate():
    """Return a function that makes a certificate of a trial."""

    def make(trial):
        subject = {"kind": "trial", "name": trial.id, "method": trial.method, "fingerprint": trial.fingerprint}
        return certificates.certificate("", subject=subject, measure_version=MEASURE_VERSION)

    return make


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


@pytest.fixture(scope="session")
def place_of_point():
    """Return a function that scrolls to a plot and returns where on the screen the point of a trial is."""
    return lambda page, trial_id, plot="front-plot": page.evaluate(PLACE, [trial_id, plot])


@pytest.fixture(scope="session")
def plays_again_and_again():
    """Return a function that watches a video until it has begun again."""

    def watch(video):
        assert video.evaluate("video => [video.loop, video.muted, video.controls]") == [True, True, False]
        video.evaluate("""video => new Promise(resolve => {
            let last = 0;
            const look = () => {
                if (video.currentTime < last && last > 0.2) return resolve();
                last = video.currentTime;
                requestAnimationFrame(look);
            };
            look();
        })""")

    return watch


@pytest.fixture
def visit(chromium):
    """Opens addresses; afterwards, no page may have raised an error or asked another machine."""
    contexts, requests, errors = [], [], []

    def open_page(address, width=1280, ready="#front-plot .scatterlayer .point", **settings):
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, **settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        page.locator(ready).first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [words for words in errors if not words.startswith("Executing inline script")] == []
    assert {url.split("/")[2].split(":")[0] for url in requests if url.startswith("http")} <= {"127.0.0.1"}
