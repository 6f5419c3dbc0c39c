"""A smaller picture, enlarged again."""

from anon_tune.methods.spec import Argument, MethodSpec

SPEC = MethodSpec(
    name="downsample",
    summary="Averages areas down to 1/factor of height and width, then enlarges them bilinearly.",
    builder="anon_tune.methods.downsample.network",
    arguments=(Argument("factor", 2, 2, 256),),
)
