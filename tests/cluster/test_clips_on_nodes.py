"""Tasks on two nodes decode files, and every node that trains on clips at a URI fetches them."""

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

IXMAS = Path(os.environ.get("ANON_TUNE_IXMAS", Path(__file__).parents[2] / "../shared/data/ixmas"))

pytestmark = pytest.mark.cluster


@pytest.mark.skipif(not IXMAS.is_dir(), reason="no IXMAS clips; ANON_TUNE_IXMAS may name their folder")
def test_tasks_of_a_cluster_make_the_same_store(processes: Any, nodes: Path, tmp_path: Path) -> None:
    command = ["anon-tune", "clips", "import", "ixmas", "--root", str(IXMAS), "--num-frames", "4", "--size", "12x16"]
    assert processes.run("import", [*command, "-o", str(tmp_path / "cluster")]) == 0, processes.said("import")
    del processes.environment["RAY_ADDRESS"]
    assert processes.run("here", [*command, "--workers", "1", "-o", str(tmp_path / "here")]) == 0
    for name in ("frames.npy", "manifest.parquet"):
        assert (tmp_path / "cluster" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert {path.name for path in tmp_path.glob("*.partial")} == set()


def test_workers_fetch_clips_and_stills_from_a_uri(
    processes: Any, avatars: Clips, s3: str, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    processes.environment.update(credentials, ANON_TUNE_CACHE=str(tmp_path / "cache"))
    stills = make_avatars(tmp_path / "stills", 1, num_train=24, num_val=24, num_test=24, num_frames=2, height=16)
    uri, uri_of_stills = s3.format("avatars"), s3.format("stills")
    save_store(avatars.directory, uri)
    save_store(stills.directory, uri_of_stills)
    arguments = [*tiny_study(tmp_path / "study", trials=1, num_steps=2), "--clips", uri, "--stills", uri_of_stills]
    command = ["anon-tune", "study", "search_spaces/quickstart.toml", "--no-rungs", *arguments]
    assert processes.run("study", command) == 0, processes.said("study")[-4000:]
    said = (
        f"warning: privacy branches learn on {uri_of_stills}. Leakage and accuracy are both measured on {uri}, because"
    )
    assert said in processes.said("study")
    trials = Ledger(tmp_path / "study" / "ledger").trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert all(trial.score and set(trial.score.attributes) == set(avatars.attributes) for trial in trials)
    for store in (avatars, stills):
        assert (tmp_path / "cache" / "clips" / store.fingerprint / "frames.npy").is_file()
    _, settings = load_study(tmp_path / "study")
    assert (settings.clips, settings.stills) == (uri, uri_of_stills)
    assert (settings.clips_fingerprint, settings.stills_fingerprint) == (avatars.fingerprint, stills.fingerprint)

    export = ["anon-tune", "export", str(tmp_path / "study"), "--trial", "0000", "-o", str(tmp_path / "x.safetensors")]
    assert processes.run("export", export) == 0, processes.said("export")
    card = (tmp_path / "x.md").read_text()
    assert f"learned on the stills of {uri_of_stills}, fingerprint {stills.fingerprint}." in card
