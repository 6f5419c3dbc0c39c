"""The adversarial game in which every value of the recipe can be set."""

from anon_tune.methods.spec import GAME, MethodSpec

SPEC = MethodSpec(
    name="adversarial",
    summary="A network trained against a privacy branch, with a distortion penalty; every value may be set.",
    builder="anon_tune.methods.rewriting_network",
    source="arXiv:2504.14301, and arXiv:2203.15205 (SPAct).",
    is_trained=True,
    uses=GAME,
)
