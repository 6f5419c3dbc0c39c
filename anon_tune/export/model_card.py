"""The model card of an exported anonymizer: its measured leakage and accuracy, the data, and its limits."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import torch

import anon_tune
from anon_tune.certificate import Certificate
from anon_tune.clips import Clips
from anon_tune.methods import is_trained
from anon_tune.recipe import Recipe
from anon_tune.trial import Reading, Score, Trial
from anon_tune.utility_task import ACTION, TASKS, UtilityTask

LIMITS = (
    "Leakage is what these attackers reached on these clips; a stronger or other attacker may reach more.",
    "Nothing is claimed about other people, cameras, frame rates or resolutions than those of the clips.",
    "No compliance with any law or regulation is claimed.",
)


def card_document(
    trial: Trial,
    score: Score,
    recipe: Recipe,
    clips: str,
    store: Clips | None,
    data_licence: str,
    stills: tuple[str, str] = ("", ""),
    certificate: Certificate | None = None,
    privacy: Sequence[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Return the card as plain values; fractions are in [0, 1].

    Args:
        trial: The exported trial.
        score: Its full score, or the mean of its repeats if it was verified.
        recipe: The recipe it was trained and measured with.
        clips: Name or directory of the clips.
        store: The clips, if they can be opened.
        data_licence: Licence of the clips, as the user states it.
        stills: Name and fingerprint of the stills that the privacy branch learned on; empty strings if it learned on
            the clips.
        certificate: The trial's certificate; None without one.
        privacy: The statement of the study's private training or of the method's private release; empty for neither.
    """
    effort = recipe.evaluation.full
    return {
        "trial": trial.id,
        "method": trial.method,
        "network": recipe.anonymizer.network if is_trained(trial.method) else "",
        "clips": clips,
        "data": None if store is None else _data(store),
        "data_licence": data_licence,
        "stills": stills[0],
        "stills_fingerprint": stills[1],
        "leakage": _reading(score.leakage),
        "accuracy": _reading(score.accuracy),
        **_of_task(score),
        "certificate": None if certificate is None else _certified(certificate),
        "privacy": dict(privacy),
        "attackers": dict(score.attackers),
        "attributes": dict(score.attributes),
        "distortion": score.distortion,
        "num_repeats": len(trial.repeats),
        "trained_anew": bool(trial.repeats) and all(r.training_seed != recipe.training.seed for r in trial.repeats),
        "num_train_clips": score.num_train_clips,
        "num_test_clips": score.num_test_clips,
        "attacker_steps": effort.attacker_steps,
        "seed": score.seed,
        "params": dict(trial.params),
        "fingerprint": trial.fingerprint,
        "limits": list(LIMITS),
        "versions": _versions(),
    }


def _of_task(score: Score) -> dict[str, Any]:
    """Return what names a task other than ``action``, and its other readings."""
    if score.task == ACTION.name:
        return {}
    return {"task": score.task, "beside": {name: _reading(reading) for name, reading in score.beside.items()}}


def _versions() -> dict[str, str]:
    return {"anon_tune": anon_tune.__version__, "torch": torch.__version__, "python": platform.python_version()}


def _certified(c: Certificate) -> dict[str, Any]:
    leakage = {"interval": c.leakage_interval, "floor": c.leakage_floor, "ceiling": c.leakage_ceiling}
    accuracy = {"interval": c.accuracy_interval, "floor": c.accuracy_floor, "ceiling": c.accuracy_ceiling}
    return {
        "status": c.status,
        "leakage": {"value": c.leakage, **leakage},
        "accuracy": {"value": c.accuracy, **accuracy},
        **({"task": c.task, "beside": {n: b.model_dump() for n, b in c.beside.items()}} if c.beside else {}),
        "strongest": c.strongest,
        "num_seeds": c.effort["num_seeds"],
        "created": c.created,
    }


def _data(store: Clips) -> dict[str, Any]:
    num_frames, height, width, _ = store.shape
    return {
        "fingerprint": store.fingerprint,
        "num_clips": store.num_clips,
        "num_frames": num_frames,
        "height": height,
        "width": width,
        "actions": list(store.actions),
        "attributes": list(store.attributes),
    }


def card_markdown(card: dict[str, Any], file: str) -> str:
    """Return the card as Markdown; here fractions become percent.

    Args:
        card: The document of `card_document`; with the key ``program`` if the file is a program.
        file: Name of the file that the card describes.
    """
    params = "\n".join(f"| `{name}` | {value} |" for name, value in card["params"].items())
    limits = "\n".join(f"- {limit}" for limit in card["limits"])
    origin = (
        f"A `{card['network']}` trained by `{card['method']}` on {card['clips']}."
        if card["network"]
        else f"The closed-form anonymizer `{card['method']}`, which is not trained, measured on {card['clips']}."
    )
    return f"""# Anonymizer of trial {card["trial"]}

{origin} It maps the consecutive frames of one clip, (T, 3, H, W) RGB in [0, 1], to frames of the same form.

```python
{_usage(file)}
```
{_program(card.get("program"))}
## Data

{_data_text(card)}

## Certified

{_certificate_text(card.get("certificate"))}
{_privacy_text(card.get("privacy"))}
## Measured by the study

{_study_text(card)}

## Limits

{limits}

## Recipe

| param | value |
|---|---|
{params}

Fingerprint {card["fingerprint"]}, seed {card["seed"]}, anon_tune {card["versions"]["anon_tune"]}, torch \
{card["versions"]["torch"]}, Python {card["versions"]["python"]}.
"""


def _privacy_text(privacy: dict[str, str] | None) -> str:
    if not privacy:
        return ""
    rows = "\n".join(f"| {name} | {words} |" for name, words in privacy.items())
    return f"\n## Differential privacy\n\n| | |\n|---|---|\n{rows}\n"


def _usage(file: str) -> str:
    if file.endswith(".pt2"):
        return f'import torch\n\nanonymizer = torch.export.load("{file}").module()'
    if file.endswith(".onnx"):
        call = '(changed,) = session.run(["anonymized"], {"frames": frames})  # float32'
        return f'import onnxruntime\n\nsession = onnxruntime.InferenceSession("{file}")\n{call}'
    return f'import anon_tune\n\nanonymizer = anon_tune.load_anonymizer("{file}")'


def _study_text(card: dict[str, Any]) -> str:
    attackers = ", ".join(f"{name} {value:.1%}" for name, value in card["attackers"].items())
    attributes = "\n".join(f"| {name} | {value:.1%} |" for name, value in card["attributes"].items())
    anew = ", each after training the same recipe again" if card["trained_anew"] else ""
    repeats = f" Means of {card['num_repeats']} measurements with new seeds{anew}." if card["num_repeats"] else ""
    return f"""On {card["num_test_clips"]} test clips, by new networks trained on {card["num_train_clips"]} anonymized \
clips.{repeats}

| | value [interval] | floor (blind) | ceiling (raw) |
|---|---|---|---|
{_rows(card)}

Leakage is the cMAP of the strongest of these attackers: {attackers}. {_task(card).title} is the {_task(card).metric} \
of a fresh {_task(card).network}.
Mean distortion (RMS on pixels in [0, 1]): {card["distortion"]:.3f}.

| private attribute | average precision |
|---|---|
{attributes}"""


def _rows(readings: dict[str, Any]) -> str:
    named = {"leakage": readings["leakage"], _task(readings).objective: readings["accuracy"]}
    named |= readings.get("beside", {})
    return "\n".join(f"| {name} | {_percent(reading)} |" for name, reading in named.items())


def _task(readings: dict[str, Any]) -> UtilityTask:
    return TASKS[readings.get("task", ACTION.name)]


def _certificate_text(certificate: dict[str, Any] | None) -> str:
    if certificate is None:
        return (
            "Not certified: no audit of this trial was found. The numbers below are the study's own, by attackers that "
            "trained for a short time; stronger attackers may find more. 'anon-tune certify' measures with more effort."
        )
    bound = " At least: an attacker was still improving." if certificate["status"] == "LOWER_BOUND" else ""
    status = certificate["status"].replace("_", " ")
    return f"""{status}, {certificate["created"]}: attackers of several families that trained until they stopped \
improving, with {certificate["num_seeds"]} seeds. Strongest: {certificate["strongest"]}.{bound}

| | value [interval] | floor (blind) | ceiling (raw) |
|---|---|---|---|
{_rows(certificate)}"""


def _program(facts: dict[str, Any] | None) -> str:
    if facts is None:
        return ""
    takes = "any T, H and W" if facts["shape"] is None else "(T, H, W) = ({}, {}, {}) only".format(*facts["shape"])
    near = f"within {facts['difference']:.1g} of the anonymizer's"
    return f"\nThe program takes {takes}. On real frames its output is {near}.\n"


def _data_text(card: dict[str, Any]) -> str:
    data, licence = card["data"], f"Licence of the data: {card['data_licence']}."
    if card["stills"] and card["network"]:
        apart = (
            f"The privacy branch learned on the stills of {card['stills']}, fingerprint {card['stills_fingerprint']}."
        )
        licence = f"{apart} {licence}"
    if data is None:
        return f"The clips could not be opened when this card was written. {licence}"
    return (
        f"{data['num_clips']} clips of {data['num_frames']} frames, {data['height']} x {data['width']} pixels, "
        f"fingerprint {data['fingerprint']}. Actions: {', '.join(data['actions'])}. {licence}"
    )


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "value": reading.value,
        "interval": [reading.low, reading.high],
        "floor": reading.floor,
        "ceiling": reading.ceiling,
    }


def _percent(reading: dict[str, Any]) -> str:
    low, high = reading["interval"]
    value = f"{reading['value']:.1%} [{low:.1%}, {high:.1%}]"
    return f"{value} | {reading['floor']:.1%} | {reading['ceiling']:.1%}"
