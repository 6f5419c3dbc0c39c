"""VITA: several privacy branches that start again from time to time."""

from pydantic import Field

from anon_tune.methods.spec import MethodSpec
from anon_tune.recipe import Part


class VitaRecipe(Part):
    """The privacy branches that attack at the same time; the strongest of them drives the anonymizer."""

    num_branches: int = Field(4, ge=1, le=16, description="privacy branches")
    restart_steps: int = Field(50, ge=0, description="steps between fresh starts of the branches; 0 never")


SPEC = MethodSpec(
    name="vita",
    summary="Several privacy branches, restarted from time to time, driven to say 0.5 of everything.",
    builder="anon_tune.methods.rewriting_network",
    source="VITA, arXiv:1807.08379 and 1906.05675. We differ as `anon_tune.training.branches` says.",
    is_trained=True,
    section=VitaRecipe,
    fixes={"privacy.head": "attributes", "privacy.target": "uniform", "penalty.weight": 0.0},
    sets={"privacy.num_branches": "num_branches", "privacy.restart_steps": "restart_steps"},
    uses=("anonymizer", "utility", "privacy", "training"),
)
