"""Checks before the first trial that every node has the packages of other authors that a study needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from anon_tune.attackers import ATTACKERS
from anon_tune.driver.packages import brought_modules
from anon_tune.driver.session import gives_packages
from anon_tune.errors import AnonTuneError, UsageError
from anon_tune.methods import METHODS, find, load_builder
from anon_tune.networks import NETWORKS
from anon_tune.search.space import SearchSpace

_REMEDY = "Bring a whole package with --package, or install it on every node"
_TOO_LATE = (
    "Ray ran in this process already, and its workers do not get the packages that were brought. Call ray.shutdown() "
    "first, or install the package on every node"
)


def check_nodes(space: SearchSpace) -> None:
    """Check that every living node can load what a search space names, with one small task per node.

    No task is started if the space names only methods, attackers and networks of this package. Nodes that join later
    are not checked.

    Raises:
        UsageError: A node lacks a package, or cannot load it.
    """
    named = set(_words(space))
    methods = sorted(named & METHODS.names_of_packages())
    if not methods and not named & (ATTACKERS.names_of_packages() | NETWORKS.names_of_packages()):
        return
    nodes: Sequence[Mapping[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    asked = []
    for node in nodes:
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = _what_is_wrong.options(num_cpus=0, scheduling_strategy=there)
            asked.append((node["NodeManagerHostname"], task.remote(space.tables(), space.where, methods)))
    for host, reference in asked:
        try:
            wrong = ray.get(reference)
        except RayError:  # the node was lost, which trials survive
            continue
        if wrong:
            is_late = bool(brought_modules()) and not gives_packages()
            remedy = _TOO_LATE if is_late else _REMEDY
            raise UsageError(f"node '{host}'", "cannot take this study", cause=wrong, remedy=remedy)


@ray.remote
def _what_is_wrong(tables: Mapping[str, Any], where: str, methods: Sequence[str]) -> str:
    """Return why this node cannot load what a search space names; empty if it can."""
    try:
        for name in methods:
            load_builder(find(name).spec)
        SearchSpace.from_tables(tables, where)
    except AnonTuneError as error:
        return error.reason
    return ""


def _words(space: SearchSpace) -> Iterator[str]:
    """Yield every text that a recipe value of a trial can be; of a method with arguments, only the name."""
    values = [*space.defaults.values(), *space.fixed.values()]
    values += [probe for parameter in space.search.values() for probe in parameter.probes]
    for value in values:
        for text in (value,) if isinstance(value, str) else value if isinstance(value, tuple | list) else ():
            yield str(text).partition(":")[0]
