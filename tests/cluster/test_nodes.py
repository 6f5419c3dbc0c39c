"""Two nodes of cluster/local.sh: studies and imports use both, and when one is lost, no trial is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anon_tune.clips import Clips, make_avatars
from anon_tune.clips.node_cache import save_store
from anon_tune.ledger import Ledger
from anon_tune.study import load_study
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
IXMAS = Path(os.environ.get("ANON_TUNE_IXMAS", Path(__file__).parents[2] / "../shared/data/ixmas"))
TRAINS = "ray::_Inner.train"  # the name of a worker that does a job
SCRIPT = str(Path(__file__).parents[2] / "cluster" / "local.sh")
SPACE = Path(__file__).parents[2] / "search_spaces" / "quickstart.toml"


def found(out: Path) -> dict[str, tuple[Any, ...]]:
    """Return what a study found of its trials."""
    trials = Ledger(out / "ledger").trials()
    assert all(t.score is not None for t in trials)
    scores = {t.id: (dict(t.params), t.score.leakage, t.score.accuracy, t.score.attackers) for t in trials}  # type: ignore[union-attr]
    return scores | {t.id + " curve": tuple(t.reports[-1].curve) for t in trials}


@pytest.mark.usefixtures("shared_ray")
def test_two_nodes_find_what_one_finds_though_one_is_lost_and_down_ends_the_other_alone(
    processes: Any, nodes: Path, say: Callable[..., Any], tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    head, worker = (int((nodes / f"{name}.pid").read_text()) for name in ("head", "worker-1"))
    out = tmp_path / "study"

    def states() -> dict[str, TrialState]:
        return {t.id: t.state for t in Ledger(out / "ledger").trials()}

    def running() -> list[str]:
        return [trial for trial, state in states().items() if state is TrialState.RUNNING]

    study = ["study", str(SPACE), "--no-rungs", "--sampler", "qmc"]
    driver = processes.start("study", ["anon-tune", *study, *tiny_study(out, trials=3, num_steps=20, beside=2)])
    processes.wait_until(lambda: states().get("black-out") is TrialState.COMPLETE and bool(running()), "study", driver)
    # A worker takes longer to start than a trial; so that each node has a trial, those that train wait for each other.
    with processes.held(TRAINS, head, worker):
        processes.wait_until(lambda: len(running()) == 2, "study", driver)
        processes.kill(worker)

    assert processes.ended(driver) == 0, processes.said("study")[-4000:]
    assert states() == dict.fromkeys(["black-out", "identity", "0000", "0001", "0002"], TrialState.COMPLETE)
    one = say(*study, *tiny_study(tmp_path / "one", trials=3, num_steps=20))
    assert one.code == 0, one.err[-4000:]
    assert found(out) == found(tmp_path / "one")
    assert processes.run("status", [SCRIPT, "status"]) == 0
    assert "head: up" in processes.said("status") and "worker-1: gone" in processes.said("status")

    # The pid of a node now belongs to another process.
    stranger = processes.start("stranger", ["sleep", "1000"])
    (nodes / "worker-1.pid").write_text(str(stranger.pid))
    ours = {head, *processes.below(head)}
    assert len(ours) > 4
    assert processes.run("second", [SCRIPT, "up"]) == 2 and "are up already" in processes.said("second")
    assert processes.run("down", [SCRIPT, "down"]) == 0
    processes.wait_until_gone(ours)
    assert stranger.poll() is None and not nodes.exists()
    assert processes.run("env", [SCRIPT, "env"]) == 2 and "no nodes are up" in processes.said("env")


@pytest.mark.skipif(not IXMAS.is_dir(), reason="no IXMAS clips; ANON_TUNE_IXMAS may name their folder")
def test_tasks_of_a_cluster_make_the_same_store(processes: Any, same_nodes: Path, tmp_path: Path) -> None:
    command = ["anon-tune", "clips", "import", "ixmas", "--root", str(IXMAS), "--num-frames", "4", "--size", "12x16"]
    assert processes.run("import", [*command, "-o", str(tmp_path / "cluster")]) == 0, processes.said("import")
    del processes.environment["RAY_ADDRESS"]
    assert processes.run("here", [*command, "--workers", "1", "-o", str(tmp_path / "here")]) == 0
    for name in ("frames.npy", "manifest.parquet"):
        assert (tmp_path / "cluster" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert {path.name for path in tmp_path.glob("*.partial")} == set()


@pytest.mark.usefixtures("shared_ray")
def test_workers_fetch_clips_and_stills_from_a_uri(
    say: Callable[..., Any],
    avatars: Clips,
    s3: str,
    workers_cache: Path,
    tmp_path: Path,
    tiny_study: Callable[..., list[str]],
) -> None:
    stills = make_avatars(tmp_path / "stills", 1, num_train=24, num_val=24, num_test=24, num_frames=2, height=16)
    uri, uri_of_stills = s3.format("avatars"), s3.format("stills")
    save_store(avatars.directory, uri)
    save_store(stills.directory, uri_of_stills)
    arguments = [*tiny_study(tmp_path / "study", trials=1, num_steps=2), "--clips", uri, "--stills", uri_of_stills]
    on_stills = ["--set", "privacy.branches=network", "--set", "anonymizer.network=unet_small"]
    on_stills += ["--set", "anonymizer.start=identity"]
    done = say("study", SPACE, "--no-rungs", *arguments, *on_stills)
    assert done.code == 0, done.err[-4000:]
    said = (
        f"warning: privacy branches learn on {uri_of_stills}. Leakage and accuracy are both measured on {uri}, because"
    )
    assert said in done.err
    trials = Ledger(tmp_path / "study" / "ledger").trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert all(trial.score and set(trial.score.attributes) == set(avatars.attributes) for trial in trials)
    for store in (avatars, stills):
        assert list((workers_cache / "clips").glob(f"{store.fingerprint}*/frames.npy"))
    _, settings = load_study(tmp_path / "study")
    assert (settings.clips, settings.stills) == (uri, uri_of_stills)
    assert (settings.clips_fingerprint, settings.stills_fingerprint) == (avatars.fingerprint, stills.fingerprint)

    assert say("export", tmp_path / "study", "--trial", "0000", "-o", tmp_path / "x.safetensors").code == 0
    card = (tmp_path / "x.md").read_text()
    assert f"learned on the stills of {uri_of_stills}, fingerprint {stills.fingerprint}." in card
