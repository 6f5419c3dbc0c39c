"""What is known of an attacker before it is built."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Attacker, Setting
from anon_tune.certificate import COMMITTEE

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class AttackerSpec:
    """An attacker by name. It learns private attributes on the training split, and is read on splits it never saw.

    Attributes:
        name: As recipes, certificates and the ledger name it.
        summary: One line: what it looks at.
        source: Paper or code that it follows.
        build: Returns a network from clips (B,T,C,H,W) in [0, 1] to logits (B,A), which the lab trains, with fresh
            weights drawn from torch's generator; or an `Attacker`, which fits itself. Loads torch when it is called.
        inputs: Names of what it needs besides the frames; a network gets them as keyword arguments (B,...).
        max_shift: Most pixels by which clips are shifted at random in a training that ends at a plateau. Shifts teach
            the attacker to ignore positions. An attacker that looks at whole frames is trained without shifts, because
            a trained anonymizer may keep information at one position.
    """

    name: str
    summary: str
    source: str
    build: Callable[[Setting], nn.Module | Attacker]
    inputs: tuple[str, ...] = ()
    max_shift: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", self.name) or self.name == COMMITTEE:
            rule = f"an attacker's name is letters, digits and '_.:-', and not '{COMMITTEE}'"
            raise ValueError(f"{rule}, got '{self.name}'")
