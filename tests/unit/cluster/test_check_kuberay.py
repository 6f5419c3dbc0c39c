"""KubeRay's files against its published CRDs, and ``anon-tune cluster check`` on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

ROOT = Path(__file__).parents[3]
Check = Callable[..., tuple[int, str, str]]
Load = Callable[[str], dict[str, Any]]
Put = Callable[[dict[str, Any], str, object], dict[str, Any]]
RAY = "spec.rayClusterSpec"
POD = "template.spec"


@pytest.mark.parametrize(("name", "kind"), [("kuberay-cluster.yaml", "RayCluster"), ("kuberay-job.yaml", "RayJob")])
def test_the_projects_files_are_right(check: Check, load: Load, crds: Path, name: str, kind: str) -> None:
    code, out, err = check(load(name), "--gpus", "1", "--crds", str(crds), "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert said["kind"] == f"KubeRay {kind}" and said["unchecked"] == ""
    head, *groups = said["node_types"]
    assert head["is_head"] and head["cpus"] == 0
    assert [(group["at_least"], group["cpus"], group["gpus"]) for group in groups] == [(0, 4, 1), (0, 4, 1)]
    assert said["max_trials"] == sum(group["at_most"] for group in groups)
    assert said["price_per_hour"]["least"] == head["price_per_hour"] > 0
    assert any("replace-me/anon-tune" in note for note in said["notes"])
    assert any("PersistentVolumeClaim anon-tune-studies" in note for note in said["notes"])


def test_the_job_waits_for_as_many_nodes_as_there_may_be(check: Check, load: Load) -> None:
    job = load("kuberay-job.yaml")
    most = json.loads(check(job, "--gpus", "1", "--format", "json")[1])["max_trials"]
    assert job["spec"]["entrypoint"].endswith(f"--gpus 1 --scale-to {most}")
    assert f"--scale-to {most} " in (ROOT / "cluster" / "kuberay-cluster.yaml").read_text()


def test_a_job_brings_up_what_the_cluster_file_does(load: Load) -> None:
    cluster, job = load("kuberay-cluster.yaml"), load("kuberay-job.yaml")
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    studies = load("kuberay-studies.yaml")
    (volume, _) = cluster["spec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == studies["metadata"]["name"]
    assert studies["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_image_and_the_files_speak_of_one_ray(load: Load) -> None:
    spec = load("kuberay-cluster.yaml")["spec"]
    assert f"ARG RAY_VERSION={spec['rayVersion']}\n" in (ROOT / "cluster" / "Dockerfile").read_text()
    assert spec["rayVersion"] == ray.__version__


def test_pods_may_do_little(load: Load) -> None:
    spec = load("kuberay-cluster.yaml")["spec"]
    assert spec["authOptions"] == {"mode": "token"} and spec["enableInTreeAutoscaling"] is True
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] == 1000
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
    assert all(group["template"]["spec"]["automountServiceAccountToken"] is False for group in spec["workerGroupSpecs"])


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            f"{RAY}.enableInTreeAutoscalin",
            True,
            f"FILE: {RAY}.enableInTreeAutoscalin: unknown key. Did you mean 'enableInTreeAutoscaling'?",
        ),
        (
            f"{RAY}.workerGroupSpecs.0.maxReplica",
            4,
            f"FILE: {RAY}.workerGroupSpecs[0].maxReplica: unknown key. Did you mean 'maxReplicas'?",
        ),
        (
            f"{RAY}.headGroupSpec.{POD}.containers.0.imagePullPolice",
            "x",
            "containers[0].imagePullPolice: unknown key. Did you mean 'imagePullPolicy'?",
        ),
        (f"{RAY}.workerGroupSpecs.0.groupName", None, f"FILE: {RAY}.workerGroupSpecs[0].groupName: missing. Add it."),
        (
            f"{RAY}.workerGroupSpecs.0.minReplicas",
            "none",
            f"FILE: {RAY}.workerGroupSpecs[0].minReplicas: must be a whole number, got 'none'.",
        ),
        (
            f"{RAY}.headGroupSpec.rayStartParams.num-cpus",
            0,
            f"FILE: {RAY}.headGroupSpec.rayStartParams.num-cpus: must be a string, got 0.",
        ),
        (f"{RAY}.authOptions.mode", "on", f"FILE: {RAY}.authOptions.mode: must be one of disabled, token, got 'on'."),
        (
            f"{RAY}.headGroupSpec.{POD}.containers.0.resources.limits.cpu",
            [2],
            "resources.limits.cpu: must be a whole number or a string, got [2].",
        ),
        ("apiVersion", "ray.io/v1beta1", "FILE: apiVersion: must be one of ray.io/v1, got 'ray.io/v1beta1'."),
    ],
)
def test_the_schema_is_said_in_one_line(
    check: Check, load: Load, put: Put, crds: Path, path: str, value: object, line: str
) -> None:
    code, out, err = check(put(load("kuberay-job.yaml"), path, value), "--crds", str(crds))
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert err.startswith("error: FILE: ") and line in err


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("spec.entrypoint", None, "FILE: spec.entrypoint: missing, so nothing would run. Add the command."),
        (
            f"{RAY}.rayVersion",
            "2.40.0",
            f"FILE: {RAY}.rayVersion: must be 2.52 or later, because KubeRay requires that for authOptions, got",
        ),
        (f"{RAY}.authOptions", None, f"FILE: {RAY}.headGroupSpec: starts Ray without token authentication. Add"),
        (
            f"{RAY}.headGroupSpec.{POD}.containers.0.env",
            [{"name": "RAY_AUTH_TOKEN", "value": "hunter2"}],
            f"FILE: {RAY}.headGroupSpec: holds the token itself. Take it from a Secret",
        ),
        (f"{RAY}.headGroupSpec.serviceType", "LoadBalancer", "serviceType: opens Ray beyond the cluster, got LoadBal"),
        (
            f"{RAY}.headGroupSpec.enableIngress",
            True,
            "enableIngress: opens the dashboard, got true. Remove it, and connect through",
        ),
        (
            f"{RAY}.workerGroupSpecs.1.{POD}.volumes",
            [],
            f"FILE: {RAY}.workerGroupSpecs[1]: mounts a volume that its pod does not have, got studies. Known: none.",
        ),
        (
            f"{RAY}.enableInTreeAutoscaling",
            False,
            f"FILE: {RAY}.workerGroupSpecs[0]: no node of this group would ever start. "
            "Add 'enableInTreeAutoscaling: true'",
        ),
        (f"{RAY}.workerGroupSpecs.0.minReplicas", 5, "workerGroupSpecs[0].minReplicas: more than its maxReplicas."),
        (f"{RAY}.headGroupSpec", None, f"FILE: {RAY}: not what KubeRay reads: KeyError 'headGroupSpec'."),
        (
            f"{RAY}.workerGroupSpecs.0.labels",
            {"anon-tune.price-per-hour": "-1"},
            f"FILE: {RAY}: Ray's autoscaler refuses it: ",
        ),
    ],
)
def test_what_the_schema_does_not_see(check: Check, load: Load, put: Put, path: str, value: object, line: str) -> None:
    code, out, err = check(put(load("kuberay-job.yaml"), path, value))
    assert (code, out) == (2, "") and line in err
    assert all(one.startswith("error: FILE: ") for one in err.splitlines())


def test_without_crds_it_says_so(check: Check, load: Load, tmp_path: Path) -> None:
    code, out, _ = check(load("kuberay-job.yaml"), "--gpus", "1")
    assert (
        code == 0
        and "Not checked: KubeRay's schema, because its CRDs are missing. Give their folder with --crds" in out
    )
    code, out, err = check(load("kuberay-job.yaml"), "--crds", str(tmp_path))
    assert (code, out) == (2, "") and f"{tmp_path}: no CustomResourceDefinition of RayJob" in err


def test_a_cluster_that_does_not_scale_has_its_replicas(check: Check, load: Load, put: Put) -> None:
    job = put(load("kuberay-job.yaml"), f"{RAY}.enableInTreeAutoscaling", False)
    for at, replicas in ((0, 3), (1, 1)):
        put(job, f"{RAY}.workerGroupSpecs.{at}.replicas", replicas)
    said = json.loads(check(job, "--gpus", "1", "--format", "json")[1])
    assert [(kind["at_least"], kind["at_most"]) for kind in said["node_types"]] == [(1, 1), (3, 3), (1, 1)]
    assert said["max_trials"] == 4


def test_documents_of_other_kinds_may_stand_beside_it(check: Check, load: Load, crds: Path) -> None:
    documents = [load("kuberay-studies.yaml"), load("kuberay-cluster.yaml")]
    code, out, err = check(yaml.safe_dump_all(documents), "--gpus", "1", "--crds", str(crds))
    assert (code, err) == (0, "") and "must exist already" not in out
    code, _, err = check(yaml.safe_dump_all([load("kuberay-job.yaml"), *documents]))
    assert code == 2 and "must hold one RayJob or one RayCluster, got RayJob, RayCluster." in err
