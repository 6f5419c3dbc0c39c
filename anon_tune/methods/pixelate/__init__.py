"""Pixelation of whole frames."""

from anon_tune.methods.spec import Argument, MethodSpec

SPEC = MethodSpec(
    name="pixelate",
    summary="Replaces every block of pixels by its mean.",
    builder="anon_tune.methods.pixelate.network",
    arguments=(Argument("size", 8, 2, 256, unit="pixels"),),
)
