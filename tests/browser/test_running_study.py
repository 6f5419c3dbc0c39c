"""A study that really runs, followed in a browser from before its start to its end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import tomli_w

pytestmark = [pytest.mark.browser, pytest.mark.cluster]


@pytest.fixture
def running(tmp_path, avatars, tiny_params):
    """Starts a study of two trials with two rungs in ``runs/first``; it is ended after the test."""
    space = {
        "study": {"num_trials": 2, "rungs": {"min_steps": 3, "factor": 2}},
        "fixed": tiny_params,
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0}},
    }
    (tmp_path / "space.toml").write_text(tomli_w.dumps(space))
    words = ["study", tmp_path / "space.toml", "--clips", avatars.directory, "--out", tmp_path / "runs" / "first"]
    command = [sys.executable, "-m", "anon_tune", *map(str, words), "--max-concurrent", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    started = []

    def start():
        with open(tmp_path / "study.log", "wb") as log:
            environment["RAY_AUTH_TOKEN"] = "a" * 32  # so that none is written into the home folder
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
        return started[0]

    yield start
    for process in started:
        process.terminate()
        process.wait()


def test_a_running_study_is_followed_without_reloading(new_dashboard, visit, running, tmp_path):
    (tmp_path / "runs").mkdir()
    dashboard = new_dashboard(tmp_path / "runs")
    page = visit(dashboard.address, ready="text=There is no study in")
    page.set_default_timeout(600_000)  # Ray takes its time on a busy machine
    study = running()
    page.locator("a:text-is('first')").click()
    page.locator("#rungs").wait_for(state="attached")  # a click does not wait for the next page
    page.evaluate("""() => {
        window.said = [];
        const note = () => {
            const rows = document.querySelectorAll("#trials-table tbody tr").length;
            said.push([document.getElementById("summary").innerText, rows, document.getElementById("rungs").innerText]);
        };
        new MutationObserver(note).observe(document.body, {childList: true, subtree: true});
    }""")
    page.locator("#summary >> text=Finished: 2 of 2 trials are over.").wait_for()
    assert study.wait() == 0, (tmp_path / "study.log").read_text()
    page.wait_for_function("document.querySelectorAll('#trials-table tbody tr').length === 4")
    said = page.evaluate("window.said")  # a page that was loaded again would have none
    assert any("Running: " in words and "Under way: " in words for words, _, _ in said)
    assert any(" left" in words for words, _, _ in said)
    assert len({rows for _, rows, _ in said}) > 1
    assert page.locator("#rungs-plot").count() == 1
    page.locator("#trials-table [data-open='identity']").click()
    page.locator("#panel .looks video").wait_for(state="attached")
    page.close()
    assert dashboard.stop() == (0, "", "")
