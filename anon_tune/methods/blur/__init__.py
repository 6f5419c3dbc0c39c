"""Gaussian blur of whole frames."""

from anon_tune.methods.spec import Argument, MethodSpec

SPEC = MethodSpec(
    name="blur",
    summary="Blurs whole frames with a Gaussian.",
    builder="anon_tune.methods.blur.network",
    arguments=(Argument("sigma", 2.0, 0.1, 256.0, unit="pixels"),),
)
