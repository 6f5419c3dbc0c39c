"""The anchor that removes everything: the floor of leakage and accuracy."""

from anon_tune.methods.spec import MethodSpec

SPEC = MethodSpec(
    name="black-out",
    summary="Makes every pixel black: the floor of leakage and accuracy.",
    builder="anon_tune.methods.black_out.network",
)
