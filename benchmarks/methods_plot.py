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
from pathlib import Path
from typing import Any

import pandas as pd
from picture import save
from plotly.subplots import make_subplots

import anon_tune
from anon_tune.methods import is_trained
from anon_tune.trial import ANCHORS

PRINTED = ("trial", "front_rank", "leakage", "accuracy", "certified_leakage", "certified_accuracy", "seconds")
SIZE = (560, 720)
POSITIONS = ("top center", "bottom center", "middle left", "middle right")


def measured(study: str) -> pd.DataFrame:
    """Return the trials of a study that have a full score, and how much each covers alone."""
    trials = anon_tune.open_study(study).to_pandas().reset_index()
    trials = trials[trials["leakage"].notna()]
    raw = trials[trials["method"] == "identity"].iloc[0]
    less_leakage = (raw["leakage"] - trials["leakage"]).clip(lower=0)
    more_accuracy = (trials["accuracy"] - raw["accuracy_floor"]).clip(lower=0)
    certified = {name: trials.get(name) for name in ("certified_leakage", "certified_accuracy")}
    return trials.assign(covers=less_leakage * more_accuracy, **certified)


def best_of_each(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the best trial of each method, from the lowest leakage to the highest; anchors are left out."""
    chosen = trials[~trials["method"].isin(ANCHORS)]
    chosen = chosen.loc[chosen.groupby("method")["covers"].idxmax()]
    return chosen.sort_values("leakage")


def draw(studies: dict[str, pd.DataFrame], picture: Path) -> None:
    """Draw every measured trial small, the best of each method with its number, and its certificate as a ring."""
    names = [Path(name).name for name in studies]
    figure = make_subplots(rows=1, cols=len(studies), subplot_titles=names, horizontal_spacing=0.06)
    best = [best_of_each(trials) for trials in studies.values()]
    methods = list(dict.fromkeys(pd.concat(best)["method"]))
    for column, (trials, chosen) in enumerate(zip(studies.values(), best, strict=True), start=1):
        place = {"row": 1, "col": column}
        front = trials[trials["front_rank"] == 0].sort_values("leakage")
        steps = {"shape": "hv", "color": "#999", "width": 1}
        figure.add_scatter(
            x=front["leakage"],
            y=front["accuracy"],
            mode="lines",
            line=steps,
            name="front",
            showlegend=column == 1,
            **place,
        )
        figure.add_scatter(**_points(trials, "", "#bbb", 4), showlegend=False, **place)
        anchors = trials[trials["method"].isin(ANCHORS)]
        figure.add_scatter(**_points(anchors, "anchors", "#222", 9), showlegend=column == 1, **place)
        for number, method in enumerate(methods, start=1):
            row = chosen[chosen["method"] == method]
            colour = "#c2410c" if is_trained(method) else "#1d4ed8"
            points = _points(row, str(number), colour, 7)
            points |= {"mode": "markers+text", "textposition": POSITIONS[number % len(POSITIONS)]}
            figure.add_scatter(
                **points | {"name": f"{number} {method}"}, legendgroup=method, showlegend=column == 1, **place
            )
            for one in row[row["certified_leakage"].notna()].itertuples():
                figure.add_scatter(
                    x=[one.leakage, one.certified_leakage],
                    y=[one.accuracy, one.certified_accuracy],
                    mode="lines+markers",
                    line={"color": colour, "width": 1, "dash": "dot"},
                    marker={"size": [0, 11], "symbol": "circle-open", "line": {"width": 1.5}},
                    showlegend=False,
                    **place,
                )
    figure.update_xaxes(title="leakage (lower is better)")
    figure.update_yaxes(title="accuracy", range=[0, 1.08])
    width, height = SIZE[0] * len(studies) + 180, SIZE[1]
    legend = {"tracegroupgap": 0, "font": {"size": 11}}
    figure.update_layout(template="simple_white", width=width, height=height, margin={"t": 40, "b": 50}, legend=legend)
    save(figure, picture, width, height)


def _points(rows: pd.DataFrame, text: str, colour: str, size: int) -> dict[str, Any]:
    return {
        "x": rows["leakage"],
        "y": rows["accuracy"],
        "mode": "markers",
        "name": text,
        "text": text,
        "textfont": {"size": 11, "color": colour},
        "marker": {"color": colour, "size": size},
    }


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
