"""Private release by noise: pixelation and Gaussian noise that protect a patch, a frame or a clip."""

from anon_tune.methods.spec import Argument, MethodSpec

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
)
