"""Checks of a cluster file, and the number of trials and the price that a study can expect of its nodes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from anon_tune.cluster.findings import Findings
from anon_tune.cluster.kuberay import KINDS, read_kuberay
from anon_tune.cluster.launcher import read_launcher
from anon_tune.cluster.nodes import Cluster, NodeType
from anon_tune.cluster.slurm import read_slurm
from anon_tune.driver.placement import place
from anon_tune.errors import ClusterFileError, PlacementError
from anon_tune.study.settings import StudySettings

_LAUNCHER = {"cluster_name", "provider", "available_node_types"}
_SUPPORTED = "Give a file of Ray's cluster launcher, a KubeRay RayJob or RayCluster, or an sbatch script"


@dataclass(frozen=True, slots=True)
class NodeFit:
    """How many trials fit on the nodes of one type.

    Attributes:
        node_type: The type of nodes.
        workers: Number of workers that fit on one node.
        trials: Number of whole trials that fit on one node.
        price_per_trial_hour: Cost of one trial per hour, as a study computes it; None if unknown.
    """

    node_type: NodeType
    workers: int
    trials: int
    price_per_trial_hour: float | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a study can expect of a cluster.

    Attributes:
        fits: One entry per node type, in the order of the cluster.
        max_trials: Most trials that run at once, with all nodes up.
        least_per_hour: Price per hour of the nodes that are always up.
        most_per_hour: Price per hour of the most expensive nodes that may be up together.
    """

    fits: tuple[NodeFit, ...]
    max_trials: int
    least_per_hour: float
    most_per_hour: float


def check_file(file: Path, crds: Path | None = None) -> tuple[Cluster | None, list[ClusterFileError]]:
    """Check a cluster file; its kind is found from its content.

    Args:
        file: A file of Ray's cluster launcher or of KubeRay, or a Slurm script.
        crds: Folder with KubeRay's CRDs; None to skip the check against KubeRay's schema.

    Returns:
        What the file says, or None if that is unclear; and every error that was found.

    Raises:
        ClusterFileError: The file cannot be read, or is of no known kind.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ClusterFileError(str(file), "cannot be read", remedy=_SUPPORTED, cause=reason) from None
    findings = Findings(str(file))
    cluster: Cluster | None
    if text.startswith("#!") or "\n#SBATCH" in text:
        if "#SBATCH" not in text:
            raise ClusterFileError(str(file), "is a script without a line that starts with #SBATCH", remedy=_SUPPORTED)
        cluster = read_slurm(text, findings)
    else:
        documents = _load(text, file)
        if any(isinstance(doc, dict) and doc.get("kind") in KINDS for doc in documents):
            cluster = read_kuberay(documents, crds, findings)
        elif len(documents) == 1 and isinstance(documents[0], dict) and documents[0].keys() & _LAUNCHER:
            cluster = read_launcher(documents[0], findings)
        else:
            raise ClusterFileError(str(file), "is not a cluster file of a known kind", remedy=_SUPPORTED)
    return cluster and replace(cluster, notes=tuple(findings.notes)), findings.errors


def expect(cluster: Cluster, settings: StudySettings) -> Expectation:
    """Compute how many trials run at once and what an hour costs.

    Raises:
        PlacementError: A trial does not fit, even with all nodes up.
    """
    settings = settings.model_copy(update={"scale_to": None})  # a study that waits for nodes refuses nothing
    free = settings.model_copy(update={"max_concurrent": None})
    fits = tuple(_fit(node_type, free) for node_type in cluster.node_types)
    workers = {fit.node_type.name: float(fit.workers) for fit in fits}
    prices = {node_type.name: node_type.price_per_hour or 0.0 for node_type in cluster.node_types}
    try:
        placement = place(settings, [dict(node.resources) for node in cluster.largest(workers)])
    except PlacementError as error:
        remedy = "Ask for less per trial, or choose other nodes"
        raise PlacementError(f"{cluster.file}: {error.where}", error.rule, error.got, remedy) from None
    least = sum(node_type.at_least * prices[node_type.name] for node_type in cluster.node_types)
    most = sum(prices[node.name] for node in cluster.largest(prices))
    return Expectation(fits, placement.max_concurrent, least, most)


def _fit(node_type: NodeType, settings: StudySettings) -> NodeFit:
    one = settings.model_copy(update={"workers_per_trial": 1})
    workers = _count(one, node_type)
    price = node_type.price_per_hour
    if price is not None and workers:
        # A trial costs the larger of its shares of a node's CPUs and GPUs, as in the ledger.
        needs = {"CPU": settings.cpus_per_worker, "GPU": settings.gpus_per_worker}
        has = node_type.resources
        price *= settings.workers_per_trial * max(need / has[name] for name, need in needs.items() if has.get(name))
    return NodeFit(node_type, workers, _count(settings, node_type), price if workers else None)


def _count(settings: StudySettings, node_type: NodeType) -> int:
    try:
        return place(settings, [dict(node_type.resources)]).max_concurrent
    except PlacementError:
        return 0


def _load(text: str, file: Path) -> list[object]:
    import yaml

    with suppress(yaml.YAMLError):  # ten times as fast, but the other has better words for what is wrong
        return _documents(yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    try:
        return _documents(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "unreadable"
        raise ClusterFileError(str(file), f"is not valid YAML{where}", cause=problem) from None


def _documents(loaded: Iterable[object]) -> list[object]:
    return [document for document in loaded if document is not None]
