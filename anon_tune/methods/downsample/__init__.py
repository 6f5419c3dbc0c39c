"""Frames that are reduced in size and enlarged again."""

from anon_tune.methods.spec import Argument, MethodSpec

SPEC = MethodSpec(
    name="downsample",
    summary="Reduces height and width to 1/factor by area averages, then enlarges bilinearly.",
    builder="anon_tune.methods.downsample.network",
    arguments=(Argument("factor", 2, 2, 256),),
)
