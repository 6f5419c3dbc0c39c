"""Reaching a Ray cluster, or starting a private one on this machine."""

from __future__ import annotations

import logging
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import ray

import anon_tune
from anon_tune.driver.packages import brought_modules
from anon_tune.errors import PlacementError
from anon_tune.study.spending import PRICE_LABEL, Node

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints boxes even when told to be silent
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # CSV, JSON and TensorBoard: the ledger has it all
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours stops on SIGTERM too
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # how many may wait is ours to say, see `Slots`
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own state is never read
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # else one report every 2 s
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_TOKEN = secrets.token_hex(32)  # one a process, as Ray keeps the first it saw
_WORKERS = {"RAY_CHDIR_TO_TRIAL_DIR": "0"}  # relative paths mean the same in a worker as in the driver


@contextmanager
def ray_session(*, dashboard: bool) -> Iterator[bool]:
    """Use the cluster that is there, else a private one that ends with the block; yields whether it is private.

    A cluster is there if Ray is initialized already, if ``RAY_ADDRESS`` names one, or inside a Ray
    job. Its workers are given this very package, whatever they have installed.

    Args:
        dashboard: Start the dashboard of a private cluster; Ray Train needs it to clean up after a
            trial that is stopped early.
    """
    if ray.is_initialized():
        with environment(_QUIET):
            yield False
        return
    join = bool(os.environ.get("RAY_ADDRESS"))
    # Given a token, a private cluster writes none into the home folder.
    private = {} if join or "RAY_AUTH_MODE" in os.environ else {"RAY_AUTH_TOKEN": _TOKEN}
    with environment(_QUIET | private):
        if join:
            package = str(Path(anon_tune.__file__).parent)
            workers = {"py_modules": [package, *brought_modules()], "env_vars": _WORKERS}
            ray.init("auto", log_to_driver=False, logging_level=logging.ERROR, runtime_env=workers)
        else:
            ray.init(
                "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=dashboard,
                runtime_env={"env_vars": _WORKERS, "py_modules": brought_modules()},
            )
        try:
            yield not join
        finally:
            ray.shutdown()


def living_resources() -> list[Mapping[str, float]]:
    """Return the resources of every living node, in total."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def living_nodes() -> list[Node]:
    """Return every living node with its resources in total, and its price if it is labelled with one."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [
        Node(node["NodeManagerHostname"], node["Resources"], _price(node.get("Labels", {})))
        for node in nodes
        if node["Alive"]
    ]


def _price(labels: Mapping[str, str]) -> float:
    given = labels.get(PRICE_LABEL, "0")
    try:
        price = float(given)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        rule = f"the label '{PRICE_LABEL}' of a node must be a number of at least 0"
        raise PlacementError("cluster", rule, given, "Mend it in the cluster file")
    return price


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, except where the user has, and take them back at the end."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
