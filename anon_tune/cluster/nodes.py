"""The nodes that a cluster file may bring up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from anon_tune.cluster.findings import Findings, KeyPath
from anon_tune.study.spending import PRICE_LABEL


@dataclass(frozen=True, slots=True)
class NodeType:
    """A type of nodes that are all alike.

    Attributes:
        name: Its name in the file.
        resources: Resources of one node, by Ray's names.
        at_least: Number of nodes that are always up.
        at_most: Number of nodes that may be up.
        price_per_hour: Price of one node per hour, in the file's currency; None if the file gives none.
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
        kind: The tool that reads it, such as ``Ray launcher (aws)``.
        name: Name of the cluster; empty if the file gives none.
        node_types: The types of nodes, the head first.
        max_workers: Most nodes besides the head, of all types together.
        notes: What the user of the file still has to fill in or decide.
        unchecked: What could not be checked, and why; empty if everything was checked.
    """

    file: str
    kind: str
    name: str
    node_types: tuple[NodeType, ...]
    max_workers: int
    notes: tuple[str, ...] = ()
    unchecked: str = ""

    def largest(self, value: Mapping[str, float]) -> Iterator[NodeType]:
        """Yield the nodes of the cluster at its largest: those that are always up, then others by falling value."""
        workers = [node_type for node_type in self.node_types if not node_type.is_head]
        for node_type in self.node_types:
            yield from [node_type] * (1 if node_type.is_head else node_type.at_least)
        left = self.max_workers - sum(node_type.at_least for node_type in workers)
        for node_type in sorted(workers, key=lambda node_type: -value[node_type.name]):
            more = min(node_type.at_most - node_type.at_least, left)
            yield from [node_type] * more
            left -= max(more, 0)


def read_price(labels: Mapping[str, object], findings: Findings, path: KeyPath) -> float | None:
    """Return the price per hour that a node's labels give; None if they give none."""
    text = labels.get(PRICE_LABEL)
    if text is None:
        findings.note(path, f"no label {PRICE_LABEL}, so its price counts as 0")
        return None
    try:
        price = float(str(text))
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        findings.error((*path, PRICE_LABEL), "must be a price per hour of 0 or more", repr(text), 'Write "0.81"')
        return None
    return price
