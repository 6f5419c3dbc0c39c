"""`anon-tune table`: what it prints is valid Markdown, LaTeX and CSV, whatever a study holds."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from anon_tune.cli.table_formats import csv_text, latex, markdown
from anon_tune.commands.published_rows import PUBLISHED
from anon_tune.commands.table import Figure, ResultTable, TableRow, result_table
from anon_tune.ledger import Ledger
from anon_tune.recipe import MEASURE_VERSION

NASTY = 'a|b & c% $d$ #e _f_ {g} ~h ^i \\j <b>k</b> [l](m) `n` "o" *p*\nq\x1b[31m'
SHOWN = NASTY.replace("\n", "?").replace("\x1b", "?")


def table(*rows: TableRow) -> ResultTable:
    return ResultTable(rows, (f"note {NASTY}",))


def nasty_row(name: str) -> TableRow:
    figure = Figure(0.5, 0.4, 0.6, 0.1, 0.9)
    return TableRow(name, NASTY, NASTY, figure, figure, 0.5, 0.4, 0.3, "certified", (f"row {NASTY}",))


def grid(markdown_text: str) -> list[list[str]]:
    """Render Markdown to HTML and return the texts of the cells of its one table."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown_text)
    rows: list[list[str]] = []
    for before, token in itertools.pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if before.type in ("th_open", "td_open"):
            parts = token.children or []
            assert {part.type for part in parts} <= {"text", "html_inline", "text_special"}
            rows[-1].append("".join(part.content for part in parts if part.type != "html_inline"))
    return rows


def test_markdown_shows_hostile_names_as_they_are() -> None:
    rows = grid(markdown(table(nasty_row("one"), nasty_row(NASTY))))
    assert [len(row) for row in rows] == [11, 11, 11]
    assert rows[2][:3] == [SHOWN, f"{SHOWN}1", SHOWN]
    assert rows[1][3:] == ["50.0 (40.0, 60.0)", "10.0 to 90.0"] * 2 + ["0.50", "0.400", "0.300", "certified"]


def test_a_table_of_one_study_does_not_name_it() -> None:
    assert [len(row) for row in grid(markdown(table(nasty_row("one"))))] == [10, 10]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_latex_compiles(tmp_path: Path) -> None:
    text = latex(table(nasty_row(NASTY), *(nasty_row(name) for name in ("[x]", "--"))))
    document = f"\\documentclass[twocolumn]{{article}}\n\\begin{{document}}\n{text}\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(document, "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_latex_escapes_every_special_character() -> None:
    text = latex(table(nasty_row(NASTY)))
    cells = next(line for line in text.splitlines() if line.endswith(r"certified \\"))
    assert len(re.findall(r"(?<!\\)&", cells)) == 9  # ten columns
    assert not re.search(r"(?<!\\)[%#_]", cells)
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_csv_keeps_every_value() -> None:
    (row,) = csv.DictReader(io.StringIO(csv_text(table(nasty_row(NASTY)))))
    assert (row["study"], row["notes"]) == (NASTY, f"row {NASTY}")
    assert [row[name] for name in ("accuracy_low", "leakage", "macro_f1")] == ["0.4", "0.5", "0.4"]


def certificate(study: Path, trial: str, **changes: Any) -> dict[str, Any]:
    """Write a certificate of a trial."""
    fingerprint = next(t.fingerprint for t in Ledger(study / "ledger").trials() if t.id == trial)
    per_attribute = {"ap": 0.5, "ap_floor": 0.5, "auc": 0.5, "balanced_accuracy": 0.5, "num_positives": 9}
    link = {"rank1": 0.2, "rank1_floor": 0.1, "mean_ap": 0.3, "mean_ap_floor": 0.1}
    data = {"num_train_clips": 8, "num_validation_clips": 8, "num_test_clips": 8, "clips": "c", "fingerprint": "f"}
    values = {
        "schema": "anon_tune.certificate/1",
        "status": "CERTIFIED",
        "subject": {"kind": "trial", "name": trial, "method": "adversarial", "fingerprint": fingerprint},
        "data": {**data, "attributes": ["a", "b"], "actions": ["x"], "resampled": "group"},
        **{"leakage": 0.7, "leakage_floor": 0.4, "leakage_ceiling": 0.9, "leakage_normalized": 0.6},
        **{"leakage_interval": [0.6, 0.8], "leakage_by_chance": 0.5, "leakage_frozen": 0.4, "distortion": 0.2},
        **{"accuracy": 0.8, "accuracy_floor": 0.2, "accuracy_ceiling": 0.9, "accuracy_interval": [0.7, 0.9]},
        **{"accuracy_frozen": 0.3, "strongest": "frame, fresh, seed 0", "attackers": [], "canaries": []},
        "attributes": [
            {"name": "a", "f1": 0.7, "f1_always_yes": 0.6, **per_attribute},
            {"name": "b", "f1": 0.5, "f1_always_yes": 0.4, **per_attribute},
        ],
        "reconstruction": {"psnr": 20, "ssim": 0.7, "psnr_before": 14, "ssim_before": 0.3, "leakage": 0.6},
        "linkage": {"raw to anonymized": link, "anonymized to anonymized": link},
        **{"confidence": 0.95, "effort": {"max_steps": 9}, "seconds": 1, "versions": {}, "created": "2026"},
        "measure_version": MEASURE_VERSION,
        **changes,
    }
    (study / "audits").mkdir(exist_ok=True)
    (study / "audits" / f"{trial}.json").write_text(json.dumps(values))
    return values


@pytest.fixture
def study(small_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_study, tmp_path / "study"))


def by_trial(found: ResultTable) -> dict[str, TableRow]:
    return {row.trial: row for row in found.rows}


def test_rows_are_those_of_the_front_and_the_anchors(study: Path, say: Callable[..., Any]) -> None:
    rows = by_trial(result_table([study]))
    listed = json.loads(say("front", study, "--format", "json").out)["trials"]
    assert list(rows) == [row["trial"] for row in listed]
    for row in listed:
        ours = rows[row["trial"]]
        assert [ours.leakage.low, ours.leakage.high] == row["leakage_interval"]
        assert (ours.accuracy.value, ours.accuracy.floor) == (row["accuracy"], row["accuracy_floor"])
        assert ours.measured == "study score"


def test_a_certified_trial_has_the_numbers_of_its_certificate(study: Path) -> None:
    certificate(study, "0001")
    row = by_trial(result_table([study]))["0001"]
    assert row.leakage == Figure(0.7, 0.6, 0.8, 0.4, 0.9)
    assert (row.f1, row.f1_always_yes) == (pytest.approx(0.6), pytest.approx(0.5))
    assert (row.measured, row.notes) == ("certified", ())


def test_a_lower_bound_is_footnoted_and_a_refused_certificate_is_not_used(study: Path) -> None:
    certificate(study, "identity", status="LOWER_BOUND", reasons=["too few steps"])
    found = result_table([study])
    row = by_trial(found)["identity"]
    assert (row.measured, row.leakage.value) == ("lower bound", 0.7)
    assert "too few steps." in found.footnotes[0]
    certificate(study, "identity", status="REFUSED")
    row = by_trial(result_table([study]))["identity"]
    assert row.measured == "study score" and row.leakage.value != 0.7
    assert "refused" in row.notes[0]


def test_studies_that_cannot_be_compared_are_printed_with_a_warning(study: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(study, tmp_path / "more" / "study"))
    found = result_table([study, other])
    assert not [note for note in found.notes if "WARNING" in note]
    assert {row.study for row in found.rows} == {str(study), str(other)}  # their folders have the same name
    frozen = other / "study.toml"
    was = frozen.read_text()
    frozen.write_text(re.sub(r'clips_fingerprint = "\w+"', 'clips_fingerprint = "other"', was))
    assert "different clips" in result_table([study, other]).notes[0]
    frozen.write_text(was.replace('"evaluation.num_bootstraps" = 5', '"evaluation.num_bootstraps" = 6'))
    assert "different effort" in result_table([study, other]).notes[0]


def test_published_rows_stand_beside_their_chance_level(study: Path, say: Callable[..., Any]) -> None:
    """Values printed in arXiv:2504.14301, and chance levels that were computed from the label files."""
    code, out, err = say("table", study, "--published", "ucf101-vispr1", "--format", "csv")
    assert code == 0
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(out)) if row["measured"] == "published"}
    ours = rows["penalty B=0.3"]
    names = ("accuracy", "leakage", "macro_f1", "always_yes_f1", "leakage_floor", "leakage_ceiling")
    assert [float(ours[name]) for name in names] == [0.7826, 0.5756, 0.468, 0.363, 0.248, 0.6441]
    assert float(ours["leakage_normalized"]) == pytest.approx((57.56 - 24.8) / (64.41 - 24.8), abs=1e-6)
    assert "no gradient" in ours["notes"] and "0.62" in ours["notes"]
    assert "cannot be compared" in err.replace("\n", " ")
    pa = [row for row in result_table([], "pa-hmdb51").rows if row.method == "raw"]
    assert pa[0].leakage.floor == 0.69 and str(pa[0].leakage_normalized) == "nan"
    (swapped,) = [row for row in result_table([], "vp-hmdb51").rows if row.method == "downsample 2x"]
    assert (swapped.leakage.value, swapped.f1) == (pytest.approx(0.7135), 0.601)
    assert "exchanged" in swapped.notes[0]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_table_is_printed_with_its_notes(study: Path, say: Callable[..., Any], name: str) -> None:
    code, out, _ = say("table", study, "--published", name)
    rows = grid(out)
    assert code == 0 and {len(row) for row in rows} == {11}
    assert sum(row[-1] == "published" for row in rows) == len(PUBLISHED[name].rows)
    assert "always-yes F1 are not in the paper" in out


def test_a_folder_without_a_study_is_one_line(tmp_path: Path, say: Callable[..., Any]) -> None:
    code, out, err = say("table", tmp_path)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "no study there" in err
