"""All methods of finished studies on one plot, a panel a study, and the best trial of each method as JSON lines.

The best trial of a method is the one that alone covers most between the leakage of raw clips and the accuracy of
guessing. With ``--options``, only the options are printed by which `anon-tune certify` audits these trials. The picture
needs Chromium on the path.

    python benchmarks/methods_plot.py runs/methods runs/methods-ixmas > runs/methods.jsonl
    anon-tune certify runs/methods --seeds 1 $(python benchmarks/methods_plot.py runs/methods --options)
    python benchmarks/methods_plot.py runs/methods runs/methods-ixmas --figure docs/pictures/methods.png
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from PIL import Image
from playwright.sync_api import sync_playwright
from plotly.subplots import make_subplots

import anon_tune
from anon_tune.methods import is_trained

PRINTED = ("trial", "front_rank", "leakage", "accuracy", "certified_leakage", "certified_accuracy", "seconds")
SIZE = (680, 640)


def measured(study: str) -> pd.DataFrame:
    """Return the trials of a study that have a full score, and how much each covers alone."""
    trials = anon_tune.open_study(study).to_pandas().reset_index()
    trials = trials[trials["leakage"].notna()]
    raw = trials[trials["method"] == "identity"].iloc[0]
    gains = (raw["leakage"] - trials["leakage"]).clip(lower=0) * (trials["accuracy"] - raw["accuracy_floor"]).clip(
        lower=0
    )
    certified = {name: trials.get(name) for name in ("certified_leakage", "certified_accuracy")}
    return trials.assign(covers=gains, **certified)


def best_of_each(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the best trial of each method, from the lowest leakage to the highest; anchors are left out."""
    chosen = trials[~trials["method"].isin(["identity", "black-out"])]
    chosen = chosen.loc[chosen.groupby("method")["covers"].idxmax()]
    return chosen.sort_values("leakage")


def draw(studies: dict[str, pd.DataFrame], picture: Path) -> None:
    """Draw every measured trial small, the best of each method with its name, and its certificate as a ring."""
    names = [Path(name).name for name in studies]
    figure = make_subplots(rows=1, cols=len(studies), subplot_titles=names, horizontal_spacing=0.06)
    for column, trials in enumerate(studies.values(), start=1):
        front = trials[trials["front_rank"] == 0].sort_values("leakage")
        figure.add_scatter(
            x=front["leakage"],
            y=front["accuracy"],
            mode="lines",
            line={"shape": "hv", "color": "#999"},
            row=1,
            col=column,
        )
        figure.add_scatter(**_points(trials, "#bbb", 5), row=1, col=column)
        anchors = trials[trials["method"].isin(["identity", "black-out"])]
        best = best_of_each(trials)
        learned = best["method"].map(is_trained)
        for rows, colour in ((anchors, "#222"), (best[learned], "#c2410c"), (best[~learned], "#1d4ed8")):
            figure.add_scatter(**_points(rows, colour, 8, named=True), row=1, col=column)
            for row in rows[rows["certified_leakage"].notna()].itertuples():
                figure.add_scatter(
                    x=[row.leakage, row.certified_leakage],
                    y=[row.accuracy, row.certified_accuracy],
                    mode="lines+markers",
                    line={"color": colour, "width": 1, "dash": "dot"},
                    marker={"size": [0, 13], "symbol": "circle-open", "line": {"width": 1.5}},
                    row=1,
                    col=column,
                )
    figure.update_xaxes(title="leakage (lower is better)")
    figure.update_yaxes(title="accuracy", range=[0, 1.08])
    width, height = SIZE[0] * len(studies), SIZE[1]
    figure.update_layout(template="simple_white", width=width, height=height, showlegend=False, margin={"t": 40})
    _save(figure, picture, width, height)


def _points(rows: pd.DataFrame, colour: str, size: int, named: bool = False) -> dict[str, Any]:
    return {
        "x": rows["leakage"],
        "y": rows["accuracy"],
        "mode": "markers+text" if named else "markers",
        "text": rows["method"],
        "textposition": "top center",
        "textfont": {"size": 10, "color": colour},
        "marker": {"color": colour, "size": size},
    }


def _save(figure: go.Figure, picture: Path, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as browsers:
        page_file, shot = Path(folder) / "plot.html", Path(folder) / "plot.png"
        figure.write_html(page_file)
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width + 20, "height": height + 20})
        page.goto(page_file.as_uri())
        page.locator("svg.main-svg").first.wait_for(timeout=120_000)
        page.locator(".plot-container").first.screenshot(path=shot)
        browser.close()
        with Image.open(shot) as image:
            image.convert("RGB").quantize(64).save(picture, optimize=True)


def main() -> None:
    """Print the best trial of each method, and draw the plot if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", help="study directories")
    parser.add_argument("--options", action="store_true", help="print options of certify that name the best trials")
    parser.add_argument("--figure", type=Path, help="PNG file to draw into")
    args = parser.parse_args()
    studies = {name: measured(name) for name in args.studies}
    for name, trials in studies.items():
        best = best_of_each(trials)
        if args.options:
            print(" ".join(f"--trial {trial}" for trial in best["trial"]))
        else:
            shown = best.assign(study=name)[["study", "method", *PRINTED]]
            print(shown.to_json(orient="records", lines=True, double_precision=4), end="")
    if args.figure:
        draw(studies, args.figure)


if __name__ == "__main__":
    main()
