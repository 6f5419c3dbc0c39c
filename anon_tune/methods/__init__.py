"""Methods: one file or folder each, with a spec that loads without torch and a builder that is loaded on demand.

To add one: write its folder (``__init__.py`` with a `MethodSpec`, a builder module with ``build``) and name it in
`anon_tune.methods.table`, or name its spec as an entry point ``anon_tune.methods`` of a package of your own.
"""

from anon_tune.methods.building import Builder, attackers_of, build_anonymizer, load_builder, trainer_of
from anon_tune.methods.method import Method, find, is_trained, release_of
from anon_tune.methods.recipes import check_name, defaults_of, make_recipe, method_of, read_recipe, recipe_names
from anon_tune.methods.spec import GAME, Argument, MethodSpec
from anon_tune.methods.start import check_start
from anon_tune.methods.table import METHODS, names, specs

__all__ = [
    "GAME",
    "METHODS",
    "Argument",
    "Builder",
    "Method",
    "MethodSpec",
    "attackers_of",
    "build_anonymizer",
    "check_name",
    "check_start",
    "defaults_of",
    "find",
    "is_trained",
    "load_builder",
    "make_recipe",
    "method_of",
    "names",
    "read_recipe",
    "recipe_names",
    "release_of",
    "specs",
    "trainer_of",
]
