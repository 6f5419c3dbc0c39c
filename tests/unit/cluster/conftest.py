"""Shared by tests of cluster files: the files, KubeRay's CRDs if they are here, and the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CRDS = Path(os.environ.get("ANON_TUNE_KUBERAY_CRDS", ROOT.parent / "shared" / "data" / "kuberay"))


@pytest.fixture
def crds() -> Path:
    """The folder with KubeRay's CRDs."""
    if not CRDS.is_dir():
        pytest.skip("no KubeRay CRDs; ANON_TUNE_KUBERAY_CRDS names their folder")
    return CRDS


@pytest.fixture
def load() -> Callable[[str], dict[str, Any]]:
    """Load one of the project's cluster files."""

    def read(name: str) -> dict[str, Any]:
        loaded = yaml.safe_load((ROOT / "cluster" / name).read_text())
        assert isinstance(loaded, dict)
        return loaded

    return read


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[..., Any]
) -> Callable[..., tuple[int, str, str]]:
    """Run `anon-tune cluster check` on text or on a document; returns exit code, stdout and stderr."""
    monkeypatch.chdir(ROOT)  # where the files' relative paths begin
    monkeypatch.delenv("ANON_TUNE_KUBERAY_CRDS", raising=False)

    def run(content: str | dict[str, Any] | Path, *options: str) -> tuple[int, str, str]:
        file = content if isinstance(content, Path) else tmp_path / "file"
        if not isinstance(content, Path):
            file.write_text(content if isinstance(content, str) else json.dumps(content))  # JSON is YAML
        said = say("cluster", "check", file, *options)
        return said.code, said.out, said.err.replace(str(file), "FILE")

    return run


@pytest.fixture
def put() -> Callable[[dict[str, Any], str, object], dict[str, Any]]:
    """Set or, with None, remove what a dotted path leads to; returns the document."""

    def change(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
        *parents, leaf = path.split(".")
        table: Any = document
        for name in parents:
            table = table[int(name)] if isinstance(table, list) else table[name]
        if value is None:
            del table[leaf]
        else:
            table[leaf] = value
        return document

    return change
