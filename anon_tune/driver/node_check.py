"""Checks before the first trial that every node has the packages and files that a study needs from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from anon_tune.attackers import ATTACKERS
from anon_tune.driver.packages import brought_modules
from anon_tune.driver.reaching import check_head, cluster_address
from anon_tune.driver.session import gives_packages, joins_cluster
from anon_tune.errors import AnonTuneError, DataError, UsageError
from anon_tune.methods import METHODS, find, load_builder
from anon_tune.networks import NETWORKS
from anon_tune.search.space import SearchSpace, weight_files

_REMEDY = "Bring a whole package with --package, or install it on every node"
_TOO_LATE = (
    "Ray ran in this process already, and its workers do not get the packages that were brought. Call ray.shutdown() "
    "first, or install the package on every node"
)


def check_here(space: SearchSpace) -> None:
    """Check what can be checked before clips are made and Ray is joined or started.

    With a cluster, this checks its address. Without one, it checks the files of weights that the search space names;
    the nodes of a cluster may have files that are not on this machine.

    Raises:
        UsageError: ``RAY_ADDRESS`` is no address of a head.
        UnreachableError: No head answers there.
        DataError: A file cannot be read.
    """
    if not joins_cluster():
        _read(weight_files(space))
    elif not ray.is_initialized():
        check_head(cluster_address())


def check_nodes(space: SearchSpace, trains: bool = True) -> None:
    """Check that every living node has the files and can load the packages that a search space names.

    One small task runs on each node, or none if the space names no file and nothing of another package. Nodes that join
    later are not checked.

    Args:
        space: The search space.
        trains: True if anonymizers will be trained. Only training reads files of weights.

    Raises:
        UsageError: A node lacks a package or a file, or cannot load it.
    """
    files = weight_files(space) if trains else {}
    named = set(_words(space))
    methods = sorted(named & METHODS.names_of_packages())
    others = named & (ATTACKERS.names_of_packages() | NETWORKS.names_of_packages())
    if not methods and not others and not files:
        return
    nodes: Sequence[Mapping[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    asked = []
    for node in nodes:
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = _what_is_wrong.options(num_cpus=0, scheduling_strategy=there)
            needed = files if node["Resources"].get("CPU") else {}  # a head that runs no trial
            answer = task.remote(space.tables(), space.where, methods, needed)
            asked.append((node["NodeManagerHostname"], answer))
    for host, reference in asked:
        try:
            wrong, remedy = ray.get(reference)
        except RayError:  # the node was lost, which trials survive
            continue
        if wrong:
            if brought_modules() and not gives_packages():
                remedy = _TOO_LATE
            raise UsageError(f"node '{host}'", "cannot take this study", cause=wrong, remedy=remedy)


@ray.remote
def _what_is_wrong(
    tables: Mapping[str, Any], where: str, methods: Sequence[str], files: Mapping[str, str]
) -> tuple[str, str]:
    """Return why this node cannot load what a search space names, and a remedy; empty if it can."""
    try:
        _read(files)
    except AnonTuneError as error:
        return str(error), "Put the file where every node sees it"
    try:
        for name in methods:
            load_builder(find(name).spec)
        SearchSpace.from_tables(tables, where)
    except AnonTuneError as error:
        return error.reason, _REMEDY
    return "", ""


def _read(files: Mapping[str, str]) -> None:
    if files:  # else torch is not loaded
        from anon_tune.networks.weights import read_pretrained
    for file, name in files.items():
        try:
            read_pretrained(file)
        except DataError as error:
            rule = "must be a file of weights that can be read"
            raise DataError(name, rule, file, error.remedy, cause=error.cause or error.rule) from None


def _words(space: SearchSpace) -> Iterator[str]:
    """Yield every text that a recipe value of a trial can be; of a method with arguments, only the name."""
    values = [*space.defaults.values(), *space.fixed.values()]
    values += [probe for parameter in space.search.values() for probe in parameter.probes]
    for value in values:
        for text in (value,) if isinstance(value, str) else value if isinstance(value, tuple | list) else ():
            yield str(text).partition(":")[0]
