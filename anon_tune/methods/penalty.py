"""The adversarial game with a distortion penalty: on pixels, on utility features, or without a gradient."""

from dataclasses import replace

from anon_tune.methods.spec import GAME, MethodSpec

PIXELS = MethodSpec(
    name="penalty-pixels",
    summary="The game with a penalty on the distortion of pixels.",
    builder="anon_tune.methods.rewriting_network",
    source="arXiv:2504.14301, with the gradient that its text describes.",
    is_trained=True,
    fixes={"penalty.on": "pixels", "penalty.detached": False},
    uses=GAME,
)

FEATURES = replace(
    PIXELS,
    name="penalty-features",
    summary="The game with a penalty on the distortion of the utility network's features.",
    source="arXiv:2504.14301; the distance in features is ours.",
    fixes={"penalty.on": "features", "penalty.detached": False},
)

DETACHED = replace(
    PIXELS,
    name="penalty-detached",
    summary="The game with a penalty that has no gradient, as the authors released it.",
    source="The released code of arXiv:2504.14301, which reads the penalty as a plain number.",
    fixes={"penalty.detached": True},
)
