"""What the recorded tables show: how well rungs, the other seed and the validation split foretell the end.

Prints JSON: Spearman's rank correlations over the recorded runs, the range of full scores, and the seconds of a run.

    python benchmarks/table_agreement.py
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from recorded import HERE, SETS, read_rows, recorded_space, table_file

from anon_tune.errors import AnonTuneError
from anon_tune.pareto import rank_correlation
from anon_tune.trial import ANCHORS

OBJECTIVES = ("leakage", "accuracy")
_FEWEST = 3


def agreement(rows: pd.DataFrame) -> dict[str, Any]:
    """Compare the rows of trained runs, each with its full score."""
    rows = rows[~rows["method"].isin(ANCHORS)]
    full = rows[rows["full"]].set_index(["configuration", "seed"])
    found: dict[str, Any] = {
        "runs": len(full),
        "cpu_s": rows.groupby(["configuration", "seed"])["seconds"].sum().mean(),
    }
    for step in sorted(set(rows[~rows["full"]]["step"])):
        rung = rows[rows["step"] == step].set_index(["configuration", "seed"]).loc[full.index]
        found[f"step {step} and the end"] = _both(rung, full, "validation", "validation")
    found["validation and test split"] = _both(full, full, "validation", "value")
    seeds = [full.xs(seed, level="seed") for seed in sorted(set(full.index.get_level_values("seed")))]
    shared = seeds[0].index.intersection(seeds[-1].index)
    found["one seed and another"] = _both(seeds[0].loc[shared], seeds[-1].loc[shared], "value", "value")
    for name in OBJECTIVES:
        values = full[f"{name}_value"]
        found[f"{name} at the end"] = [float(values.min()), float(values.max())] if len(values) else None
    return found


def _both(first: pd.DataFrame, second: pd.DataFrame, here: str, there: str) -> dict[str, float | None]:
    columns = {name: (first[f"{name}_{here}"].tolist(), second[f"{name}_{there}"].tolist()) for name in OBJECTIVES}
    return {name: rank_correlation(a, b) if len(a) >= _FEWEST else None for name, (a, b) in columns.items()}


def main() -> None:
    """Print what each table shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=str(HERE), help="folder of the tables")
    args = parser.parse_args()
    try:
        space = recorded_space()
        tables = {name: pd.DataFrame(read_rows(table_file(name, Path(args.tables)), space)) for name in SETS}
    except AnonTuneError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(json.dumps({name: agreement(rows) for name, rows in tables.items()}, indent=2))


if __name__ == "__main__":
    main()
