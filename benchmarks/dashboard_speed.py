"""How long a reader of the dashboard waits when a study has 10,000 trials.

Writes the made-up ledger of `ledger_scale.py`, starts ``anon-tune dashboard``, and opens the study's page in Chromium
when the server has read it. Measures the first paint, the time until the plot of the front is there, and the time from
a click on a point until the panel of the trial is filled. Prints JSON.

    python benchmarks/dashboard_speed.py --trials 10000
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from ledger_scale import SPACE, records, written_at_once
from playwright.sync_api import sync_playwright

from anon_tune.ledger.record import report_row, trial_row
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.settings import StudySettings

CLICK = """async ids => {
    const times = [];
    for (const id of ids) {
        const began = performance.now();
        document.getElementById("front-plot").emit("plotly_click", {points: [{customdata: id}]});
        const panel = document.getElementById("panel");
        while (panel.dataset.trial !== id) await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        times.push((performance.now() - began) / 1000);
    }
    return times;
}"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"


def main() -> None:
    """Write a study, serve it, look at it, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--study", type=Path, help="show this study instead of a made-up one")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        study = options.study or _made_up(Path(scratch) / "study", options.trials)
        command = [sys.executable, "-m", "anon_tune", "dashboard", str(study)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        began = time.monotonic()
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        said = time.monotonic() - began
        while b'id="front-plot"' not in (page := urllib.request.urlopen(address).read()):
            assert b'class="failed"' not in page, page
            time.sleep(0.5)
        read = time.monotonic() - began
        seen = _seen(address, options.chromium)
        server.terminate()
        server.wait()
    size = {} if options.study else {"trials": options.trials}
    waited = {"address_s": said, "read_s": read, "page_mb": len(page) / 1e6}
    print(json.dumps({**size, **waited, **seen}, indent=2))


def _made_up(study: Path, num_trials: int) -> Path:
    everything = list(records(num_trials))
    rows = [trial_row(n, t, {} if r is None else report_row(r)) for n, (t, r) in enumerate(everything)]
    freeze_study(study, SearchSpace.load(SPACE), StudySettings(num_trials=num_trials, clips="avatars"))
    written_at_once(study / "ledger", rows)
    return study


def _seen(address: str, chromium: str) -> dict[str, float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(300_000)
        began, used = time.monotonic(), _cpu_s()
        page.goto(address, wait_until="commit")
        page.locator("#front-plot .scatterlayer .point").first.wait_for(state="attached")
        drawn, drawn_cpu = time.monotonic() - began, _cpu_s() - used
        paint = page.evaluate(PAINT)
        page.wait_for_timeout(3000)
        ids = page.evaluate("JSON.parse(document.getElementById('front-plot').dataset.front).slice(0, 20)")
        used = _cpu_s()
        clicks = page.evaluate(CLICK, ids)
        click_cpu = (_cpu_s() - used) / len(clicks)
        browser.close()
    median, longest = statistics.median(clicks), max(clicks)
    seen = {"first_paint_s": paint, "front_drawn_s": drawn, "click_median_s": median, "click_longest_s": longest}
    return {**seen, "front_drawn_cpu_s": drawn_cpu, "click_cpu_s": click_cpu}


def _cpu_s() -> float:
    """Return the CPU seconds of the server and the browser so far, which tell more than time on a busy machine."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            fields = file.read_text().rpartition(")")[2].split()
            found[int(file.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    ours, ticks = {os.getpid()}, 0
    while ours:
        below = {pid for pid, (parent, _) in found.items() if parent in ours}
        ticks += sum(found[pid][1] for pid in below)
        ours = below
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
