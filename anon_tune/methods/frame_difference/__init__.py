"""The differences between successive frames, shown on grey."""

from anon_tune.methods.spec import Argument, MethodSpec

SPEC = MethodSpec(
    name="frame-difference",
    summary="Shows the difference to the frame before, on grey.",
    builder="anon_tune.methods.frame_difference.network",
    arguments=(Argument("gain", 3.0, 0.1, 100.0),),
    least_frames=2,
)
