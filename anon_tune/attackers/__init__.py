"""Attackers by name: models that try to infer private attributes from anonymized clips. Nothing here loads torch.

An attacker is one file: a spec, and a function that builds it. Ours are in `ATTACKERS`; installed packages add theirs
through the entry point ``anon_tune.attackers``.
"""

from anon_tune.attackers.protocol import Attacker, AttackerInputs, Fit, Setting
from anon_tune.attackers.spec import AttackerSpec
from anon_tune.attackers.table import ATTACKERS, check_attackers, find, specs_of

__all__ = [
    "ATTACKERS",
    "Attacker",
    "AttackerInputs",
    "AttackerSpec",
    "Fit",
    "Setting",
    "check_attackers",
    "find",
    "specs_of",
]
