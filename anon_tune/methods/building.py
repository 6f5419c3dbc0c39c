"""Builds the anonymizer of a recipe. The module that builds a method is loaded only when it is needed.

The module that a spec names as its builder has the function::

    def build(recipe: Recipe, **arguments) -> Anonymizer     takes the arguments of a closed-form method, by name

and, if the method needs them, these functions::

    def hooks(recipe: Recipe) -> GameHooks                   returns what the method adds to the game
    def trainer(...) -> TrialTrainer                         replaces the game
    def attacker_inputs(recipe: Recipe) -> AttackerInputs    returns what the method's own attackers get besides frames

They find the method's own section in ``recipe.section``. Weights to start from are loaded here, not by the builder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from anon_tune.errors import RecipeError, UsageError, cause_of
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
    """The functions of a builder module; None for those that it does not have.

    Attributes:
        build: Returns the anonymizer of a recipe and arguments.
        hooks: Returns what the method adds to the game.
        trainer: Returns a trainer that replaces the game. It takes the arguments of `anon_tune.training.Trainer`
            without ``hooks`` and ``start``.
        attacker_inputs: Returns what the method's own attackers get besides the frames.
    """

    build: Callable[..., Anonymizer]
    hooks: Callable[[Recipe], GameHooks] | None = None
    trainer: Callable[..., TrialTrainer] | None = None
    attacker_inputs: Callable[[Recipe], AttackerInputs] | None = None


def load_builder(spec: MethodSpec) -> Builder:
    """Load the builder module of a method. This loads torch too.

    Raises:
        UsageError: The module cannot be loaded, or has no function ``build``.
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
    """Build the anonymizer of a recipe. A trained method starts with fresh weights or those of a local file.

    Raises:
        RecipeError: The method or an argument is unknown.
        UsageError: The package that adds the method is broken.
        DataError: The file of weights does not fit the network.
    """
    from anon_tune.networks.weights import load_anonymizer_weights

    method = find(recipe.method)
    anonymizer = load_builder(method.spec).build(recipe, **method.values)
    if method.is_trained:
        load_anonymizer_weights(anonymizer, recipe.anonymizer.weights)
    return anonymizer


def attackers_of(recipe: Recipe) -> tuple[tuple[str, ...], AttackerInputs | None]:
    """Return the names of the attackers that a recipe's method adds, and the function that makes their inputs."""
    spec = find(recipe.method).spec
    made = load_builder(spec).attacker_inputs if spec.attackers else None
    return spec.attackers, made(recipe) if made is not None else None


def trainer_of(recipe: Recipe) -> Callable[..., TrialTrainer]:
    """Return what trains a recipe's method: the method's own trainer, or the game with the method's hooks.

    The result takes the arguments of `anon_tune.training.Trainer` without ``hooks`` and ``start``.
    """
    from anon_tune.training import GameHooks, PrivateTrainer, Trainer

    builder = load_builder(find(recipe.method).spec)
    if builder.trainer is not None:
        if recipe.dp.is_on:
            rule = "private training ('dp') is training of the game, and the method trains in another way"
            raise RecipeError("recipe", rule, recipe.method, "Leave 'dp' out, or choose the method 'adversarial'")
        return builder.trainer
    hooks = builder.hooks(recipe) if builder.hooks is not None else GameHooks()
    start = recipe.anonymizer.start
    imitated = None if start == "identity" else build_anonymizer(Recipe(method=start))
    kind = PrivateTrainer if recipe.dp.is_on else Trainer
    return partial(kind, hooks=hooks, start=imitated)
