"""Reaching a Ray cluster, or starting a private one on this machine."""

from __future__ import annotations

import copy
import functools
import gc
import logging
import math
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import ray
from ray.job_config import JobConfig

import anon_tune
from anon_tune.driver.environment import environment
from anon_tune.driver.packages import brought_modules
from anon_tune.driver.reaching import check_head, check_temporary_folder, cluster_address, starting
from anon_tune.errors import PlacementError
from anon_tune.study.spending import PRICE_LABEL, Node

_log = logging.getLogger(__name__)

_RULE = f"the label '{PRICE_LABEL}' of a node must be a number of at least 0"
_REMEDY = "Correct it in the cluster file"
_QUIET = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # else one report every 2 s
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_TOKEN = secrets.token_hex(32)  # one a process, as Ray keeps the first it saw
_WORKERS = {"RAY_CHDIR_TO_TRIAL_DIR": "0"}  # relative paths mean the same in a worker as in the driver
_STARTS = 3
_MODE = "RAY_AUTH_MODE"
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # set by Ray for the driver of a job


def joins_cluster() -> bool:
    """True if `ray_session` uses a cluster that is there already."""
    return ray.is_initialized() or bool(cluster_address())


@contextmanager
def ray_session(*, dashboard: bool) -> Iterator[bool]:
    """Use the cluster that is there, else a private one that ends with the block; yields whether it is private.

    A cluster is there if Ray is initialized already, if ``RAY_ADDRESS`` names one, or inside a Ray
    job. Its workers are given this very package, whatever they have installed.

    Args:
        dashboard: Start the dashboard of a private cluster; Ray Train needs it to clean up after a
            trial that is stopped early.

    Raises:
        UsageError: ``RAY_ADDRESS`` is no address of a head, or the temporary folder's name is too long.
        UnreachableError: No head answers there, or Ray cannot be joined or started.
    """
    if ray.is_initialized():
        with environment(_QUIET):
            yield False
        return
    join = cluster_address()
    if join:
        check_head(join)
    else:
        check_temporary_folder()
    # Given a token, a private cluster writes none into the home folder.
    private = {} if join or _MODE in os.environ else {"RAY_AUTH_TOKEN": _TOKEN}
    # The variables are a copy, because Ray writes into them.
    workers: dict[str, object] = {"env_vars": dict(_WORKERS)}
    workers["worker_process_setup_hook"] = _beginning(is_private=not join)
    if join:
        workers["py_modules"] = [anon_tune.__path__[0], *brought_modules()]
    with environment(_QUIET | private), _outside_job_folder():
        with starting(join):
            _join(workers) if join else _begin(workers, dashboard)
        try:
            yield not join
        finally:
            ray.shutdown()
            if private:
                os.environ.pop(_MODE, None)  # Ray sets it and leaves it; the next session would take it for the user's


def _join(workers: dict[str, object]) -> None:
    ray.init("auto", log_to_driver=False, logging_level=logging.ERROR, runtime_env=workers, job_config=_JobConfig())


def _begin(workers: dict[str, object], dashboard: bool) -> None:
    """Start a private cluster, again if need be.

    Ray looks for free ports first, and another process may take one before Ray does. It also gives up a node that does
    not run within 30 s, which happens on a busy machine.
    """
    for attempt in range(1, _STARTS + 1):
        try:
            ray.init(
                "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=dashboard,
                runtime_env=copy.deepcopy(workers),  # Ray writes into it
                job_config=_JobConfig(),
            )
            return
        except Exception as error:  # Ray raises a plain one for a node that takes too long to start
            ray.shutdown()
            if attempt == _STARTS or isinstance(error, (ValueError, OSError)):
                raise


def gives_packages() -> bool:
    """True if the workers of the current session get the packages that were brought; false if somebody else began it.

    What workers get is settled when a session begins, and Ray has no way to add to it later.
    """
    return "worker_process_setup_hook" in ray.get_runtime_context().runtime_env


class _JobConfig(JobConfig):
    """A job for which Ray adds no folder to its workers' import path; see `_beginning`."""

    def _runtime_env_has_working_dir(self) -> bool:
        return True  # without one, Ray puts the driver's current folder first


def _beginning(is_private: bool) -> Callable[[], None]:
    """Return what a worker runs at its start, so that it imports from where this driver does and from nowhere else.

    On the driver's machine it takes over the driver's path. On other nodes installed packages have places of their
    own; there only the folder of a script and the current folder come along, and only if the driver has them.

    A worker also collects garbage as seldom as a command does, because torch makes many objects while it loads.
    """
    path, here = [os.path.abspath(place) for place in sys.path], os.getcwd()
    home, in_job = os.path.dirname(anon_tune.__path__[0]), _JOB in os.environ
    script = os.path.dirname(os.path.realpath(sys.argv[0]))
    is_last = path[-1:] == [here]

    def settle() -> None:
        # Ray sends this function by value: it needs nothing of this package, which is imported from this path.
        gc.set_threshold(20_000)
        if is_private:
            sys.path.insert(0, home)
            __import__("anon_tune")  # this very package, whatever else is installed
            sys.path[:] = path
            return
        own = os.path.realpath(os.getcwd()) if in_job else here
        if not in_job:
            sys.path[:0] = [place for place in dict.fromkeys((script, here)) if place in path[:-1]]
        elif is_last or here not in path:  # Ray puts a job's folder first
            sys.path[:] = [place for place in sys.path if os.path.realpath(place) != own]
        if is_last:
            sys.path.append(own)

    return settle


@contextmanager
def _outside_job_folder() -> Iterator[None]:
    """Let a job's driver work in an empty folder: nodes that share a machine replace the job's under its feet."""
    if _JOB not in os.environ:
        yield
        return
    here = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        os.chdir(scratch)
        try:
            yield
        finally:
            os.chdir("/")
            with suppress(OSError):  # the folder may be gone
                os.chdir(here)


def living_resources() -> list[Mapping[str, float]]:
    """Return the resources of every living node, in total."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def living_nodes() -> list[Node]:
    """Return every living node with its resources in total, and its price if it is labelled with one.

    A label that is no price counts as 0, and a warning says so once: a node may join while a study runs.
    """
    return [
        Node(name, resources, _warned(label) if (price := _price(label)) is None else price)
        for name, resources, label in _labelled()
    ]


def check_prices() -> None:
    """Check the price of every living node, before a study begins.

    Raises:
        PlacementError: The label of a node is no price.
    """
    for _, _, label in _labelled():
        if _price(label) is None:
            raise PlacementError("cluster", _RULE, label, _REMEDY)


def _labelled() -> Iterator[tuple[str, Mapping[str, float], str]]:
    """Yield name, resources and label of price of every living node."""
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"]:
            yield node["NodeManagerHostname"], node["Resources"], node.get("Labels", {}).get(PRICE_LABEL, "0")


def _price(label: str) -> float | None:
    """Return a price, or None if a label is none."""
    try:
        price = float(label)
    except ValueError:
        return None
    return price if 0 <= price < math.inf else None


@functools.cache  # nodes are listed again whenever one joins
def _warned(label: str) -> float:
    _log.warning("cluster: %s, got %s. Its cost counts as 0. %s.", _RULE, label, _REMEDY)
    return 0.0
