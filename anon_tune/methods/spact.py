"""SPAct: the privacy branch learns without labels."""

from anon_tune.methods.spec import MethodSpec

SPEC = MethodSpec(
    name="spact",
    summary="A self-supervised privacy branch (NT-Xent) and no penalty.",
    builder="anon_tune.methods.rewriting_network",
    source="SPAct, arXiv:2203.15205. We differ as `anon_tune.training.trainer` says.",
    is_trained=True,
    fixes={"privacy.head": "nt_xent", "privacy.branches": "network", "penalty.weight": 0.0},
    uses=("anonymizer", "utility", "privacy", "training"),
)
