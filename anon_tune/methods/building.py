"""From a recipe to its anonymizer: the modules that build methods, loaded on demand.

The module that a spec names as its builder has::

    def build(recipe: Recipe, **arguments) -> Anonymizer     the arguments of a closed-form method, by name

and, where the method needs them::

    def hooks(recipe: Recipe) -> GameHooks                   terms and hooks of the game
    def trainer(...) -> TrialTrainer                         what trains a method that is no game, in place of the game
    def attacker_inputs(recipe: Recipe) -> AttackerInputs    what the method's own attackers get besides frames

Source of the section: ``recipe.section``. Weights to start from are loaded here, not by the builder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from anon_tune.errors import UsageError, cause_of
from anon_tune.methods.method import find
from anon_tune.methods.spec import MethodSpec
from anon_tune.recipe import Recipe

if TYPE_CHECKING:
    from anon_tune.attackers import AttackerInputs
    from anon_tune.networks import Anonymizer
    from anon_tune.training import GameHooks, TrialTrainer

_REMEDY = "Fix the package that brings it, or uninstall it"


@dataclass(frozen=True, slots=True)
class Builder:
    """What the builder module of a method offers; None for what it does not.

    Attributes:
        build: Recipe and arguments to anonymizer.
        hooks: Recipe to the hooks of the game.
        trainer: Makes what trains the method in place of the game; takes what `anon_tune.training.Trainer` takes but
            hooks.
        attacker_inputs: Recipe to what the method's attackers get besides the frames.
    """

    build: Callable[..., Anonymizer]
    hooks: Callable[[Recipe], GameHooks] | None = None
    trainer: Callable[..., TrialTrainer] | None = None
    attacker_inputs: Callable[[Recipe], AttackerInputs] | None = None


def load_builder(spec: MethodSpec) -> Builder:
    """Load the builder of a method, and torch with it.

    Raises:
        UsageError: It cannot be loaded, or has no ``build``.
    """
    where = f"method '{spec.name}'"
    try:
        module = import_module(spec.builder)
    except (Exception, SystemExit) as error:  # a package of somebody else may raise anything
        rule = f"its builder '{spec.builder}' cannot be loaded"
        raise UsageError(where, rule, remedy=_REMEDY, cause=cause_of(error)) from error
    if not callable(getattr(module, "build", None)):
        rule = f"its builder '{spec.builder}' must have a function 'build'"
        raise UsageError(where, rule, remedy=_REMEDY)
    return Builder(module.build, *(_offered(module, name) for name in ("hooks", "trainer", "attacker_inputs")))


def _offered(module: ModuleType, name: str) -> Callable[..., Any] | None:
    return getattr(module, name, None)


def build_anonymizer(recipe: Recipe) -> Anonymizer:
    """Build the anonymizer of a recipe; a trained one with fresh weights or those of a local file.

    Raises:
        RecipeError: Unknown method or argument.
        UsageError: The package that brings the method is broken.
        DataError: The file of weights does not fit the network.
    """
    from anon_tune.networks import load_weights

    method = find(recipe.method)
    anonymizer = load_builder(method.spec).build(recipe, **method.values)
    if method.is_trained:
        load_weights(anonymizer, recipe.anonymizer.weights)
    return anonymizer


def attackers_of(recipe: Recipe) -> tuple[tuple[str, ...], AttackerInputs | None]:
    """Return the attackers that a recipe's method brings, and what gives them more than the frames."""
    spec = find(recipe.method).spec
    made = load_builder(spec).attacker_inputs if spec.attackers else None
    return spec.attackers, made(recipe) if made is not None else None


def trainer_of(recipe: Recipe) -> Callable[..., TrialTrainer]:
    """Return what trains a recipe's method: a trainer of its own, or the game with the method's hooks.

    Call the result with what `anon_tune.training.Trainer` takes.
    """
    from anon_tune.training import Trainer

    builder = load_builder(find(recipe.method).spec)
    if builder.trainer is not None:
        return builder.trainer
    return partial(Trainer, hooks=builder.hooks(recipe)) if builder.hooks is not None else Trainer
