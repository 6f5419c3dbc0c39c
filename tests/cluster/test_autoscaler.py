"""Ray's autoscaler, with processes of this machine as nodes, grows from no worker to as many as trials need.

The provider of such nodes lacks a file of defaults in the wheel, so it is named as an external one here, with all that
the file would hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
HEAD_ID = "f" * 51 + "00000"
COMMANDS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")


@pytest.fixture
def head(processes: Any, short_path: Path, ports: list[int]) -> Iterator[Path]:
    """A head without CPUs and an autoscaler that may add two nodes of one CPU; yields the folder of its logs."""
    port, client, dashboard = (str(number) for number in ports)
    config: dict[str, Any] = {
        "cluster_name": "local",
        "max_workers": 2,
        "idle_timeout_minutes": 0.1,
        "upscaling_speed": 10,
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "head_node_id": HEAD_ID,
            "gcs_address": f"127.0.0.1:{port}",
            "launch_multiple": True,
        },
        "auth": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {}, "node_config": {}, "min_workers": 0, "max_workers": 0},
            "small": {
                "resources": {"CPU": 1, "object_store_memory": 100_000_000},
                "node_config": {},
                "min_workers": 0,
                "max_workers": 2,
            },
        },
        **{f"{kind}_commands": [] for kind in COMMANDS},
    }
    file = short_path / "cluster.yaml"
    file.write_text(json.dumps(config))  # JSON is YAML
    processes.environment |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    own = ["--port", port, "--ray-client-server-port", client, "--dashboard-port", dashboard]
    own += ["--node-ip-address", "127.0.0.1", "--num-cpus", "0", "--dashboard-agent-listen-port", "0"]
    command = ["ray", "start", "--head", "--block", "--disable-usage-stats", "--autoscaling-config", str(file), *own]
    given = ["env", f"RAY_OVERRIDE_NODE_ID_FOR_TESTING={HEAD_ID}"]  # the head alone: a driver is no node
    node = processes.start(
        "head", [*given, *command, "--temp-dir", str(short_path), "--object-store-memory", "1" + "0" * 8]
    )
    processes.wait_until(lambda: "Ray runtime started" in processes.said("head"), "head", node)
    processes.environment["RAY_ADDRESS"] = f"127.0.0.1:{port}"
    yield short_path / "session_latest" / "logs"


def test_nodes_come_when_trials_wait_and_go_when_none_do(
    processes: Any, head: Path, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    out = tmp_path / "study"
    study = ["anon-tune", "study", "search_spaces/quickstart.toml", "--no-rungs"]
    study += tiny_study(out, trials=4, num_steps=20, beside=2)

    # Without --scale-to, trials that do not fit are refused at once.
    assert processes.run("refused", study) == 2
    said = processes.said("refused")
    assert "placement: a trial needs 1 CPU, got 1 node, the largest with 0 CPU. " in said and "--scale-to" in said

    assert processes.run("study", [*study, "--scale-to", "2"]) == 0, processes.said("study")[-4000:]
    trials = Ledger(out / "ledger").trials()
    assert len(trials) == 6 and {t.state for t in trials} == {TrialState.COMPLETE}

    monitor = head / "monitor.log"
    assert "Adding 2 node(s) of type small" in monitor.read_text() or monitor.read_text().count("Adding 1 node(s)") >= 2
    processes.wait_for(lambda: "of type small (idle)" in monitor.read_text(), monitor.read_text)
