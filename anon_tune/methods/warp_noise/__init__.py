"""Noise on persons that moves along with them, so that motion stays visible."""

from anon_tune.methods.spec import Argument, MethodSpec

SPEC = MethodSpec(
    name="warp-noise",
    summary="Covers persons with noise that moves along with them.",
    builder="anon_tune.methods.warp_noise.network",
    source="arXiv:2403.12710. We differ as `anon_tune.methods.warp_noise.network.WarpNoise` says.",
    arguments=(
        Argument("strength", 1.0, 0.0, 1.0),
        Argument("detector", "background", choices=("background", "hog")),
        Argument("noise", "colour", choices=("colour", "grey")),
        Argument("follow", 1.0, 0.0, 1.0),
    ),
    needs=frozenset({"persons", "whole clips"}),
)
