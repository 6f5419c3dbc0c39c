"""Checks of `node_config` that need no cloud. Ray passes `node_config` on to the cloud without a check."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from anon_tune.cluster.findings import Findings, KeyPath, brief, did_you_mean

_RAYS_OWN_AWS = {"SubnetIds"}  # Ray resolves it to a SubnetId of the API
_RAYS_OWN_AZURE = {"availability_zone"}
_LIVE_GPU = re.compile(r"^(a2|a3|a4|a4x|g2|g4)-")  # machine types that come with GPUs
_ARM_TYPES = {"string": str, "securestring": str, "int": int, "bool": bool, "object": dict, "array": list}


def check_node_config(
    kind: str, provider: Mapping[str, Any], node_config: Mapping[str, Any], findings: Findings, path: KeyPath
) -> None:
    """Check the request for one node that a cloud would get."""
    match kind:
        case "aws":
            _check_aws(node_config, findings, path)
        case "gcp":
            _check_gcp(node_config, str(provider.get("availability_zone", "")), findings, path)
        case "azure":
            _check_azure(node_config, findings, path)


def _check_aws(node_config: Mapping[str, Any], findings: Findings, path: KeyPath) -> None:
    for name in ("InstanceType", "ImageId"):
        if name not in node_config and "LaunchTemplate" not in node_config:
            rule = "missing" if name == "InstanceType" else "missing, and Ray's own default is Ubuntu 18.04"
            findings.error((*path, name), rule, remedy="Add it")
    if "SecurityGroupIds" in node_config:
        findings.note(
            (*path, "SecurityGroupIds"), "not checked; look at these rules yourself: only ssh may be open to the world"
        )
    if importlib.util.find_spec("botocore") is None:
        findings.note(path, "not checked against EC2's own interface: pip install boto3")
        return
    from botocore.validate import ParamValidator

    shape = _run_instances()
    asked = {name: value for name, value in node_config.items() if name not in _RAYS_OWN_AWS}
    for name in sorted(asked.keys() - shape.members.keys()):
        findings.error((*path, name), "unknown to EC2's RunInstances", remedy=did_you_mean(name, shape.members))
        del asked[name]
    report = ParamValidator().validate(asked | {"MinCount": 1, "MaxCount": 1}, shape)
    for line in report.generate_report().splitlines():
        findings.error(path, f"EC2 would refuse it: {line}")


@cache  # EC2's interface is large
def _run_instances() -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape


def _check_gcp(node_config: Mapping[str, Any], zone: str, findings: Findings, path: KeyPath) -> None:
    machine = node_config.get("machineType")
    if not machine and not {"acceleratorType", "acceleratorConfig", "sourceInstanceTemplate"} & node_config.keys():
        findings.error((*path, "machineType"), "missing", remedy="Add it")
        return
    if "disks" not in node_config and "sourceInstanceTemplate" not in node_config:
        findings.error((*path, "disks"), "missing, so there is no image to start", remedy="Add a boot disk")
    for at, disk in enumerate(node_config.get("disks", [])):
        kind = str(disk.get("initializeParams", {}).get("diskType", ""))
        if kind.startswith("zones/") and not kind.startswith(f"zones/{zone}/"):
            key = (*path, "disks", at, "initializeParams", "diskType")
            findings.error(key, "must be in the zone of the nodes", kind, f"Write zones/{zone}/diskTypes/pd-balanced")
    scheduling = node_config.get("scheduling", {})
    if not isinstance(scheduling, Mapping):
        findings.error((*path, "scheduling"), "must be a table", brief(scheduling))
        return
    has_gpu = "guestAccelerators" in node_config or _LIVE_GPU.match(str(machine).rpartition("/")[2])
    is_spot = scheduling.get("provisioningModel") == "SPOT" or scheduling.get("preemptible")
    if has_gpu and not is_spot and scheduling.get("onHostMaintenance") != "TERMINATE":
        rule = "must be TERMINATE, because a machine with a GPU cannot be moved while it runs"
        findings.error((*path, "scheduling", "onHostMaintenance"), rule, remedy="Write TERMINATE")
    if is_spot and scheduling.get("automaticRestart"):
        rule = "Google refuses it for a spot machine"
        findings.error((*path, "scheduling", "automaticRestart"), rule, remedy="Leave it out")


def _check_azure(node_config: Mapping[str, Any], findings: Findings, path: KeyPath) -> None:
    import ray.autoscaler

    (folder,) = ray.autoscaler.__path__
    template = Path(folder) / "_private" / "_azure" / "azure-vm-template.json"
    known: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))["parameters"]
    path = (*path, "azure_arm_parameters")
    asked = node_config.get("azure_arm_parameters", {})
    if "vmSize" not in asked:
        findings.error((*path, "vmSize"), "missing", remedy="Add it")
    if "imageId" not in asked:
        for name in ("imagePublisher", "imageOffer", "imageSku", "imageVersion"):
            if name not in asked:
                findings.error((*path, name), "missing, and there is no imageId either", remedy="Add it")
    for name, value in asked.items():
        if name in _RAYS_OWN_AZURE:
            continue
        if name not in known:
            # Azure refuses the whole deployment over one name that the template lacks.
            findings.error((*path, name), "not a parameter of Ray's Azure template", remedy=did_you_mean(name, known))
        elif not isinstance(value, _ARM_TYPES[known[name]["type"].lower()]):
            findings.error((*path, name), f"must be of type {known[name]['type']}", brief(value))
