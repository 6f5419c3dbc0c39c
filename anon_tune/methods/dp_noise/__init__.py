"""Private release by noise: pixelation and Gaussian noise that protect a patch, a frame or a clip."""

from __future__ import annotations

from collections.abc import Mapping

from anon_tune.methods.spec import Argument, MethodSpec, Value, release_text


def _release(values: Mapping[str, Value]) -> str:
    block = f"one block of {values['block']} x {values['block']} pixels of one frame"
    window = "one clip (of a longer video, the frames that are anonymized at once)"
    unit = {"patch": block, "frame": "one frame", "clip": window}[str(values["unit"])]
    return release_text(values, unit)


SPEC = MethodSpec(
    name="dp-noise",
    summary="Pixelates and adds Gaussian noise: (epsilon, delta)-private release of a patch, a frame or a clip.",
    builder="anon_tune.methods.dp_noise.network",
    source="DP-Pix (Fan, 2018), with Gaussian noise. We differ as `anon_tune.methods.dp_noise.network.DpNoise` says.",
    arguments=(
        Argument("epsilon", 8.0, 0.01, 1000.0),
        Argument("unit", "frame", choices=("patch", "frame", "clip")),
        Argument("block", 8, 1, 256, unit="pixels"),
        Argument("delta", 1e-4, 1e-12, 0.1),
    ),
    needs=frozenset({"whole clips"}),
    release=_release,
)
