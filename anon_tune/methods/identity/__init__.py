"""The anchor that changes nothing: the ceiling of leakage and accuracy."""

from anon_tune.methods.spec import MethodSpec

SPEC = MethodSpec(
    name="identity",
    summary="Changes nothing: the ceiling of leakage and accuracy.",
    builder="anon_tune.methods.identity.network",
)
