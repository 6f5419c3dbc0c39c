"""Checks of KubeRay's RayJob and RayCluster: its published schema, and rules that the schema does not cover."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from anon_tune.cluster.findings import Findings, KeyPath, brief, check_schema, note_placeholders
from anon_tune.cluster.nodes import Cluster, NodeType, read_price
from anon_tune.errors import ClusterFileError

KINDS = ("RayJob", "RayCluster")
_HOW = "Give their folder with --crds or ANON_TUNE_KUBERAY_CRDS; cluster/README.md says where they come from"
_FIRST_WITH_TOKENS = (2, 52)  # KubeRay refuses authOptions of an earlier rayVersion


def read_kuberay(documents: list[Any], crds: Path | None, findings: Findings) -> Cluster | None:
    """Check the documents of a file; return what its RayJob or RayCluster says, or None if errors make it unclear."""
    ours = [(at, doc) for at, doc in enumerate(documents) if isinstance(doc, Mapping) and doc.get("kind") in KINDS]
    if len(ours) != 1:
        kinds = ", ".join(str(doc.get("kind")) for _, doc in ours)
        findings.error((), "must hold one RayJob or one RayCluster", kinds, "Put each into its own file")
        return None
    ((at, document),) = ours
    prefix: KeyPath = (document["kind"],) if len(documents) > 1 else ()
    unchecked = "" if crds else f"KubeRay's schema, because its CRDs are missing. {_HOW}"
    if crds and not check_schema(document, _load_crd(crds, document["kind"]), findings, prefix):
        return None
    note_placeholders(document, findings, prefix)
    spec: Any = document.get("spec")
    path: KeyPath = (*prefix, "spec")
    claims = {_name(doc) for doc in documents[:at] + documents[at + 1 :] if _kind(doc) == "PersistentVolumeClaim"}
    try:
        if document["kind"] == "RayJob":
            _check_job(spec, findings, path)
            spec, path = spec["rayClusterSpec"], (*path, "rayClusterSpec")
        _check_pods(spec, claims, findings, path)
        _check_doors(spec, findings, path)
        types = _node_types(document, spec, findings, path)
    except (KeyError, IndexError, TypeError, AttributeError) as error:  # the schema would have said this more clearly
        findings.error(path, f"not what KubeRay reads: {type(error).__name__} {error}", remedy=_HOW if not crds else "")
        return None
    workers = sum(node_type.at_most for node_type in types if not node_type.is_head)
    return Cluster(findings.file, f"KubeRay {document['kind']}", _name(document), types, workers, unchecked=unchecked)


@cache
def _load_crd(folder: Path, kind: str) -> dict[str, Any]:
    """Return the schema of a kind; it refuses unknown keys, as `kubectl apply` does."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the published files are large
    for file in sorted(folder.glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        if f"kind: {kind}\n" not in text:
            continue
        for crd in yaml.load_all(text, Loader=loader):
            if _kind(crd) == "CustomResourceDefinition" and crd["spec"]["names"]["kind"] == kind:
                (version,) = [version for version in crd["spec"]["versions"] if version["storage"]]
                schema = version["schema"]["openAPIV3Schema"]
                schema["properties"]["apiVersion"]["enum"] = [f"{crd['spec']['group']}/{version['name']}"]
                _close(schema)
                assert isinstance(schema, dict)
                return schema
    raise ClusterFileError(str(folder), f"no CustomResourceDefinition of {kind} in its *.yaml files", remedy=_HOW)


def _close(schema: object) -> None:
    """Make a schema refuse the keys that it does not name."""
    if isinstance(schema, list):
        for part in schema:
            _close(part)
    elif isinstance(schema, dict):
        keeps = schema.get("x-kubernetes-preserve-unknown-fields")
        if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema and not keeps:
            schema["additionalProperties"] = False
        for part in schema.values():
            _close(part)


def _check_job(spec: Mapping[str, Any], findings: Findings, path: KeyPath) -> None:
    if not spec.get("entrypoint"):
        findings.error((*path, "entrypoint"), "missing, so nothing would run", remedy="Add the command")
    if not spec.get("shutdownAfterJobFinishes"):
        findings.note(
            (*path, "shutdownAfterJobFinishes"), "not true, so the nodes stay up and cost money after the job is over"
        )


def _check_pods(spec: Mapping[str, Any], claims: set[str], findings: Findings, path: KeyPath) -> None:
    tokens = (spec.get("authOptions") or {}).get("mode") == "token"
    version = re.match(r"(\d+)\.(\d+)", str(spec.get("rayVersion", "")))
    if tokens and (not version or tuple(map(int, version.groups())) < _FIRST_WITH_TOKENS):
        rule = "must be 2.52 or later, because KubeRay requires that for authOptions"
        findings.error((*path, "rayVersion"), rule, brief(spec.get("rayVersion")), "Write the version of the image")
    for where, group in _groups(spec, path):
        pod = group["template"]["spec"]
        ray = pod["containers"][0]
        env = {entry["name"]: entry.get("value") for entry in ray.get("env", [])}
        if not tokens and not (env.get("RAY_AUTH_MODE") == "token" and "RAY_AUTH_TOKEN" in env):
            remedy = f"Add 'authOptions: {{ mode: token }}' to {'spec' if len(path) < 2 else 'the cluster'}"
            findings.error(where, "starts Ray without token authentication", remedy=remedy)
        if env.get("RAY_AUTH_TOKEN"):
            findings.error(where, "holds the token itself", remedy="Take it from a Secret (secretKeyRef)")
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for container in pod["containers"]:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    remedy = f"Known: {', '.join(sorted(volumes)) or 'none'}"
                    findings.error(where, "mounts a volume that its pod does not have", mount["name"], remedy)
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claim not in claims:
                text = f"the PersistentVolumeClaim {claim} is not in this file and must exist already"
                if not any(text in note for note in findings.notes):
                    findings.note(where, text)


def _check_doors(spec: Mapping[str, Any], findings: Findings, path: KeyPath) -> None:
    head = spec["headGroupSpec"]
    remedy = "Remove it, and connect through 'kubectl port-forward'"
    service = head.get("serviceType") or head.get("headService", {}).get("spec", {}).get("type")
    if service in ("LoadBalancer", "NodePort"):
        findings.error((*path, "headGroupSpec", "serviceType"), "opens Ray beyond the cluster", service, remedy)
    if head.get("enableIngress"):
        findings.error((*path, "headGroupSpec", "enableIngress"), "opens the dashboard", "true", remedy)


def _node_types(
    document: Mapping[str, Any], spec: Mapping[str, Any], findings: Findings, path: KeyPath
) -> tuple[NodeType, ...]:
    """Return the nodes as Ray's autoscaler reads them."""
    import jsonschema
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    metadata = {"name": _name(document), "namespace": document.get("metadata", {}).get("namespace", "default")}
    try:
        config = _derive_autoscaling_config_from_ray_cr(
            {"metadata": metadata, "spec": {"workerGroupSpecs": [], **spec}}
        )
    except (ValueError, AssertionError, jsonschema.ValidationError) as error:
        message = " ".join(getattr(error, "message", str(error)).split())
        findings.error(path, f"Ray's autoscaler refuses it: {message}")
        return ()
    scales = bool(spec.get("enableInTreeAutoscaling"))
    types = []
    for (where, group), (name, table) in zip(_groups(spec, path), config["available_node_types"].items(), strict=True):
        price = read_price(table["labels"], findings, (*where, "labels"))
        is_head = name == config["head_node_type"]
        low, high = table["min_workers"], table["max_workers"]
        if not is_head and not scales:
            low = high = group.get("replicas", low) * group.get("numOfHosts", 1)
            if not high:
                remedy = "Add 'enableInTreeAutoscaling: true', or replicas"
                findings.error(where, "no node of this group would ever start", remedy=remedy)
        if low > high:
            findings.error((*where, "minReplicas"), "more than its maxReplicas")
        low, high = (1, 1) if is_head else (low, high)
        types.append(NodeType(name, table["resources"], low, high, price, is_head))
    return tuple(types)


def _groups(spec: Mapping[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    yield (*path, "headGroupSpec"), spec["headGroupSpec"]
    for at, group in enumerate(spec.get("workerGroupSpecs", [])):
        yield (*path, "workerGroupSpecs", at), group


def _kind(document: object) -> object:
    return document.get("kind") if isinstance(document, Mapping) else None


def _name(document: Mapping[str, Any]) -> str:
    return str(document.get("metadata", {}).get("name", ""))
