"""The files for Ray's cluster launcher agree with Ray's own schema and with their comments."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[3]
FILES = ("aws.yaml", "gcp.yaml", "azure.yaml")
Load = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("name", FILES)
def test_ray_accepts_the_file_and_adds_no_command(load: Load, name: str) -> None:
    written = load(name)
    config = prepare_config(load(name))
    validate_config(config)
    # Azure's own only silences Ubuntu's hint about sudo.
    assert config["initialization_commands"] == (["touch ~/.sudo_as_admin_successful"] if name == "azure.yaml" else [])
    for role in ("head", "worker"):
        # Ray joins the two lists itself; its own defaults would install a nightly build of Ray.
        assert config[f"{role}_setup_commands"] == written["setup_commands"] + written[f"{role}_setup_commands"]
        assert config[f"{role}_start_ray_commands"] == written[f"{role}_start_ray_commands"]


@pytest.mark.parametrize("name", FILES)
def test_gpus_come_from_zero_and_go_when_idle(load: Load, name: str) -> None:
    config = prepare_config(load(name))
    types = config["available_node_types"]
    head, spot, on_demand = types["head"], types["gpu-spot"], types["gpu-on-demand"]
    assert config["head_node_type"] == "head"
    assert head["max_workers"] == 0 and head["resources"] == {"CPU": 0}
    assert 0 < config["idle_timeout_minutes"] <= 10
    for worker in (spot, on_demand):
        assert worker["min_workers"] == 0 < worker["max_workers"] <= config["max_workers"]
        assert worker["resources"]["GPU"] == 1
    # Spot first, and cheaper; the head is never spot.
    assert spot["priority"] > on_demand["priority"]
    prices = [float(kind["labels"]["anon-tune.price-per-hour"]) for kind in (spot, on_demand, head)]
    assert 0 < prices[0] < prices[1] and prices[2] > 0
    assert "spot" in str(spot["node_config"]).lower() and "spot" not in str(head["node_config"]).lower()


@pytest.mark.parametrize(
    ("name", "only_spot"),
    [
        ("aws.yaml", {"InstanceMarketOptions": {"MarketType": "spot"}}),
        ("azure.yaml", {"priority": "Spot", "billingProfile": {"maxPrice": -1}}),
        ("gcp.yaml", {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}),
    ],
)
def test_what_replaces_a_spot_node_differs_in_nothing_that_a_trial_could_see(
    load: Load, name: str, only_spot: dict[str, Any]
) -> None:
    types = load(name)["available_node_types"]
    spot, on_demand = (types[kind]["node_config"] for kind in ("gpu-spot", "gpu-on-demand"))
    inner = {"aws.yaml": None, "azure.yaml": "azure_arm_parameters", "gcp.yaml": "scheduling"}[name]
    options = spot[inner] if inner else spot
    assert {key: options.pop(key) for key in only_spot} == only_spot
    assert spot == on_demand


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_open_but_ssh(load: Load, name: str) -> None:
    config = load(name)
    provider = config["provider"]
    # Ray's own network: among the nodes everything, from outside ssh.
    assert "security_group" not in provider
    assert not any("SecurityGroupIds" in t["node_config"] for t in config["available_node_types"].values())
    assert provider["cache_stopped_nodes"] is False
    starts = [
        command
        for role in ("head", "worker")
        for command in config[f"{role}_start_ray_commands"]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0] and "0.0.0.0" not in (ROOT / "cluster" / name).read_text()
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


@pytest.mark.parametrize("name", FILES)
def test_the_nodes_get_what_installing_needs(load: Load, name: str) -> None:
    config = load(name)
    ours = {remote: local for remote, local in config["file_mounts"].items() if remote.startswith("~/anon_tune/")}
    assert all((ROOT / local).exists() and remote == f"~/anon_tune/{local}" for remote, local in ours.items())
    assert {"anon_tune", "search_spaces", "pyproject.toml", "setup.py", "README.md"} == set(ours.values())
    (install,) = [command for command in config["setup_commands"] if "pip install" in command]
    assert "~/anon_tune" in install and f"ray=={ray.__version__}" in install


def test_the_three_differ_in_their_cloud_alone(load: Load) -> None:
    aws, *others = (load(name) for name in FILES)
    for other in others:
        for key in aws.keys() - {"provider", "available_node_types", "setup_commands", "head_setup_commands"}:
            assert other[key] == aws[key], key


@pytest.mark.parametrize("name", [*FILES, "kuberay-cluster.yaml", "kuberay-job.yaml", "kuberay-studies.yaml"])
def test_a_file_opens_with_what_one_has_to_know(name: str) -> None:
    lines = (ROOT / "cluster" / name).read_text().splitlines()
    header = [line.split()[1] for line in lines if line.startswith("# ") and len(line) > 10 and line[2] != " "]
    wanted = ["Cost", "Before", "Start", "Submit", "Watch", "Fetch", "Stop"]
    if name == "kuberay-studies.yaml":
        wanted = ["Cost", "Before", "Start", "Stop"]
    assert [word for word in header if word in wanted] == wanted
    assert not any("request_resources" in line for line in lines)


@pytest.mark.parametrize("name", ["slurm.sh", "local.sh", "Dockerfile"])
def test_a_script_opens_with_what_one_has_to_know(name: str) -> None:
    text = (ROOT / "cluster" / name).read_text()
    places = [text.find(f"\n# {word} ") for word in ("Cost", "Start", "Watch", "Fetch", "Stop")]
    assert -1 not in places and places == sorted(places)


def test_what_the_checks_need_is_installed_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = " ".join(project["dependencies"]).lower()
    assert "pyyaml" in names and "jsonschema" in names
