"""The spec of a method: the values that it takes and the values that it fixes. Specs load without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from anon_tune.recipe import Part, Recipe

Value = float | int | str | bool
Need = Literal["whole clips", "stills", "persons", "utility task"]

GAME = ("anonymizer", "utility", "privacy", "penalty", "training")
"""The parts of the shared recipe that the adversarial game uses. A method can use any of them."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A value that a closed-form method takes, written after its name: ``blur:4``.

    Attributes:
        name: The name in ``name=value``. The first argument may be given by its value only.
        default: The default, whose type is that of the argument: int, float, or str for one of ``choices``.
        low: Smallest value of a number.
        high: Largest value of a number.
        choices: The texts that are allowed; empty for a number.
        unit: Unit of a number, for example ``pixels``.
        is_text: True for any text: it is all that is written after the colon, and there is no other argument.
    """

    name: str
    default: float | int | str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    unit: str = ""
    is_text: bool = False


# What a method fixes that makes its outputs itself, and not by rewriting blocks of pixels at a few levels.
NO_REWRITING: Mapping[str, Value] = {
    "anonymizer.start": "identity",
    "anonymizer.residual": False,
    "anonymizer.grey": False,
    "anonymizer.block": 1,
    "anonymizer.levels": 256,
    "anonymizer.pretrain_steps": 0,
}
# The same for a method that has no use for any network of the table: the values of the network are the defaults.
NO_NETWORK: Mapping[str, Value] = {
    "anonymizer.network": "unet_small",
    "anonymizer.base_channels": 16,
    "anonymizer.frames_before": 1,
    "anonymizer.frames_after": 1,
    **NO_REWRITING,
}


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """Everything that is known about a method before it is built.

    Attributes:
        name: The name that users write, in lower-case letters, digits and hyphens.
        summary: What the method does, in one line.
        builder: The module with the function ``build``, loaded when an anonymizer is built; see
            `anon_tune.methods.building`.
        source: The paper, and how we differ from it; empty if there is none.
        is_trained: False for a closed-form method.
        arguments: The arguments of a closed-form method.
        section: The recipe section of the method, with a default for every value. Its values are named
            ``<name of the method>.<field>``.
        fixes: Values of the shared recipe that make the method what it is; users cannot change them.
        sets: Values of the shared recipe that a field of the section sets: flat dotted name to field.
        defaults: Values of the shared recipe whose default is another one for this method, by flat dotted name.
        uses: Parts of the shared recipe that the method depends on, from `GAME`. Other parts are not searched for it.
        needs: What the method needs besides single frames.
        least_frames: Frames that a clip must have at least.
        attackers: Names of the method's own attackers, which attack it together with those of the recipe.
        check_clips: Raises a `RecipeError` if a recipe of the method cannot be trained on clips of so many frames. It
            takes the recipe, the frames per clip, and the file that the recipe came from. None if any clip will do.
        release: Returns what differential privacy a video of the method keeps, with its unit, from the values of its
            arguments. None if it keeps none.
    """

    name: str
    summary: str
    builder: str
    source: str = ""
    is_trained: bool = False
    arguments: tuple[Argument, ...] = ()
    section: type[Part] | None = None
    fixes: Mapping[str, Value] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Value] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    needs: frozenset[Need] = frozenset()
    least_frames: int = 1
    attackers: tuple[str, ...] = ()
    check_clips: Callable[[Recipe, int, str], None] | None = None
    release: Callable[[Mapping[str, Value]], str] | None = None

    def owns(self, name: str) -> bool:
        """True if the method itself fixes or sets this value of the shared recipe, given by its flat dotted name."""
        return any(name == own or name.startswith(f"{own}.") for own in (*self.fixes, *self.sets))

    def has_use(self, name: str) -> bool:
        """True if the method uses the value with this flat dotted name, so that a search may vary it."""
        part, _, rest = name.partition(".")
        if part == self.name:
            return bool(rest)
        if part == "dp":  # private training is a property of the game, not of a method
            return self.is_trained and "training" in self.uses
        return part in self.uses and not self.owns(name)

    @property
    def example(self) -> str:
        """The method with the default of its first argument, as users write it, for example ``blur:2.0``."""
        first = next(iter(self.arguments), None)
        if first is None:
            return self.name
        if first.is_text:
            return f"{self.name}:{first.default}"
        value = f"{first.name}={first.default}" if first.choices else str(first.default)
        return f"{self.name}:{value}"


def release_text(values: Mapping[str, Value], unit: str) -> str:
    """Return what a private release keeps, for methods whose arguments include epsilon and delta."""
    epsilon, delta = float(values["epsilon"]), float(values["delta"])
    return (
        f"Differentially private release, epsilon {epsilon:g} at delta {delta:g}. Unit: {unit}, whose content may be "
        "replaced by any other. A person appears in many such units, and then epsilon grows with their number. "
        "Anonymizing the same video again costs epsilon again. Sound, and the original that --preview shows, are not "
        "covered."
    )
