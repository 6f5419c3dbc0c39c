"""``anon-tune cluster check`` on launcher files: the faults that it finds, and what it says about a study."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from anon_tune.cluster.check import check_file
from anon_tune.errors import ClusterFileError

Put = Callable[[dict[str, Any], str, object], dict[str, Any]]
Check = Callable[..., tuple[int, str, str]]
Load = Callable[[str], dict[str, Any]]
ROOT = Path(__file__).parents[3]
SPOT = "available_node_types.gpu-spot"


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml", "azure.yaml"])
def test_the_projects_files_are_right(check: Check, load: Load, name: str) -> None:
    code, out, err = check(load(name), "--gpus", "1", "--format", "json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert [kind["name"] for kind in said["node_types"]] == ["head", "gpu-spot", "gpu-on-demand"]
    head, spot, on_demand = said["node_types"]
    # Each kind may have all four, and together they are no more.
    assert said["max_workers"] == said["max_trials"] == 4
    assert said["price_per_hour"]["least"] == pytest.approx(head["price_per_hour"])
    assert said["price_per_hour"]["most"] == pytest.approx(head["price_per_hour"] + 4 * on_demand["price_per_hour"])
    assert spot["price_per_trial_hour"] == spot["price_per_hour"]
    assert f"--scale-to {said['max_trials']} " in (ROOT / "cluster" / name).read_text()
    assert any("REPLACE-ME" in note for note in said["notes"])
    assert said["unchecked"] == ""


@pytest.mark.parametrize(
    ("name", "path", "value", "line"),
    [
        (
            "aws.yaml",
            "idle_timeout_minuts",
            5,
            "FILE: idle_timeout_minuts: unknown key. Did you mean 'idle_timeout_minutes'?",
        ),
        ("aws.yaml", f"{SPOT}.max_worker", 1, f"FILE: {SPOT}.max_worker: unknown key. Did you mean 'max_workers'?"),
        (
            "aws.yaml",
            f"{SPOT}.resources.GPU",
            "one",
            f"FILE: {SPOT}.resources.GPU: must be a whole number, got 'one'.",
        ),
        ("aws.yaml", "max_workers", None, None),  # Ray's default
        ("aws.yaml", "cluster_name", None, "FILE: cluster_name: missing. Add it."),
        ("aws.yaml", "head_node_type", "haed", "FILE: Ray refuses it: `head_node_type` must be one of"),
        ("aws.yaml", "provider.type", "awz", "FILE: provider.type: must be a known provider, got awz. Did"),
        ("aws.yaml", "provider.region", None, "FILE: provider.region: missing, and 'aws' needs it. Add it."),
        (
            "aws.yaml",
            "provider.region",
            "eu-west-1",
            "FILE: provider.availability_zone: must be in the region eu-west-1",
        ),
        ("gcp.yaml", "provider.project_id", None, "FILE: provider.project_id: missing, and 'gcp' needs it. Add it."),
        ("gcp.yaml", "provider.availability_zone", "us-central1-b", "diskType: must be in the zone of the nodes, got"),
        ("azure.yaml", "provider.location", None, "FILE: provider.location: missing, and 'azure' needs it. Add it."),
        ("aws.yaml", "auth", {"ssh_private_key": "~/none.pem"}, "FILE: auth.ssh_user: missing. Add the user"),
        ("azure.yaml", "auth", {"ssh_user": "u", "ssh_public_key": "x"}, "FILE: auth: Azure wants both ssh_private"),
        (
            "aws.yaml",
            f"{SPOT}.node_config.InstanceTyp",
            "g6.xlarge",
            f"FILE: {SPOT}.node_config.InstanceTyp: unknown to EC2's RunInstances. Did you mean 'InstanceType'?",
        ),
        (
            "aws.yaml",
            f"{SPOT}.node_config.BlockDeviceMappings",
            [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": "100"}}],
            "EC2 would refuse it: Invalid type for parameter BlockDeviceMappings[0].Ebs.VolumeSize",
        ),
        ("aws.yaml", f"{SPOT}.node_config.ImageId", None, f"FILE: {SPOT}.node_config.ImageId: missing, and Ray's own"),
        ("gcp.yaml", f"{SPOT}.node_config.machineType", None, f"FILE: {SPOT}.node_config.machineType: missing. Add"),
        ("gcp.yaml", f"{SPOT}.node_config.disks", None, f"FILE: {SPOT}.node_config.disks: missing, so there is no"),
        (
            "gcp.yaml",
            "available_node_types.gpu-on-demand.node_config.scheduling",
            {},
            "node_config.scheduling.onHostMaintenance: must be TERMINATE, because a machine with a GPU",
        ),
        (
            "gcp.yaml",
            f"{SPOT}.node_config.scheduling.automaticRestart",
            True,
            f"FILE: {SPOT}.node_config.scheduling.automaticRestart: Google refuses it for a spot machine.",
        ),
        (
            "azure.yaml",
            f"{SPOT}.node_config.azure_arm_parameters.vmSise",
            "x",
            "vmSise: not a parameter of Ray's Azure template. Did you mean 'vmSize'?",
        ),
        (
            "azure.yaml",
            f"{SPOT}.node_config.azure_arm_parameters.osDiskSize",
            "big",
            "azure_arm_parameters.osDiskSize: must be of type int, got 'big'.",
        ),
        (
            "azure.yaml",
            f"{SPOT}.node_config.azure_arm_parameters.imageOffer",
            None,
            "azure_arm_parameters.imageOffer: missing, and there is no imageId either. Add it.",
        ),
        (
            "aws.yaml",
            "provider.security_group",
            {"IpPermissions": [{"FromPort": 8265, "ToPort": 8265, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]},
            "FILE: provider.security_group.IpPermissions[0]: opens ports other than ssh to the world, got ports",
        ),
        (
            "aws.yaml",
            "head_start_ray_commands",
            ["RAY_AUTH_MODE=token ray start --head --dashboard-host=0.0.0.0 --autoscaling-config=x"],
            "FILE: head_start_ray_commands: opens the dashboard to every network of the head. Write --dashboard-host=",
        ),
        (
            "aws.yaml",
            "head_start_ray_commands",
            ["RAY_AUTH_MODE=token ray start --head"],
            "FILE: head_start_ray_commands: the head is not told to request nodes. Add --autoscaling-config=",
        ),
        (
            "aws.yaml",
            "worker_start_ray_commands",
            ["ray stop", "ray start --address=$RAY_HEAD_IP:6379"],
            "FILE: worker_start_ray_commands[1]: starts Ray without token authentication. Write RAY_AUTH_MODE=token",
        ),
        ("aws.yaml", "worker_start_ray_commands", [], "FILE: worker_start_ray_commands: must contain 'ray start'."),
        ("aws.yaml", "file_mounts", {}, "FILE: file_mounts: no authentication token reaches the nodes. Add"),
        (
            "aws.yaml",
            "file_mounts",
            {"~/x": "not/there", "~/.ray/auth_token": "~/.ray/auth_token"},
            "FILE: file_mounts.~/x: no such file, got not/there. Paths are relative",
        ),
        (
            "aws.yaml",
            f"{SPOT}.labels",
            {"anon-tune.price-per-hour": "cheap"},
            f"FILE: {SPOT}.labels.anon-tune.price-per-hour: must be a price per hour of 0 or more, got 'cheap'.",
        ),
        ("aws.yaml", f"{SPOT}.resources", {}, f"FILE: {SPOT}.resources: empty. Give its CPU and GPU"),
        ("aws.yaml", f"{SPOT}.min_workers", 9, "Ray refuses it: The specified global `max_workers` is smaller than"),
    ],
)
def test_a_fault_is_one_line(
    check: Check, load: Load, put: Put, name: str, path: str, value: object, line: str | None
) -> None:
    code, out, err = check(put(load(name), path, value), "--gpus", "1")
    if line is None:
        assert (code, err) == (0, "")
        return
    assert code == 2 and out == ""
    found = err.splitlines()
    assert any(line in one for one in found), err
    assert all(one.startswith("error: FILE: ") for one in found)
    assert len(found) == 1 or name == "gcp.yaml" or path in ("auth", "provider.region")  # the same fault of each kind


def test_every_fault_has_its_line(check: Check, load: Load, put: Put) -> None:
    broken = put(put(load("aws.yaml"), "provider.region", None), f"{SPOT}.node_config.Foo", 1)
    code, _, err = check(put(broken, "file_mounts", {}))
    assert code == 2 and len(err.splitlines()) >= 3


@pytest.mark.parametrize(
    ("options", "fitting", "trials"),
    [
        (("--gpus", "0"), 4, 16),
        (("--gpus", "1"), 1, 4),
        (("--gpus", "0.5"), 2, 8),
        (("--gpus", "0.25", "--cpus", "2"), 2, 8),
        (("--gpus", "1", "--workers", "2"), 0, 2),
        (("--gpus", "1", "--workers", "4"), 0, 1),
    ],
)
def test_trials_at_once(check: Check, load: Load, options: tuple[str, ...], fitting: int, trials: int) -> None:
    code, out, _ = check(load("aws.yaml"), *options, "--format", "json")
    said = json.loads(out)
    assert code == 0 and said["max_trials"] == trials
    assert [kind["trials_a_node"] for kind in said["node_types"]] == [0, fitting, fitting]


def test_the_most_counts_the_dearest_nodes_and_the_least_those_always_up(check: Check, load: Load, put: Put) -> None:
    config = put(put(load("aws.yaml"), "available_node_types.gpu-on-demand.max_workers", 1), f"{SPOT}.min_workers", 2)
    price = json.loads(check(config, "--gpus", "1", "--format", "json")[1])["price_per_hour"]
    assert price == {"least": pytest.approx(0.19 + 2 * 0.35), "most": pytest.approx(0.19 + 0.81 + 3 * 0.35)}


@pytest.mark.parametrize("options", [("--gpus", "2"), ("--cpus", "5"), ("--gpus", "1", "--workers", "5")])
def test_a_trial_that_never_fits_is_refused(check: Check, load: Load, options: tuple[str, ...]) -> None:
    code, out, err = check(load("aws.yaml"), *options)
    assert code == 2 and out == "" and len(err.splitlines()) == 1
    assert err.startswith("error: FILE: placement: a trial needs")


def test_a_study_brings_its_own_trials(check: Check, load: Load, tmp_path: Path) -> None:
    settings = {"workers_per_trial": 2, "gpus_per_worker": 0.5, "num_trials": 3, "scale_to": 99}
    tables = {"where": "x.toml", "settings": settings, "space": {"search": {"privacy.weight": {"low": 1, "high": 2}}}}
    (tmp_path / "study.toml").write_text(tomli_w.dumps(tables))
    code, out, err = check(load("aws.yaml"), "--study", str(tmp_path), "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["trial"] == {"workers": 2, "cpus_per_worker": 1.0, "gpus_per_worker": 0.5}
    assert json.loads(out)["max_trials"] == 4
    # That it would wait for nodes does not help where none will do.
    assert check(load("aws.yaml"), "--study", str(tmp_path), "--gpus", "2")[0] == 2
    # What is given counts more.
    assert (
        json.loads(check(load("aws.yaml"), "--study", str(tmp_path), "--gpus", "1", "--format", "json")[1])[
            "max_trials"
        ]
        == 2
    )


def test_a_table_for_people(check: Check, load: Load) -> None:
    code, out, _ = check(load("aws.yaml"), "--gpus", "1")
    assert code == 0
    out = " ".join(out.split())  # a line is folded where the path of the file is long
    assert "Ray launcher (aws), anon-tune" in out
    assert "Trials at a time, at most: 4." in out and "An hour costs 0.19 to 3.43" in out
    assert "still to be filled in: ami-REPLACE-ME" in out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cluster_name: [", "FILE: is not valid YAML at line 1: "),
        ("a: 1", "FILE: is not a cluster file of a known kind. Give a file of Ray's cluster launcher"),
        ("", "FILE: is not a cluster file of a known kind."),
        ("!!python/object/apply:os.getcwd []", "FILE: is not valid YAML at line 1: could not determine a constructor"),
    ],
)
def test_other_files_are_refused(check: Check, text: str, line: str) -> None:
    code, out, err = check(text)
    assert (code, out) == (2, "") and err.startswith(f"error: {line}") and len(err.splitlines()) == 1


def test_a_file_that_is_not_there(check: Check, tmp_path: Path) -> None:
    code, _, err = check(tmp_path / "none.yaml")
    assert code == 2 and err.startswith("error: FILE: cannot be read: No such file or directory.")


def _paths(document: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    pairs: Any = document.items() if isinstance(document, dict) else enumerate(document)  # type: ignore[call-overload]
    for key, value in pairs:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from _paths(value, (*path, key))


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml", "azure.yaml", "kuberay-job.yaml"])
def test_nonsense_anywhere_is_said_and_never_a_crash(load: Load, tmp_path: Path, name: str) -> None:
    document = load(name)
    for number, path in enumerate(_paths(document)):
        changed = copy.deepcopy(document)
        table: Any = changed
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = [None, 0, [1], {"a": 1}, "x"][number % 5]
        (tmp_path / "file").write_text(json.dumps(changed))
        try:
            cluster, errors = check_file(tmp_path / "file")
        except ClusterFileError:
            continue
        assert cluster is not None or errors, path
        assert not any("\n" in str(error) for error in errors)
