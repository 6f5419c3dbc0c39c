"""Persons are removed, and a neutral figure moves in their place."""

from anon_tune.methods.spec import Argument, MethodSpec

SPEC = MethodSpec(
    name="avatar",
    summary="Removes persons, and draws a neutral grey figure that moves as they do.",
    builder="anon_tune.methods.avatar.network",
    source=(
        "Data sets whose people are replaced by avatars, as in arXiv:2410.17098. We differ: the pose comes from key "
        "points that the clips bring or from the silhouette, and the figure is flat; see "
        "`anon_tune.methods.avatar.network.Avatar`."
    ),
    arguments=(
        Argument("detector", "background", choices=("background", "hog")),
        Argument("grey", 0.5, 0.0, 1.0),
        Argument("pose", "any", choices=("any", "keypoints", "silhouette")),
    ),
    needs=frozenset({"persons", "whole clips"}),
)
