"""The files for Ray's cluster launcher, against Ray's own schema and against what they promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[3]
AWS = ROOT / "cluster" / "aws.yaml"


@pytest.fixture
def aws() -> dict[str, Any]:
    loaded = yaml.safe_load(AWS.read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_ray_accepts_the_file_and_adds_no_command(aws: dict[str, Any]) -> None:
    config = prepare_config(aws)
    validate_config(config)
    assert config["initialization_commands"] == []
    for role in ("head", "worker"):
        # Ray joins the two lists itself; its own defaults would install a nightly build of Ray.
        assert config[f"{role}_setup_commands"] == aws["setup_commands"] + aws[f"{role}_setup_commands"]
        assert config[f"{role}_start_ray_commands"] == aws[f"{role}_start_ray_commands"]


@pytest.mark.parametrize("path", [("idle_timeout_minuts",), ("available_node_types", "gpu-spot", "max_worker")])
def test_the_schema_would_catch_a_typo(aws: dict[str, Any], path: tuple[str, ...]) -> None:
    *parents, leaf = path
    table = aws
    for name in parents:
        table = table[name]
    table[leaf] = 1
    with pytest.raises(jsonschema.ValidationError, match=leaf):
        validate_config(prepare_config(aws))


def test_gpus_come_from_zero_and_go_when_idle(aws: dict[str, Any]) -> None:
    config = prepare_config(aws)
    types = config["available_node_types"]
    head, spot, on_demand = types["head"], types["gpu-spot"], types["gpu-on-demand"]
    assert config["head_node_type"] == "head"
    assert head["max_workers"] == 0 and head["resources"] == {"CPU": 0}
    assert 0 < config["idle_timeout_minutes"] <= 10
    for worker in (spot, on_demand):
        assert worker["min_workers"] == 0 < worker["max_workers"] <= config["max_workers"]
        assert worker["resources"]["GPU"] == 1
    # Spot first; what replaces it differs in nothing that a trial could see.
    assert spot["priority"] > on_demand["priority"]
    market = spot["node_config"].pop("InstanceMarketOptions")
    assert market == {"MarketType": "spot"} and spot["node_config"] == on_demand["node_config"]
    assert "InstanceMarketOptions" not in head["node_config"]


def test_nothing_is_open_but_ssh(aws: dict[str, Any]) -> None:
    provider = aws["provider"]
    assert "security_group" not in provider  # Ray's own: among the nodes everything, from outside ssh
    assert not any("SecurityGroupIds" in t["node_config"] for t in aws["available_node_types"].values())
    assert provider["cache_stopped_nodes"] is False
    starts = [
        command
        for role in ("head", "worker")
        for command in aws[f"{role}_start_ray_commands"]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0] and "0.0.0.0" not in AWS.read_text()
    assert aws["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_the_nodes_get_what_installing_needs(aws: dict[str, Any]) -> None:
    mounts = aws["file_mounts"]
    ours = {remote: local for remote, local in mounts.items() if remote.startswith("~/anon_tune/")}
    assert all((ROOT / local).exists() and remote == f"~/anon_tune/{local}" for remote, local in ours.items())
    assert {"anon_tune", "pyproject.toml", "README.md"} == set(ours.values())
    assert any("pip install" in command and "~/anon_tune" in command for command in aws["setup_commands"])
