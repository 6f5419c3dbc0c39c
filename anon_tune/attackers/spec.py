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
        max_shift: Most by which a clip is shifted at random in training, as a part of the frame's shorter side; the
            same for all its frames. Shifts teach an attacker to ignore positions.
        mirrors: Mirror half of the clips in training, and read a clip and its mirror image together. Together with
            shifts it makes much of few clips. An attacker that has neither must be among those that are tried: a
            trained anonymizer may keep information at one position, or on one side.
    """

    name: str
    summary: str
    source: str
    build: Callable[[Setting], nn.Module | Attacker]
    inputs: tuple[str, ...] = ()
    max_shift: float = 0.0
    mirrors: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", self.name) or self.name == COMMITTEE:
            rule = f"an attacker's name is letters, digits and '_.:-', and not '{COMMITTEE}'"
            raise ValueError(f"{rule}, got '{self.name}'")
