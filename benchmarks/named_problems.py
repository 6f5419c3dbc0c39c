"""The problems that strategies are compared on, by name: those of pymoo and BoTorch, and the recorded tables."""

from __future__ import annotations

import numpy as np
from problems import AnalyticProblem, Floats, Losses, Problem
from recorded import read_rows, recorded_space, table_file
from tabular import Table, TabularProblem

from anon_tune.pareto import hypervolume


def _pymoo(name: str, ideal: Losses, reference: Losses, num_params: int = 6) -> AnalyticProblem:
    from pymoo.problems import get_problem

    if name.startswith("zdt"):
        made = get_problem(name, n_var=num_params)
    else:
        made = get_problem(name, n_var=num_params, n_obj=2)
    low, high = np.asarray(made.xl, dtype=float), np.asarray(made.xu, dtype=float)
    if name.startswith("dtlz"):
        from pymoo.util.ref_dirs import get_reference_directions

        front = made.pareto_front(get_reference_directions("uniform", 2, n_partitions=2000))
    else:
        np.random.seed(0)  # of WFG4 it is a sample
        front = made.pareto_front()

    def function(x: Floats, fraction: float) -> Losses:
        f = made.evaluate(low + np.clip(x, 0, 1) * (high - low))
        return float(f[0]), float(f[1])

    return AnalyticProblem(name, num_params, function, ideal, reference, hypervolume(front, reference))


def _botorch(name: str) -> AnalyticProblem:
    import torch
    from botorch.test_functions import multi_objective_multi_fidelity as functions

    made = getattr(functions, {"branin-currin": "MOMFBraninCurrin", "park": "MOMFPark"}[name])().to(torch.double)

    def function(x: Floats, fraction: float) -> Losses:
        f = made.evaluate_true(torch.tensor([[*x, fraction]], dtype=torch.double))[0]
        return float(f[0]), float(f[1])

    num_params = made.dim - 1
    grid = np.random.default_rng(0).random((4096, num_params))
    rows = made.evaluate_true(torch.tensor(np.c_[grid, np.ones(len(grid))], dtype=torch.double)).numpy()
    ideal = float(rows[:, 0].min()), float(rows[:, 1].min())
    reference = float(made.ref_point[0]), float(made.ref_point[1])
    return AnalyticProblem(name, num_params, function, ideal, reference, float(made.max_hv), own_fidelity=True)


def problem(name: str) -> Problem:
    """Return a problem by its name, one of `PROBLEMS`."""
    match name:
        case "table-avatars" | "table-ixmas":
            space = recorded_space()
            return TabularProblem(name, Table(read_rows(table_file(name.removeprefix("table-")), space), space))
        case "zdt1":
            return _pymoo(name, (0.0, 0.0), (1.1, 6.0))
        case "zdt3":
            return _pymoo(name, (0.0, -0.8), (1.1, 6.0))
        case "dtlz2":
            return _pymoo(name, (0.0, 0.0), (1.5, 1.5))
        case "wfg4":
            return _pymoo(name, (0.0, 0.0), (3.0, 5.0))
        case "branin-currin" | "park":
            return _botorch(name)
    raise ValueError(f"--problems: no problem is called so, got {name}. Choose among {', '.join(PROBLEMS)}.")


PROBLEMS = ("table-avatars", "table-ixmas", "zdt1", "zdt3", "dtlz2", "wfg4", "branin-currin", "park")
