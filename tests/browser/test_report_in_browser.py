from __future__ import annotations

import pytest

from anon_tune.ledger import Ledger
from anon_tune.pareto import ParetoFront
from anon_tune.report import write_report
from anon_tune.report.selection import drawn_trials, listed_trials

pytestmark = pytest.mark.browser

IMPORTANCE = {"leakage": {"penalty.weight": 0.7, "penalty.on": 0.3}, "accuracy": {"penalty.weight": 1.0}}
DRAWN = "[...document.querySelectorAll('.chart')].every(c => c.querySelector('.main-svg'))"


@pytest.fixture(scope="module")
def trials(study_directory):
    return Ledger(study_directory / "ledger").trials()


@pytest.fixture(scope="module")
def address(study_directory):
    return write_report(study_directory, IMPORTANCE).as_uri()


class Visits:
    """Opens pages offline, and keeps the requests that they made and the errors that they raised."""

    def __init__(self, browser):
        self.browser, self.contexts, self.requests, self.errors = browser, [], [], []

    def open(self, address, width=1280):
        context = self.browser.new_context(offline=True, viewport={"width": width, "height": 900})
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(300_000)  # on a busy machine
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.goto(address)
        page.evaluate("document.querySelectorAll('.chart').forEach(draw)")  # charts out of sight wait otherwise
        page.wait_for_function(DRAWN)
        return page


@pytest.fixture(scope="module")
def visits(chromium):
    visits = Visits(chromium)
    yield visits
    for context in visits.contexts:
        context.close()


@pytest.fixture(scope="module")
def wide(visits, address):
    """The full report in a wide window."""
    return visits.open(address)


@pytest.fixture(autouse=True)
def nothing_goes_wrong_and_nothing_is_fetched(visits):
    yield
    assert visits.errors == []
    assert [url for url in visits.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in visits.requests if url.startswith("file:")]) == len(visits.contexts)


def test_the_front_plot_shows_every_full_score(wide, trials):
    points = wide.locator("#front-plot .scatterlayer .point")
    assert points.count() == len(ParetoFront.of(trials).trials)


def test_pointing_at_a_trial_shows_its_params(wide, trials, place_of_point):
    nasty = next(t for t in trials if t.number == 4)
    wide.mouse.move(*place_of_point(wide, nasty.id))
    label = wide.locator("#front-plot .hoverlayer .hovertext")
    label.wait_for()
    words = label.text_content()
    assert "0004" in words and "adversarial" in words and "normalized" in words
    assert "penalty.on = <script>alert(1)</script>" in words
    assert f"penalty.threshold = {nasty.params['penalty.threshold']:.4g}" in words


def column(page, index):
    return page.locator(f"#trials-table tbody td:nth-child({index + 1})").all_text_contents()


def test_a_click_on_a_head_sorts_and_a_second_one_turns_the_order(wide):
    before = column(wide, 0)
    button = wide.get_by_role("button", name="Leakage", exact=True)
    for direction, sign in (("ascending", 1), ("descending", -1)):
        button.click()
        cells = column(wide, 4)
        known = [sign * float(cell.rstrip("%")) for cell in cells if cell != "—"]
        assert known == sorted(known) and len(known) > 10
        assert cells[len(known) :] == ["—"] * (len(cells) - len(known))
        assert wide.locator("#trials-table th").nth(4).get_attribute("aria-sort") == direction
    wide.get_by_role("button", name="Trial", exact=True).click()
    assert column(wide, 0) == sorted(before)


def test_the_legend_of_the_losses_switches_a_trial_in_all_four_plots(wide):
    hidden = "document.getElementById('losses-plot')._fullData.filter(t => t.visible === 'legendonly').length"
    before = wide.evaluate(hidden)
    entry = wide.locator("#losses-plot .legendtoggle").first
    entry.scroll_into_view_if_needed()
    entry.click()
    wide.wait_for_function(f"Math.abs({hidden} - {before}) === 4")


def test_a_click_on_a_point_opens_everything_about_the_trial(wide, trials):
    front = [t for t in ParetoFront.of(trials).members if not t.is_anchor]
    points = f"{{points: [{{customdata: '{front[0].id}'}}]}}"
    wide.evaluate(f"document.getElementById('front-plot').emit('plotly_click', {points})")
    panel = wide.locator("#panel")
    panel.locator("h3").wait_for()
    assert f"Trial {front[0].id}" in panel.inner_text() and "node-1" in panel.inner_text()
    assert panel.locator(".looks img").get_attribute("src").startswith("data:image/png")
    wide.keyboard.press("Escape")
    assert panel.is_hidden()


def test_a_preview_is_a_video_that_plays_again_and_again(visits, moving_directory, plays_again_and_again):
    page = visits.open(write_report(moving_directory).as_uri())
    front = [t for t in ParetoFront.of(Ledger(moving_directory / "ledger").trials()).members if not t.is_anchor]
    page.evaluate("id => openTrial(id)", front[0].id)
    video = page.locator("#panel .looks video")
    assert video.get_attribute("src").startswith("data:video/webm")
    plays_again_and_again(video)


def test_the_page_never_scrolls_sideways_on_a_telephone(visits, address):
    page = visits.open(address, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    assert page.locator("#front-plot .scatterlayer .point").count() > 0


def test_charts_are_laid_out_anew_when_the_window_narrows(wide):
    heights = "document.getElementById('losses-plot')._fullLayout.height"
    assert wide.evaluate(f"[{heights}, document.documentElement.scrollWidth]") == [620, 1280]
    wide.set_viewport_size({"width": 400, "height": 900})
    wide.wait_for_function(f"{heights} === 1100")
    wide.wait_for_function("document.documentElement.scrollWidth === 400")


def test_a_verified_front_has_its_band_below_its_points(visits, verified_directory):
    page = visits.open(write_report(verified_directory).as_uri())
    front = ParetoFront.of(Ledger(verified_directory / "ledger").trials())
    assert page.locator("#front-plot .scatterlayer .point").count() == len(front.trials)
    box = page.locator("#front-plot .fills path.js-fill").first.bounding_box()
    assert box["width"] > 100 and box["height"] > 100
    shown = page.locator("#front-plot .legendtext").all_text_contents()
    assert {"reached by 10 to 90 % of repeats", "measured once", "closed-form"} <= set(shown)


def test_a_large_study_is_drawn_and_sorted(visits, large_study, tmp_path):
    page = visits.open(write_report(tmp_path, IMPORTANCE, trials=large_study).as_uri())
    front = ParetoFront.of(large_study)
    assert len(front.trials) > 1000
    assert page.locator("#front-plot .scatterlayer .point").count() == len(drawn_trials(front))
    assert "breaks a constraint" in page.locator("#front-plot .legendtext").all_text_contents()
    assert len(column(page, 0)) == len(listed_trials(large_study, front)) == 1000
    assert "1002 others are left out" in page.inner_text("#trials")
    page.get_by_role("button", name="Accuracy", exact=True).click()
    known = [float(cell.rstrip("%")) for cell in column(page, 6) if cell != "—"]
    assert known == sorted(known) and len(known) > 500


def test_nothing_in_a_hostile_study_runs(visits, hostile_directory):
    trials = Ledger(hostile_directory / "ledger").trials()
    words = [t.reason for t in trials if t.reason]
    assert len(words) > 10
    importance = {name: {words: 0.5 for words in words} for name in ("leakage", "accuracy")}
    page = visits.open(write_report(hostile_directory, importance).as_uri())
    for details in page.locator("details").all():
        details.evaluate("element => element.open = true")
    page.evaluate(
        """() => {
            for (const chart of document.querySelectorAll(".chart")) {
                const traces = (chart._fullData || []).map((t, i) => [t, i]).filter(([t]) => t.x && t.x.length);
                for (const [trace, i] of traces)
                    try { Plotly.Fx.hover(chart, [{curveNumber: i, pointNumber: 0}]); } catch { /* no hover there */ }
            }
            for (const element of document.querySelectorAll("main *"))
                element.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
        }"""
    )
    page.wait_for_timeout(500)
    assert page.evaluate("window.hit") is None
    # Text from data must add no element, no event handler and no address to the page.
    assert page.evaluate("[...document.scripts].filter(s => s.type !== 'application/json').length") == 2
    found = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on|^srcdoc$/.test(a.name)))"
    assert page.evaluate(f"{found}.length") == 0
    assert page.locator("a[href^='javascript']").count() == page.locator("main img[src=x]").count() == 0
    shown = page.inner_text("#failed")
    assert all(" ".join(w.split()) in " ".join(shown.split()) for w in words)


def test_an_empty_study_opens_without_errors(visits, tmp_path):
    page = visits.open(write_report(tmp_path).as_uri(), width=400)
    assert "Not yet" in page.inner_text("#front")
    assert page.evaluate("document.documentElement.scrollWidth") == 400
