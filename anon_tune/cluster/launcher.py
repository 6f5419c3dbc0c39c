"""Checks of files of Ray's cluster launcher: Ray's own schema, and rules that the schema does not cover."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anon_tune.cluster.findings import Findings, brief, check_schema, did_you_mean, is_world, note_placeholders
from anon_tune.cluster.nodes import Cluster, NodeType, read_price
from anon_tune.cluster.providers import check_node_config

_NEEDED = {
    "aws": ("region",),
    "gcp": ("project_id", "region", "availability_zone"),
    "azure": ("location", "resource_group"),
}
_TOKEN_FILE = ".ray/auth_token"


def read_launcher(config: dict[str, Any], findings: Findings) -> Cluster | None:
    """Check a launcher file; return what it says, or None if errors make it unclear.

    Beyond Ray's schema, this checks what the provider needs, `node_config` as far as that is possible without a cloud,
    the start commands, security rules, and local files.
    """
    if not check_schema(config, _schema(), findings):
        return None
    provider = config["provider"]
    kind = str(provider["type"])
    if kind not in _NEEDED:
        rule = "must be a known provider"
        findings.error(("provider", "type"), rule, kind, did_you_mean(kind, _NEEDED))
        return None
    for name in _NEEDED[kind]:
        if not provider.get(name):
            findings.error(("provider", name), f"missing, and '{kind}' needs it", remedy="Add it")
    for zone in str(provider.get("availability_zone", "")).split(","):
        region = str(provider.get("region", ""))
        if kind in ("aws", "gcp") and zone and not zone.strip().startswith(region):
            findings.error(("provider", "availability_zone"), f"must be in the region {region}", zone.strip())
    _check_mounts(config, findings)
    prepared = _prepare(config, findings)
    if prepared is None:
        return None
    note_placeholders(config, findings)
    try:
        _check_security(provider, findings)
        _check_auth(prepared, kind, findings)
        _check_start(prepared, findings)
        types = _node_types(prepared, kind, findings)
    except (AttributeError, KeyError, TypeError) as error:  # a value of a type that no schema checks
        findings.error((), f"not what '{kind}' reads: {error}")
        return None
    return Cluster(findings.file, f"Ray launcher ({kind})", str(config["cluster_name"]), types, prepared["max_workers"])


def _schema() -> dict[str, Any]:
    import ray.autoscaler

    (folder,) = ray.autoscaler.__path__
    schema = json.loads((Path(folder) / "ray-schema.json").read_text(encoding="utf-8"))
    assert isinstance(schema, dict)
    return schema


def _prepare(config: dict[str, Any], findings: Findings) -> dict[str, Any] | None:
    """Fill in Ray's defaults, as `ray up` does first."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        with _silence():
            prepared: dict[str, Any] = prepare_config(copy.deepcopy(config))
            validate_config(prepared)
    except (ValueError, KeyError, AssertionError, NotImplementedError, RuntimeError) as error:
        findings.error((), f"Ray refuses it: {' '.join(str(error).split())}")
        return None
    except TypeError as error:
        if not findings.errors:  # otherwise an error already names the place
            findings.error((), f"Ray cannot read it: {error}")
        return None
    return prepared


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Suppress Ray's messages about the defaults that it fills in."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _check_security(provider: Mapping[str, Any], findings: Findings) -> None:
    for at, rule in enumerate(provider.get("security_group", {}).get("IpPermissions", [])):
        ranges = [r.get("CidrIp") for r in rule.get("IpRanges", [])]
        ranges += [r.get("CidrIpv6") for r in rule.get("Ipv6Ranges", [])]
        ports = (rule.get("FromPort"), rule.get("ToPort"))
        if any(map(is_world, ranges)) and ports != (22, 22):
            path = ("provider", "security_group", "IpPermissions", at)
            remedy = "Open port 22 only, and connect through ssh, because Ray runs any code it is sent"
            findings.error(path, "opens ports other than ssh to the world", f"ports {ports[0]} to {ports[1]}", remedy)
    # Of the known providers, only these two keep the disks of stopped nodes.
    if provider["type"] in ("aws", "azure") and provider.get("cache_stopped_nodes", True):
        findings.note(("provider", "cache_stopped_nodes"), "not false, so the disks of stopped nodes still cost money")


def _check_auth(config: Mapping[str, Any], kind: str, findings: Findings) -> None:
    auth = config["auth"]
    if not auth.get("ssh_user"):
        findings.error(("auth", "ssh_user"), "missing", remedy="Add the user of the image, such as ubuntu")
    for name in ("ssh_private_key", "ssh_public_key"):
        if name in auth and not Path(auth[name]).expanduser().is_file():
            findings.note(("auth", name), f"no such file yet: {auth[name]}")
    if kind == "aws" and "ssh_private_key" in auth:
        for name, node_type in config["available_node_types"].items():
            if not {"KeyName", "UserData"} & node_type["node_config"].keys():
                path = ("available_node_types", name, "node_config", "KeyName")
                findings.error(path, "missing, but auth.ssh_private_key is set", remedy="Give that key's name in EC2")
    if kind == "azure" and ("ssh_private_key" in auth) != ("ssh_public_key" in auth):
        findings.error(("auth",), "Azure wants both ssh_private_key and ssh_public_key, or neither")


def _check_start(config: Mapping[str, Any], findings: Findings) -> None:
    starts: dict[str, str] = {}
    for role, flag in (("head", "--head"), ("worker", "--address")):
        key = f"{role}_start_ray_commands"
        for at, command in enumerate(config[key]):
            if not re.search(r"\bray start\b", command):
                continue
            starts[role] = command
            if flag not in command:
                findings.error((key, at), f"starts no {role}", brief(command), f"Add {flag}")
            if "RAY_AUTH_MODE=token" not in command:
                remedy = "Write RAY_AUTH_MODE=token before 'ray start'"
                findings.error((key, at), "starts Ray without token authentication", remedy=remedy)
        if role not in starts:
            findings.error((key,), "must contain 'ray start'", remedy="Add one")
    head = starts.get("head", "")
    if re.search(r"--dashboard-host[= ](0\.0\.0\.0|::)", head):
        remedy = "Write --dashboard-host=127.0.0.1, and use 'ray dashboard'"
        findings.error(("head_start_ray_commands",), "opens the dashboard to every network of the head", remedy=remedy)
    workers = len(config["available_node_types"]) > 1
    if head and workers and "--autoscaling-config" not in head:
        remedy = "Add --autoscaling-config=~/ray_bootstrap_config.yaml"
        findings.error(("head_start_ray_commands",), "the head is not told to request nodes", remedy=remedy)
    mounted = any(remote.endswith(_TOKEN_FILE) for remote in config["file_mounts"])
    if starts and not mounted and not all("RAY_AUTH_TOKEN" in command for command in starts.values()):
        remedy = f"Add '~/{_TOKEN_FILE}: ~/{_TOKEN_FILE}'"
        findings.error(("file_mounts",), "no authentication token reaches the nodes", remedy=remedy)


def _check_mounts(config: Mapping[str, Any], findings: Findings) -> None:
    for remote, local in config.get("file_mounts", {}).items():
        if not isinstance(local, str):
            findings.error(("file_mounts", remote), "must be a path", brief(local))
        elif Path(local).expanduser().exists():
            continue
        elif local.startswith("~"):  # a step of the file itself makes it, on the machine that starts the cluster
            findings.note(("file_mounts", remote), f"no such file yet: {local}")
        else:
            remedy = "Paths are relative to the folder in which 'ray up' is run; give one that exists"
            findings.error(("file_mounts", remote), "no such file", local, remedy)


def _node_types(config: Mapping[str, Any], kind: str, findings: Findings) -> tuple[NodeType, ...]:
    types: list[NodeType] = []
    head = config["head_node_type"]
    for name, table in config["available_node_types"].items():
        path = ("available_node_types", name)
        try:
            check_node_config(kind, config["provider"], table["node_config"], findings, (*path, "node_config"))
        except (AttributeError, TypeError) as error:
            findings.error((*path, "node_config"), f"not what '{kind}' reads: {error}")
        if not table["resources"]:
            remedy = "Give its CPU and GPU; without them no node is requested"
            findings.error((*path, "resources"), "empty", remedy=remedy)
        if table["min_workers"] > table["max_workers"]:
            findings.error((*path, "min_workers"), f"more than its max_workers, {table['max_workers']}")
        price = read_price(table.get("labels", {}), findings, (*path, "labels"))
        if name == head:
            types.insert(0, NodeType(name, table["resources"], 1, 1, price, is_head=True))
        if name != head or table["max_workers"]:
            types.append(NodeType(name, table["resources"], table["min_workers"], table["max_workers"], price))
    return tuple(types)
