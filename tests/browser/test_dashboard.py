from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.commands.results import pick_trial
from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.pareto import Limit, ParetoFront
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import TrialState

pytestmark = pytest.mark.browser


INJECT = """() => {
    const script = document.createElement("script");
    script.textContent = "window.hit = 1";
    document.body.append(script);
}"""


ALL_PICKS = """values => values.map(value => {
    const slider = document.getElementById("limit");
    slider.value = value;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    const shown = [...document.querySelectorAll("#picked button")].map(button => button.textContent);
    return [shown, document.getElementById("pick-command").innerText];
})"""


def answer(address: str) -> int:
    try:
        with urllib.request.urlopen(address) as found:
            return found.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def runs(tmp_path_factory, study_directory, verified_directory, hostile_directory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(study_directory, folder / "first")
    shutil.copytree(verified_directory, folder / "deep" / "verified")
    shutil.copytree(hostile_directory, folder / "hostile")
    (folder / "damaged").mkdir()
    (folder / "damaged" / "study.toml").write_bytes(b"\xff = [")
    return folder


@pytest.fixture(scope="module")
def dashboard(runs, new_dashboard):
    started = new_dashboard(runs)
    yield started
    assert started.stop() == (0, "", "")


def open_study(visit, dashboard, name, **settings):
    page = visit(dashboard.address, ready=f"a:text-is('{name}')", **settings)
    page.locator(f"a:text-is('{name}')").click()
    page.locator("#front-plot .scatterlayer .point").first.wait_for()
    return page


def test_only_the_address_with_the_token_answers(dashboard):
    assert answer(dashboard.address) == 200
    for path in (
        "/",
        "/?token=",
        f"/?token={dashboard.token}x",
        "/changes",
        "/assets/page.js",
        "/study/x/media",
        "/none",
    ):
        assert answer(dashboard.place + path) == 403
    request = urllib.request.Request(dashboard.address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request)


def test_a_request_leads_to_no_file_but_those_of_trials(dashboard, visit):
    page = open_study(visit, dashboard, "first")
    key = page.url.split("/study/")[1].split("?")[0]
    for trial in ("../..", "..%2F..%2Fstudy.toml", "none"):
        address = f"{dashboard.place}/study/{key}/media?trial={trial}&kind=still&token={dashboard.token}"
        assert answer(address) == 404
    assert answer(f"{dashboard.place}/study/{key}/media?trial=identity&kind=still&token={dashboard.token}") == 200


def test_every_study_is_listed_and_a_damaged_one_says_so(dashboard, visit):
    page = visit(dashboard.address, ready="text=is not valid TOML")
    names = page.locator("#studies-table tbody tr td a").all_text_contents()
    assert names == ["damaged", "verified", "first", "hostile"]


def test_a_new_trial_appears_without_reloading(dashboard, visit, runs):
    page = open_study(visit, dashboard, "first")
    page.evaluate("window.same = true")
    page.get_by_role("button", name="Accuracy", exact=True).click()
    before = page.locator("#front-plot .scatterlayer .point").count()
    ledger = Ledger(runs / "first" / "ledger")
    model = next(t for t in ledger.trials() if t.score is not None and not t.is_anchor)
    new = replace(model, id="0900", number=900, state=TrialState.COMPLETE)
    ledger.append(new, replace(model.reports[-1], trial_id="0900"))
    page.wait_for_function(f"document.querySelectorAll('#front-plot .scatterlayer .point').length === {before + 1}")
    page.locator("#trials-table button:text-is('0900')").or_(page.locator("#trials-table a:text-is('0900')")).wait_for()
    assert page.evaluate("window.same") is True
    assert page.locator("#trials-table th[aria-sort=ascending]").inner_text().startswith("Accuracy")
    ledger.append(replace(new, id="0901", number=901, state=TrialState.FAILED, reason="a reason of its own"))
    page.wait_for_function("document.getElementById('failed').textContent.includes('a reason of its own')")


def test_a_new_certificate_appears_without_reloading_and_is_joined_with_the_point_of_its_trial(
    dashboard, visit, runs, new_certificate
):
    page = open_study(visit, dashboard, "verified")
    study = StudyDirectory.at(runs / "deep" / "verified")
    front = ParetoFront.of(Ledger(study.ledger).trials())
    trial = next(t for t in front.members if not t.is_anchor)
    one = new_certificate(trial)
    study.certificate(trial.id).write(one.to_json().encode())
    page.locator("#front-plot .legendtext:text-is('certified')").wait_for()
    joined = page.evaluate("""() => {
        const { data } = document.getElementById("front-plot");
        return data[data.findIndex((trace) => trace.name === "certified") - 1].x;
    }""")
    assert joined == [front.scores[trial.id].leakage.value, one.leakage, None]
    assert "LOWER BOUND" in page.inner_text("#certificates")


def test_pointing_at_a_trial_shows_its_picture_and_a_click_opens_everything_about_it(
    dashboard, visit, runs, place_of_point
):
    page = open_study(visit, dashboard, "first")
    front = ParetoFront.of(Ledger(runs / "first" / "ledger").trials())
    trial = next(t for t in front.members if not t.is_anchor)
    place = place_of_point(page, trial.id)
    page.mouse.move(*place)
    page.locator(f"#peek img[src*='trial={trial.id}']").wait_for()
    page.mouse.click(*place)
    panel = page.locator("#panel")
    panel.locator("h3").wait_for()
    words = panel.inner_text()
    assert f"Trial {trial.id}" in words and "node-1" in words and "skin" in words
    for name in trial.params:
        assert name in words
    assert f"anon-tune export {runs / 'first'} --trial {trial.id} -o anonymizer.safetensors" in words
    panel.locator("#panel-losses").scroll_into_view_if_needed()
    panel.locator("#panel-losses .main-svg").first.wait_for()
    page.keyboard.press("Escape")
    assert panel.is_hidden()


def test_the_keyboard_opens_a_trial_walks_the_front_and_returns(dashboard, visit, runs):
    page = open_study(visit, dashboard, "first")
    order = [t.id for t in ParetoFront.of(Ledger(runs / "first" / "ledger").trials()).members]
    link = page.locator(f"#trials-table [data-open='{order[0]}']")
    link.focus()
    page.keyboard.press("Enter")
    for trial_id in order[:3]:
        page.locator(
            f"#panel h3:text-is('{'Anchor' if trial_id in ('identity', 'black-out') else 'Trial'} {trial_id}')"
        ).wait_for()
        page.keyboard.press("ArrowRight")
    page.locator(f"#panel[data-trial='{order[3]}']").wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.open") == order[0]


@pytest.mark.parametrize("name", ["first", "verified"])
def test_the_slider_picks_what_export_picks(dashboard, visit, runs, name):
    place = runs / "first" if name == "first" else runs / "deep" / "verified"
    page = open_study(visit, dashboard, name)
    front = ParetoFront.of(Ledger(place / "ledger").trials())
    for rule, option in zip(Limit, ("--leakage-at-most", "--accuracy-at-least"), strict=True):
        page.locator(f"input[name=rule][value={rule.value}]").check()
        assert page.locator("#picked button").count() == 1
        near = {round(limit + by, 3) for limit, _ in front.pickable.steps(rule) for by in (-0.001, 0, 0.001)}
        values = sorted(near | {0.0, 0.5, 1.0})
        seen = page.evaluate(ALL_PICKS, [f"{value:.3f}" for value in values])
        some = {}
        for value, (shown, command) in zip(values, seen, strict=True):
            words = shlex.split(command)
            assert words[:5] == ["anon-tune", "export", str(place), option, f"{value:.3f}"]
            limits = {"leakage_at_most": None, "accuracy_at_least": None} | {words[3][2:].replace("-", "_"): value}
            try:
                assert shown == [f"trial {front.pick(**limits).id}"]
                some = limits
            except StudyError:
                assert shown == []
        assert pick_trial(place, trial=None, **some) == front.pick(**some)  # `export` reads the whole study


def test_a_preview_is_a_video_that_plays_again_and_again(
    visit, moving_directory, new_dashboard, place_of_point, plays_again_and_again
):
    alone = new_dashboard(moving_directory)
    page = visit(alone.address)
    front = [t for t in ParetoFront.of(Ledger(moving_directory / "ledger").trials()).members if not t.is_anchor]
    page.mouse.click(*place_of_point(page, front[0].id))
    plays_again_and_again(page.locator("#panel .looks video"))
    page.close()
    assert alone.stop() == (0, "", "")


def test_a_press_that_a_change_of_the_study_meets_is_a_click(dashboard, visit, runs):
    page = open_study(visit, dashboard, "first")
    link = page.locator("#trials-table [data-open]").first
    link.hover()
    page.mouse.down()
    ledger = Ledger(runs / "first" / "ledger")
    with page.expect_response(lambda one: "/changes" in one.url and one.json()["sections"] != []):
        ledger.append(replace(ledger.trials()[-1], id="0950", number=950, state=TrialState.FAILED, reason="no reason"))
    page.wait_for_timeout(200)
    assert "0950" not in page.inner_text("#trials-table")
    page.mouse.up()
    page.locator("#panel h3").wait_for()
    page.locator("#trials-table [data-open='0950']").wait_for()


def test_a_right_press_whose_release_goes_to_its_menu_stops_nothing(dashboard, visit):
    page = open_study(visit, dashboard, "first")
    page.mouse.down(button="right")
    page.locator("#rule-accuracy").focus()
    page.evaluate("document.querySelector('#front > .content').dataset.mark = 'old'")
    page.locator("#front > .content:not([data-mark=old])").wait_for()
    assert page.evaluate("document.activeElement.id") == "rule-accuracy"


def test_the_keyboard_stays_where_it_is_when_a_section_is_replaced(dashboard, visit):
    page = open_study(visit, dashboard, "first")
    focused = "[document.activeElement.tagName, document.activeElement.textContent]"
    for section, what in (
        ("trials", "th button:text-is('Leakage')"),
        ("trials", "tbody tr:nth-child(3) [data-open]"),
        ("summary", "details summary"),
        ("gallery", "article:nth-child(2) details summary"),
    ):
        element = page.locator(f"#{section} {what}")
        element.focus()
        if "data-open" not in what:
            page.keyboard.press("Enter")  # sorts the table, or unfolds the details
        said = page.evaluate(focused)
        page.evaluate("id => { document.querySelector(`#${id} > .content`).dataset.mark = 'old'; }", section)
        page.locator(f"#{section} > .content:not([data-mark=old])").wait_for(state="attached")
        assert page.evaluate(focused) == said
    assert page.locator("details[open]").count() == 2
    assert page.locator("#trials-table th[aria-sort]").inner_text().startswith("Leakage")


def test_drawing_a_chart_moves_nothing_on_the_page(dashboard, visit):
    page = open_study(visit, dashboard, "first", width=400)
    place = "[...document.querySelectorAll('section')].map(one => [one.id, one.offsetTop])"
    before = page.evaluate(place)
    assert page.evaluate("document.querySelectorAll('.chart:not(.js-plotly-plot)').length") > 0
    page.evaluate("document.querySelectorAll('.chart').forEach(draw)")
    assert page.evaluate(place) == before


def test_selected_trials_are_marked_in_plot_axes_and_table_alike(dashboard, visit):
    page = open_study(visit, dashboard, "first")
    page.locator("#parallel-plot").scroll_into_view_if_needed()
    page.wait_for_function("document.getElementById('parallel-plot')._fullData")
    page.evaluate("""() => {
        const plot = document.getElementById("parallel-plot"), axis = plot.data[0].dimensions.length - 1;
        const values = [...plot.data[0].dimensions[axis].values].sort();
        return Plotly.restyle(plot, {[`dimensions[${axis}].constraintrange`]: [[values[0], values[4]]]});
    }""")
    page.wait_for_function("document.querySelectorAll('#trials-table tr.selected').length === 5")
    marked = page.locator("#trials-table tr.selected").evaluate_all("rows => rows.map(row => row.dataset.trial).sort()")
    bright = page.evaluate("""() => document.getElementById("front-plot").data.flatMap(trace =>
        (trace.customdata || []).filter((_, at) => trace.marker.opacity[at] === 1)).sort()""")
    lines = page.evaluate("""() => {
        const trace = document.getElementById("parallel-plot").data[0];
        return trace.customdata.filter((_, at) => trace.line.color[at] === 1).sort();
    }""")
    assert marked == bright == lines
    page.get_by_role("button", name="Clear the selection").click()
    assert page.locator("#trials-table tr.selected").count() == 0


def test_normalized_axes_run_from_floor_to_ceiling(dashboard, visit, runs):
    page = open_study(visit, dashboard, "first")
    page.locator("#normalized").check()
    title = "document.getElementById('front-plot')._fullLayout.xaxis.title.text"
    page.wait_for_function(f"{title}.includes('normalized')")
    trials = {t.id: t for t in ParetoFront.of(Ledger(runs / "first" / "ledger").trials()).trials}
    points = page.evaluate("""() => document.getElementById("front-plot").data.flatMap(trace =>
        (trace.customdata || []).map((id, at) => [id, trace.x[at], trace.hovertext[at]]))""")
    assert len(points) == len(trials)
    for trial_id, x, said in points:
        assert x == pytest.approx(trials[trial_id].score.leakage.normalized) and trial_id in said


def test_nothing_in_a_hostile_study_runs_on_the_dashboard(dashboard, visit, runs):
    page = open_study(visit, dashboard, "hostile")
    for trial in Ledger(runs / "hostile" / "ledger").trials():
        page.evaluate("id => openTrial(id)", trial.id)
        page.wait_for_function("id => document.getElementById('panel').dataset.trial === id", arg=trial.id)
        assert trial.id in page.inner_text("#panel h3")
    page.wait_for_timeout(300)
    assert page.evaluate("window.hit") is None
    found = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on|^srcdoc$/.test(a.name)))"
    assert page.evaluate(f"{found}.length") == 0
    # The policy stops even a script that came into the page.
    page.evaluate(INJECT)
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_scrolls_sideways_on_a_telephone(dashboard, visit, scheme):
    page = open_study(visit, dashboard, "first", width=400, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.locator("#trials-table [data-open]").first.click()
    page.locator("#panel h3").wait_for()
    box = page.locator("#panel").bounding_box()
    assert (box["x"], box["width"]) == (0, 400)
    assert page.evaluate("document.getElementById('panel').scrollWidth") <= 400


def test_a_study_that_is_deleted_says_so_and_one_that_begins_appears(visit, tmp_path, study_directory, new_dashboard):
    empty = new_dashboard(tmp_path)
    page = visit(empty.address, ready="text=There is no study in")
    shutil.copytree(study_directory, tmp_path / "new")
    link = page.locator("a:text-is('new')")
    link.wait_for()
    link.click()
    page.locator("#front-plot .scatterlayer .point").first.wait_for()
    shutil.rmtree(tmp_path / "new")
    page.locator("#summary .failed").wait_for()
    page.close()
    assert empty.stop(signal.SIGINT) == (0, "", "")


def test_a_port_in_use_is_one_line(dashboard, runs):
    port = dashboard.place.rpartition(":")[2]
    words = [sys.executable, "-m", "anon_tune", "dashboard", str(runs), "--port", port]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: --port: the port is in use, got {port}. Choose another, or leave --port out to take a free one.\n"
    )


def test_one_study_is_shown_at_once(visit, study_directory, new_dashboard):
    alone = new_dashboard(study_directory)
    page = visit(alone.address)
    page.locator("h1:has-text('penalty <b>study</b>')").wait_for()
    page.close()
    assert alone.stop() == (0, "", "")


def test_several_studies_are_compared_on_one_page_and_a_point_leads_to_its_trial(
    dashboard, visit, runs, place_of_point
):
    page = visit(dashboard.address, ready="input[name=study]")
    for name in ("first", "verified"):
        page.locator(f"tr:has(a:text-is('{name}')) input").check()
    page.get_by_role("button", name="Compare the ticked studies").click()
    page.locator("#fronts-plot .scatterlayer .point").first.wait_for()
    shown = page.locator("#fronts-plot .legendtext").all_text_contents()
    assert {"first", "verified"} <= set(shown)
    assert page.locator("#numbers-table tbody tr").count() == 2
    trial = ParetoFront.of(Ledger(runs / "first" / "ledger").trials()).members[2]
    page.mouse.click(*place_of_point(page, trial.id, "fronts-plot"))
    page.locator(f"#panel[data-trial='{trial.id}']").wait_for()
    assert page.url.startswith(f"{dashboard.place}/study/")
