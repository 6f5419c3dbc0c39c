"""VITA: several privacy branches that start again from time to time."""

from pydantic import Field

from anon_tune.methods.spec import MethodSpec
from anon_tune.recipe import Part


class VitaRecipe(Part):
    """Number and restarts of the privacy branches. The anonymizer learns from the strongest branch."""

    num_branches: int = Field(4, ge=1, le=16, description="number of privacy branches")
    restart_steps: int = Field(50, ge=0, description="steps between fresh starts of the branches; 0 for no restarts")


SPEC = MethodSpec(
    name="vita",
    summary="Several privacy branches, restarted from time to time, which the anonymizer drives to outputs of 0.5.",
    builder="anon_tune.methods.rewriting_network",
    source="VITA, arXiv:1807.08379 and 1906.05675. We differ as `anon_tune.training.branches` says.",
    is_trained=True,
    section=VitaRecipe,
    fixes={"privacy.head": "attributes", "privacy.target": "uniform", "penalty.weight": 0.0},
    sets={"privacy.num_branches": "num_branches", "privacy.restart_steps": "restart_steps"},
    uses=("anonymizer", "utility", "privacy", "training"),
)
