"""An exported anonymizer is the trial's anonymizer, and says what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import anon_tune
from anon_tune.clips import Clips
from anon_tune.errors import AnonTuneError, DataError, ExportError, UsageError
from anon_tune.export import export_anonymizer, load_anonymizer, load_file
from anon_tune.ledger import Ledger
from anon_tune.methods import build_anonymizer, read_recipe
from anon_tune.networks import save_weights
from anon_tune.networks.weights import read_tensors
from anon_tune.recipe import Recipe
from anon_tune.search import SearchSpace
from anon_tune.study import StudySettings
from anon_tune.study.frozen_study import freeze_study
from anon_tune.trial import Ceilings, RungJob, Trial, TrialState
from anon_tune.worker.job import perform


def trial_of(study: Path, name: str) -> Trial:
    return next(t for t in Ledger(study / "ledger").trials() if t.id == name)


@pytest.fixture
def exported(small_study: Path, tmp_path: Path) -> Path:
    return export_anonymizer(small_study, trial_of(small_study, "0001"), "avatars", tmp_path / "out" / "picked")


def test_the_file_does_what_the_trial_did(small_study: Path, exported: Path) -> None:
    assert exported.name == "picked.safetensors"
    tensors, metadata = read_tensors(small_study / "trials" / "0001" / "anonymizer.safetensors")
    recipe = read_recipe(metadata["recipe"])
    original = build_anonymizer(recipe)
    original.load_state_dict(tensors)

    loaded = anon_tune.load_anonymizer(str(exported))
    clip = torch.rand(5, 3, 18, 23)
    out = loaded(clip)
    assert out.shape == clip.shape
    assert torch.equal(out, original.eval()(clip))
    assert torch.equal(loaded(clip.unsqueeze(0)), out.unsqueeze(0))
    assert 0 <= out.min() <= out.max() <= 1
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_weights_that_training_began_from_need_not_be_there(small_study: Path, tmp_path: Path) -> None:
    trial = trial_of(small_study, "0000")
    study = tmp_path / "study"
    shutil.copytree(small_study / "ledger", study / "ledger")
    file = study / trial.reports[-1].weights
    tensors, metadata = read_tensors(small_study / trial.reports[-1].weights)
    recipe = read_recipe(metadata["recipe"])
    began = recipe.anonymizer.model_copy(update={"weights": "/gone/start.safetensors"})
    save_weights(tensors, file, {"recipe": recipe.model_copy(update={"anonymizer": began}).model_dump_json()})
    loaded = load_anonymizer(export_anonymizer(study, trial, "avatars", tmp_path / "x"))
    clip = torch.rand(4, 3, 16, 20)
    whole = load_anonymizer(export_anonymizer(small_study, trial, "avatars", tmp_path / "whole"))
    assert torch.equal(loaded(clip), whole(clip)) and not torch.equal(loaded(clip), clip)


def test_the_card_says_what_was_measured(small_study: Path, exported: Path) -> None:
    trial = trial_of(small_study, "0001")
    score = trial.score
    assert score is not None
    with safe_open(exported, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["anon_tune"] == anon_tune.__version__
    assert read_recipe(metadata["recipe"]).fingerprint() == trial.fingerprint
    card = json.loads(metadata["model_card"])
    for name in ("leakage", "accuracy"):
        reading = getattr(score, name)
        assert card[name] == {
            "value": reading.value,
            "interval": [reading.low, reading.high],
            "floor": reading.floor,
            "ceiling": reading.ceiling,
        }
    assert card["attackers"] == dict(score.attackers)
    assert card["attributes"] == dict(score.attributes)
    assert card["params"] == {"penalty.weight": 5.0}
    assert (card["trial"], card["method"], card["clips"]) == ("0001", "adversarial", "avatars")
    assert (card["fingerprint"], card["seed"]) == (trial.fingerprint, score.seed)
    assert (card["num_train_clips"], card["num_test_clips"]) == (32, 24)
    assert any("stronger" in limit for limit in card["limits"])

    text = exported.with_suffix(".md").read_text(encoding="utf-8")
    for shown in ("# Anonymizer of trial 0001", "avatars", f"{score.leakage.value:.1%}", f"{score.accuracy.floor:.1%}"):
        assert shown in text
    assert all(name in text for name in (*score.attackers, *score.attributes, "penalty.weight"))
    assert all(limit in text for limit in card["limits"])


def test_the_card_says_what_the_data_were_and_whose(small_study: Path, avatars: Clips, tmp_path: Path) -> None:
    for clips, licence in ((str(avatars.directory), "CC BY 4.0"), ("gone", "not stated")):
        file = export_anonymizer(small_study, trial_of(small_study, "0001"), clips, tmp_path / "x", True, licence)
        card, text = load_file(file).card, file.with_suffix(".md").read_text(encoding="utf-8")
        assert card["data_licence"] == licence
        assert f"Licence of the data: {licence}." in text
        if clips == "gone":
            assert card["data"] is None
        else:
            assert (card["data"]["num_frames"], card["data"]["height"], card["data"]["width"]) == (4, 16, 20)
            assert card["data"]["fingerprint"] == avatars.fingerprint
            assert "80 clips of 4 frames, 16 x 20 pixels" in text


@pytest.mark.compiles
@pytest.mark.parametrize("format", ["pt2", "onnx"])
def test_a_trial_becomes_a_program(
    say: Callable[..., Any], small_study: Path, avatars: Clips, tmp_path: Path, format: str
) -> None:
    output = tmp_path / "picked"
    arguments = ("export", small_study, "-o", output, "--trial", "0001", "--format", format, "--data-licence", "ours")
    assert say(*arguments).out == f"{output}.{format}\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["picked.md", f"picked.{format}"]
    frames = avatars.split("test").clips([3])[0]
    weights = export_anonymizer(small_study, trial_of(small_study, "0001"), "gone", tmp_path / "x")
    expected = load_anonymizer(weights)(frames)
    program = tmp_path / f"picked.{format}"
    if format == "pt2":
        changed = torch.export.load(program).module()(frames)
    else:
        session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
        changed = torch.from_numpy(session.run(["anonymized"], {"frames": frames.numpy()})[0])
    assert (changed - expected).abs().max() <= 1e-4
    text = (tmp_path / "picked.md").read_text(encoding="utf-8")
    assert "The program takes any T, H and W." in text
    assert "Licence of the data: ours." in text


def test_a_format_and_a_name_that_disagree(say: Callable[..., Any], small_study: Path, tmp_path: Path) -> None:
    said = say("export", small_study, "-o", tmp_path / "x.onnx", "--trial", "0001", "--format", "pt2")
    assert said.code == 2
    assert "x.onnx: must agree with --format pt2, got .onnx. End it in .pt2" in said.err
    assert not list(tmp_path.iterdir())


def test_nothing_in_the_file_can_be_executed(exported: Path) -> None:
    content = exported.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    size = sum(end - start for start, end in (t["data_offsets"] for n, t in header.items() if n != "__metadata__"))
    assert len(content) == 8 + int.from_bytes(content[:8], "little") + size


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("identity", "trial identity: is an anchor, which cannot be exported. Choose another trial."),
        ("0002", "trial 0002: only a trial with a full score can be exported, got PRUNED. See 'front --all'."),
        ("0003", "trial 0003: only a trial with a full score can be exported, got RUNNING. See 'front --all'."),
    ],
)
def test_a_trial_without_a_measured_anonymizer_is_refused(
    small_study: Path, tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        export_anonymizer(small_study, trial_of(small_study, name), "avatars", tmp_path / "x")
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["blur:1.5", "person-black-out", "frame-difference", "bdq"])
def test_every_method_can_be_taken_along(
    avatars: Clips, tiny_params: dict[str, Any], tmp_path: Path, method: str
) -> None:
    study = tmp_path / "study"
    weight = {"low": 1.0, "high": 2.0, "when": {"method": ["bdq"]}}
    search = {"method": {"choices": ["blur:1.5", "person-black-out", "frame-difference", "bdq"]}}
    tables = {"fixed": tiny_params, "search": search | {"privacy.weight": weight}}
    space = SearchSpace.from_tables(tables, "x.toml")
    study.mkdir()
    freeze_study(study, space, StudySettings(num_trials=1, clips="avatars", clips_fingerprint=avatars.fingerprint))
    params = {"method": method} | ({"privacy.weight": 1.5} if method == "bdq" else {})
    recipe = space.recipe(params)
    job = RungJob("0000", recipe, str(study / "trials" / "0000"), 0, 6, True, Ceilings(0.9, 0.8))
    report = perform(job, avatars, torch.device("cpu"))
    assert report is not None
    state = TrialState.COMPLETE
    trial = Trial("0000", 0, recipe.method, params, recipe.fingerprint(), state, reports=(report,))
    Ledger(study / "ledger").append(trial, report)

    file = export_anonymizer(study, trial, "avatars", tmp_path / "x")
    loaded = anon_tune.load_anonymizer(file)
    clips = avatars.split("test").clips([0, 1])
    changed = loaded(clips)
    assert not torch.equal(changed, clips)
    if method == "bdq":
        own = build_anonymizer(Recipe(method=method, anonymizer=recipe.anonymizer))
        untrained = own(clips)
        own.load_state_dict(read_tensors(study / report.weights)[0])
        assert not torch.equal(own(clips), untrained)
        assert torch.equal(own(clips), changed)
    else:
        assert report.weights == ""
        assert torch.equal(build_anonymizer(Recipe(method=method, anonymizer=recipe.anonymizer))(clips), changed)
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    assert read_recipe(metadata["recipe"]) == recipe
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    assert f"`{method}`" in card
    assert ("trained by" in card) == (method == "bdq")


@pytest.mark.parametrize("suffix", [".safetensors", ".md"])
def test_a_file_that_is_there_stays_unless_forced(small_study: Path, tmp_path: Path, suffix: str) -> None:
    there = tmp_path / f"x{suffix}"
    there.write_text("mine")
    trial = trial_of(small_study, "0000")
    with pytest.raises(UsageError, match=rf"x\{suffix}: already exists\. Name another file or add --force\."):
        export_anonymizer(small_study, trial, "avatars", tmp_path / "x")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["mine"]
    load_anonymizer(export_anonymizer(small_study, trial, "avatars", tmp_path / "x", force=True))
    assert (tmp_path / "x.md").read_text().startswith("# Anonymizer of trial 0000")


def test_the_card_never_takes_the_place_of_the_weights(small_study: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.md: .*safetensors"):
        export_anonymizer(small_study, trial_of(small_study, "0000"), "avatars", tmp_path / "x.md")


def test_weights_that_are_gone_are_named(small_study: Path, tmp_path: Path) -> None:
    trial = trial_of(small_study, "0000")
    lost = replace(trial, reports=(replace(trial.reports[-1], weights="trials/0000/gone.safetensors"),))
    with pytest.raises(AnonTuneError, match=r"trials/0000/gone\.safetensors: is not a readable safetensors file"):
        export_anonymizer(small_study, lost, "avatars", tmp_path / "x")


def test_a_file_of_another_kind_is_refused_in_one_line(small_study: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "pickle.pt").write_bytes(b"")
    torch.save({"a": torch.zeros(2)}, tmp_path / "pickle.pt")
    for file in (*tmp_path.iterdir(), tmp_path / "none", small_study / "trials" / "0000" / "anonymizer.safetensors"):
        with pytest.raises(AnonTuneError) as caught:
            load_anonymizer(file)
        assert str(caught.value).startswith(f"{file}: ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.pt2", "a.onnx"])
def test_a_program_is_said_to_run_without_this_package(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK")
    rule = "is an exported program, which runs without anon_tune; a safetensors file is needed here. Export the trial"
    with pytest.raises(ExportError, match=rule):
        load_anonymizer(tmp_path / name)


def test_a_damaged_file_is_refused_in_one_line(exported: Path, tmp_path: Path) -> None:
    tensors, metadata = read_tensors(exported)
    missing = dict(list(tensors.items())[1:])
    for name, content, facts in (
        ("missing", missing, metadata),
        ("no-recipe", tensors, {"format": metadata["format"]}),
        ("bad-recipe", tensors, metadata | {"recipe": '{"method": "magic"}'}),
    ):
        save_file(content, tmp_path / name, facts)
        with pytest.raises(DataError) as caught:
            load_anonymizer(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(caught.value)
