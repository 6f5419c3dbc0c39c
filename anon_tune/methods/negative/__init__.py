"""The negative image. Anybody can undo it, so it hides something only from attackers that do not adapt."""

from anon_tune.methods.spec import MethodSpec

SPEC = MethodSpec(
    name="negative",
    summary="Inverts every pixel, which hides nothing from an attacker that adapts.",
    builder="anon_tune.methods.negative.network",
)
