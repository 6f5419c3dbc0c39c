"""The nodes that a cluster file may bring up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anon_tune.cluster.findings import Findings, KeyPath
from anon_tune.study.spending import PRICE_LABEL


@dataclass(frozen=True, slots=True)
class NodeType:
    """Nodes that are alike.

    Attributes:
        name: As the file calls it.
        resources: Of one node, in Ray's names.
        at_least: Nodes that are always up.
        at_most: Nodes that may be up.
        price_per_hour: Of one node, in whatever currency the file uses; None if it names none.
        is_head: True for the head, of which there is always one.
    """

    name: str
    resources: Mapping[str, float]
    at_least: int
    at_most: int
    price_per_hour: float | None = None
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster file says.

    Attributes:
        file: As the user named it.
        kind: What reads it, such as ``Ray launcher (aws)``.
        name: Of the cluster; empty if the file gives none.
        node_types: The head first.
        max_workers: Nodes beside the head, of all types together.
        notes: What the user of the file still has to fill in or decide.
        unchecked: What could not be checked, and why; empty if all was.
    """

    file: str
    kind: str
    name: str
    node_types: tuple[NodeType, ...]
    max_workers: int
    notes: tuple[str, ...] = ()
    unchecked: str = ""

    def largest(self, value: Mapping[str, float]) -> Iterator[NodeType]:
        """Yield the nodes of the cluster at its largest: those always up, then those with most of some value."""
        workers = [node_type for node_type in self.node_types if not node_type.is_head]
        for node_type in self.node_types:
            yield from [node_type] * (1 if node_type.is_head else node_type.at_least)
        left = self.max_workers - sum(node_type.at_least for node_type in workers)
        for node_type in sorted(workers, key=lambda node_type: -value[node_type.name]):
            more = min(node_type.at_most - node_type.at_least, left)
            yield from [node_type] * more
            left -= max(more, 0)


def read_price(labels: Mapping[str, object], findings: Findings, path: KeyPath) -> float | None:
    """Return the price an hour that a node's labels name; None if they name none."""
    text = labels.get(PRICE_LABEL)
    if text is None:
        findings.note(path, f"no label {PRICE_LABEL}, so its price counts as nothing")
        return None
    try:
        price = float(str(text))
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        findings.error((*path, PRICE_LABEL), "must be a price an hour of 0 or more", repr(text), 'Write "0.81"')
        return None
    return price
