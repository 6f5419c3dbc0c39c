"""TeD-SPAD: SPAct, and a loss by which two windows of a clip must look different to the utility network."""

from __future__ import annotations

from pydantic import Field

from anon_tune.errors import RecipeError
from anon_tune.methods.spec import MethodSpec
from anon_tune.recipe import Part, Recipe


class TedSpadRecipe(Part):
    """The triplet loss on embeddings of windows: an anchor, another view of it, and another window of the same clip."""

    weight: float = Field(0.1, ge=0, le=10, description="weight of the triplet loss, times that of L_T; 0 for none")
    margin: float = Field(1.0, gt=0, le=2, description="distance by which the other window must be farther away")
    window: int = Field(0, ge=0, le=1024, description="frames per window; 0 for half the clip")
    gap: int = Field(0, ge=0, le=1024, description="least number of frames between two windows of a clip")
    smallest_view: float = Field(
        0.6, gt=0, lt=1, description="smallest crop of an anchor's other view, as a fraction of height and width"
    )
    dimensions: int = Field(64, ge=2, le=1024, description="length of an embedding")


def window_frames(recipe: Recipe, num_frames: int, where: str) -> int:
    """Return the frames per window in clips of so many frames.

    Raises:
        RecipeError: A clip has no room for two windows that share no frame.
    """
    section = section_of(recipe)
    frames = section.window or max(1, (num_frames - section.gap) // 2)
    if 2 * frames + section.gap > num_frames:
        least = 2 * frames + section.gap
        rule = f"the method 'ted-spad' needs clips of at least {least} frames, for two windows that share none"
        remedy = "Import longer clips, or lower 'ted-spad.window' or 'ted-spad.gap'"
        raise RecipeError(where, rule, num_frames, remedy)
    return frames


def section_of(recipe: Recipe) -> TedSpadRecipe:
    """Return the method's own section of a recipe."""
    return recipe.section if isinstance(recipe.section, TedSpadRecipe) else TedSpadRecipe()


def check_clips(recipe: Recipe, num_frames: int, where: str) -> None:
    """Check that two windows have room in a clip.

    Raises:
        RecipeError: They have not.
    """
    window_frames(recipe, num_frames, where)


SPEC = MethodSpec(
    name="ted-spad",
    summary="SPAct, with a loss that keeps windows of a clip distinct, for tasks that need to know when.",
    builder="anon_tune.methods.ted_spad.builder",
    source="TeD-SPAD, arXiv:2308.11072 (ICCV 2023). We differ as `anon_tune.methods.ted_spad.builder` says.",
    is_trained=True,
    section=TedSpadRecipe,
    fixes={"privacy.head": "nt_xent", "privacy.branches": "network", "penalty.weight": 0.0},
    defaults={"privacy.weight": 0.2},  # of a loss without labels; at 1, nothing of the action is left either
    uses=("anonymizer", "utility", "privacy", "training"),
    check_clips=check_clips,
)
