from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.methods import is_trained
from anon_tune.pareto import ParetoFront
from anon_tune.report import write_report
from anon_tune.report.figures import parallel_chart
from anon_tune.report.training_figures import trial_losses
from anon_tune.trial import Trial, TrialState

NASTY = "<script>alert(1)</script>"
IMPORTANCE = {"leakage": {"penalty.weight": 0.7, NASTY: 0.3}, "accuracy": {"penalty.weight": 1.0}}
SECTIONS = ["front", "gallery", "certificates", "progress", "parallel", "importance"]
SECTIONS += ["rungs", "nodes", "losses", "trials", "failed"]
CHARTS = ["front-plot", "progress-trials", "progress-seconds", "progress-hours", "progress-money", "parallel-plot"]
CHARTS += ["importance-leakage", "importance-accuracy", "rungs-plot", "nodes-plot", "losses-plot"]


class Page(HTMLParser):
    """Parses a page: tags, words by section, styles, chart specs."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str | None, str] = {}
        self.styles, self.scripts, self.specs = "", 0, {}
        self._inside, self._section, self._chart = "", None, ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "section":
            self._section = found["id"]
        if found.get("class") == "chart":
            self._chart = found["id"]
        if tag in ("script", "style"):
            self._inside = tag if found.get("type") is None else "data" if found.get("id") else "spec"

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data):
        if self._inside == "style":
            self.styles += data
        elif self._inside == "script":
            self.scripts += 1
        elif self._inside == "spec":
            self.specs[self._chart] = json.loads(data)
        elif self._inside != "data":
            self.words[self._section] = self.words.get(self._section, "") + data + "\n"

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html(study_directory, tmp_path_factory):
    return write_report(study_directory, IMPORTANCE, tmp_path_factory.mktemp("page") / "page.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def trials(study_directory):
    return Ledger(study_directory / "ledger").trials()


def test_every_section_and_chart_is_there(page):
    assert [s["id"] for s in page.all("section")] == SECTIONS
    assert list(page.specs) == CHARTS
    assert page.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.all("meta")
    assert len(page.all("h1")) == 1 and len(page.all("h2")) == len(SECTIONS)


def test_nothing_is_loaded_from_outside(page):
    links = [a.get(key) for _, a in page.tags for key in ("src", "href", "srcset", "action", "data", "poster")]
    assert {link[:5] for link in links if link is not None and not link.startswith("#")} == {"data:"}
    assert "@import" not in page.styles and "url(" not in page.styles
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "http" not in policy


def test_plotly_is_inlined_once(html, page):
    assert len([s for s in page.all("script") if s.get("type") is None]) == 2
    assert len(re.findall(r"plotly\.js v\d", html)) == 1


def test_data_are_words_and_never_tags(html, page):
    assert NASTY not in html
    assert "postgresql" not in html  # a storage URL may hold a password
    assert "penalty <b>study</b>" in page.words[None]
    assert NASTY in page.words["failed"] and NASTY in page.words["trials"]
    escaped = NASTY.replace("<", "&lt;").replace(">", "&gt;")
    hovers = [h for trace in page.specs["front-plot"]["data"] for h in trace.get("hovertext", [])]
    assert sum(escaped in h for h in hovers) == 1 and not any("<script" in h for h in hovers)
    assert escaped in page.specs["importance-leakage"]["data"][0]["y"]


def test_plotly_knows_every_name_in_every_layout(page, trials):
    panels = [json.loads(chart.json()) for t in trials[:4] if (chart := trial_losses(t)) is not None]
    specs = [*page.specs.values(), *panels, page.specs["front-plot"]["normalized"]]
    assert len(specs) > len(CHARTS) + 1
    for spec in specs:
        assert go.Layout(spec["wide"]) and go.Layout(spec["narrow"])  # it refuses others


def test_the_front_plot_has_every_full_score_and_no_rung_score(page, trials):
    front = ParetoFront.of(trials)
    shown = {name for trace in page.specs["front-plot"]["data"] for name in trace.get("customdata", [])}
    assert shown == {t.id for t in front.trials}
    assert not shown & {t.id for t in trials if t.score is None}
    named = {trace["name"]: trace for trace in page.specs["front-plot"]["data"]}
    trained = {t.id for t in front.members if not t.is_anchor}
    assert set(named["on the front"]["customdata"]) == trained
    assert len(named["Pareto front"]["x"]) == len(front.members)
    labels = [shape["label"]["text"] for shape in page.specs["front-plot"]["wide"]["shapes"]]
    expected = ["leakage floor 31.0%", "leakage ceiling 96.0%", "accuracy floor 20.0%", "accuracy ceiling 95.0%"]
    assert labels == expected


def test_the_switches_of_the_pick_have_ids_by_which_they_keep_the_focus(page):
    switches = [one for one in page.all("input") if one.get("name") == "rule"]
    assert [one["id"] for one in switches] == ["rule-leakage", "rule-accuracy"]


def test_error_bars_are_the_intervals(page, trials):
    trace = next(t for t in page.specs["front-plot"]["data"] if t["name"] == "on the front")
    by_id = {t.id: t for t in trials}
    for at, name in enumerate(trace["customdata"]):
        leakage = by_id[name].score.leakage
        assert trace["x"][at] - trace["error_x"]["arrayminus"][at] == pytest.approx(leakage.low)
        assert trace["x"][at] + trace["error_x"]["array"][at] == pytest.approx(leakage.high)


@pytest.fixture(scope="module")
def verified(verified_directory, tmp_path_factory):
    file = write_report(verified_directory, {}, tmp_path_factory.mktemp("page") / "page.html")
    return Page(file.read_text("utf-8")), ParetoFront.of(Ledger(verified_directory / "ledger").trials())


def test_a_verified_front_is_drawn_by_its_means_with_a_band(verified, page):
    shown, front = verified
    traces = {trace["name"]: trace for trace in shown.specs["front-plot"]["data"]}
    members = [front.scores[t.id] for t in front.members]
    assert traces["Pareto front"]["x"] == [s.leakage.value for s in members]
    trace = traces["on the front"]
    for at, name in enumerate(trace["customdata"]):
        leakage, accuracy = front.scores[name].leakage, front.scores[name].accuracy
        assert (trace["x"][at], trace["y"][at]) == (leakage.value, accuracy.value)
        assert trace["x"][at] - trace["error_x"]["arrayminus"][at] == pytest.approx(leakage.low)
        words = f"mean of 3 repeats, on the front with probability {front.probabilities[name] * 100:.1f}%"
        assert words in trace["hovertext"][at]

    single = {t.id for t in front.trials} - {t.id for t in front.eligible}
    assert set(traces["measured once"]["customdata"]) == single
    assert all(symbol.endswith("-open") for symbol in traces["measured once"]["marker"]["symbol"])
    assert all("measured once" in words for words in traces["measured once"]["hovertext"])
    assert "measured once" not in {trace["name"] for trace in page.specs["front-plot"]["data"]}

    # The band holds the line that half of the repeats reach, and both end where the last repeat's front ends.
    band, half = traces["reached by 10 to 90 % of repeats"], traces["reached by half of repeats"]
    assert band["fill"] == "toself"
    assert min(band["x"]) <= half["x"][0] and max(band["x"]) == half["x"][-1]
    assert min(band["y"]) == half["y"][0] and max(band["y"]) >= max(half["y"])
    assert not any("repeats" in trace["name"] for trace in page.specs["front-plot"]["data"])


def test_a_verified_study_says_so_in_words(verified, page):
    shown, front = verified
    assert "by the means of their repeats" in shown.words[None]
    assert "Means of repeats with new seeds" in shown.words["front"]
    assert shown.words["gallery"].count("Mean of 3 repeats, on the front with probability") == len(front.members)
    for words in ("Repeats", "On the front"):
        assert f"{words}\n" in shown.words["trials"] and f"{words}\n" not in page.words["trials"]
    assert "'anon-tune verify' measures them again" in page.words["front"]


def test_kinds_of_methods_have_symbols_of_their_own(page, trials):
    traces = page.specs["front-plot"]["data"]
    symbols = {
        name: symbol
        for trace in traces
        if "customdata" in trace
        for name, symbol in zip(trace["customdata"], trace["marker"]["symbol"], strict=False)
    }
    assert symbols["0006"] == "cross" and symbols["0007"] == "triangle-up"
    assert {symbols[t.id] for t in trials if t.id in symbols and t.method == "adversarial"} == {"circle"}
    legend = {trace["name"]: trace["marker"]["symbol"] for trace in traces if trace.get("x") == [None]}
    assert legend == {"adversarial": "circle", "trained baseline": "triangle-up", "closed-form": "cross"}
    (words,) = (w for trace in traces for w in trace.get("hovertext", []) if "0006" in w)
    assert "blur:4" in words


def test_a_card_shows_frames_and_readings_of_every_front_trial(page, trials, study_directory):
    front = ParetoFront.of(trials)
    cards = [a["id"] for a in page.all("article")]
    assert cards == [f"trial-{t.id}" for t in front.members]
    images = [a["src"].removeprefix("data:image/png;base64,") for a in page.all("img")]
    pictures = [(study_directory / "trials" / t.id / "preview.png").read_bytes() for t in front.members]
    assert [base64.b64decode(i) for i in images] == pictures
    for trial in front.members:
        for value in (trial.score.leakage.value, trial.score.leakage.low, trial.score.leakage.normalized):
            assert f"{value * 100:.1f}%" in page.words["gallery"]
    for word in ("frame", "clip", "motion", "skin", "hair", "build"):
        assert word in page.words["gallery"]


def test_every_trial_is_in_the_table_and_every_failure_has_its_reason(page, trials):
    for trial in trials:
        assert trial.id in page.words["trials"]
    failed = [t for t in trials if t.state is TrialState.FAILED]
    assert len(failed) == 2
    for trial in failed:
        assert trial.id in page.words["failed"] and trial.reason in page.words["failed"]


def test_rungs_add_up(page, trials):
    bars = {b["name"]: b["x"] for b in page.specs["rungs-plot"]["data"]}
    trained = [t for t in trials if is_trained(t.method)]
    assert len(trained) == len([t for t in trials if not t.is_anchor]) - 1  # one is closed-form
    proposed, first, last = (sum(values) for values in zip(*bars.values(), strict=True))
    assert proposed == len(trained)
    assert first == sum(bool(t.reports) for t in trained) == bars["went on"][0]
    assert last == sum(len(t.reports) == 2 for t in trained) == bars["went on"][1] == bars["complete"][2]
    assert bars["stopped here"] == [0, sum(t.state is TrialState.PRUNED for t in trained), 0]


def test_losses_join_the_rungs_and_share_a_legend_entry(page, trials):
    lines = page.specs["losses-plot"]["data"]
    trial = next(t for t in trials if len(t.reports) == 2 and not t.is_anchor)
    own = [line for line in lines if line["legendgroup"] == trial.id]
    assert [line["showlegend"] for line in own] == [True, False, False, False]
    assert own[0]["x"] == [p.step for r in trial.reports for p in r.curve]
    front = {t.id for t in ParetoFront.of(trials).members}
    assert all((line["visible"] is True) == (line["legendgroup"] in front) for line in lines)


def test_parallel_axes_handle_categories_log_ranges_and_missing_params(page):
    axes = {d["label"]: d for d in page.specs["parallel-plot"]["data"][0]["dimensions"]}
    assert list(axes)[-2:] == ["leakage", "accuracy"]
    assert {"features", "pixels"} < set(axes["penalty.on"]["ticktext"])
    assert "penalty.weight (log)" in axes and "penalty.threshold" in axes
    assert axes["penalty.weight.end"]["ticktext"][0] == "—"


def test_categories_with_the_same_beginning_are_told_apart(trials):
    starts = itertools.cycle(["frame-difference:6", "frame-difference:16"])
    changed = [replace(t, params={**t.params, "anonymizer.start": next(starts)}) for t in trials]
    chart, _ = parallel_chart(ParetoFront.of(changed))
    axis = next(d for d in chart.data[0]["dimensions"] if d["label"] == "anonymizer.start")
    assert set(axis["values"]) == {0, 1}
    assert list(axis["ticktext"]) == ["frame-diff…ce:16", "frame-diff…nce:6"]


def test_an_empty_study_says_not_yet(tmp_path):
    page = Page(write_report(tmp_path).read_text("utf-8"))
    assert [s["id"] for s in page.all("section")] == SECTIONS
    for section in SECTIONS[:-1]:
        assert "Not yet" in page.words[section]
    assert "No trial failed." in page.words["failed"]
    assert page.specs == {}


def test_a_study_that_has_only_begun_is_shown(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.append(Trial("identity", -1, "identity", {}, "0" * 16, TrialState.RUNNING))
    ledger.append(Trial("0000", 0, "adversarial", {"penalty.weight": 1.0}, "1" * 16, TrialState.WAITING))
    page = Page(write_report(tmp_path).read_text("utf-8"))
    assert "1 waiting" in page.words[None]
    assert "Not yet" in page.words["front"] and "too few trials" in page.words["importance"]
    assert list(page.specs) == ["rungs-plot"]


def test_an_unreadable_study_file_is_named(tmp_path):
    (tmp_path / "study.toml").write_bytes(b"\xff = [")
    with pytest.raises(StudyError, match=r"study\.toml: is not valid TOML: .*can't decode byte"):
        write_report(tmp_path)


def test_the_page_replaces_the_old_one_and_leaves_nothing_else(tmp_path):
    (tmp_path / "report.html").write_text("old")
    assert write_report(tmp_path) == tmp_path / "report.html"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere: no study there\. Give the directory"):
        write_report(tmp_path / "nowhere")


def test_a_private_release_shows_its_unit(study_directory, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(study_directory, study)
    assert 'id="privacy"' not in write_report(study).read_text()
    trial = Trial("0001", 1, "dp-noise:4,unit=patch", {}, "f" * 16, TrialState.RUNNING)
    Ledger(study / "ledger").append(trial)
    html = write_report(study).read_text()
    assert "<th>dp-noise:4,unit=patch</th><td>Differentially private release, epsilon 4 at delta 0.0001. Unit: " in html
