"""The spec of an attacker: what is known about the attacker before it is built."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Attacker, Setting
from anon_tune.certificate import COMMITTEE

if TYPE_CHECKING:
    from torch import nn


MANY_CLIPS = 100
"""From this mean number of positive clips per attribute on, clips are many: attackers see no random views."""


@dataclass(frozen=True)
class AttackerSpec:
    """An attacker by name. It learns private attributes on the training split, and is measured on other splits.

    Attributes:
        name: Its name in recipes, certificates and the ledger.
        summary: One line: what it looks at.
        source: The paper or code that it follows.
        build: Builds a network or an `Attacker`. A network maps clips (B,T,C,H,W) in [0, 1] to logits (B,A); its fresh
            weights come from torch's global generator, and the lab trains it. An `Attacker` fits itself. Torch is
            loaded only when this function is called.
        inputs: Names of what it needs besides the frames; a network gets them as keyword arguments (B,...).
        pictures: Those of the inputs that are pictures (B,...,H,W) and are mirrored with their clip.
        max_shift: Largest random shift of a clip in training, as a fraction of the frame's shorter side; all frames of
            a clip shift alike. Shifts teach an attacker to ignore positions.
        mirrors: True to mirror half of the clips in training, and to score a clip and its mirror image together.
            Mirror images and shifts help where clips are few. An attacker without both must also be tried, because a
            trained anonymizer may keep information at one position or on one side.
        few_clips: True to leave it out where clips are many, see `MANY_CLIPS`.
        always_views: True to shift and mirror clips also where they are many, as large networks need.
        max_lr: Largest learning rate at which the lab trains it.

    Raises:
        ValueError: The name has other characters, or is that of the committee.
    """

    name: str
    summary: str
    source: str
    build: Callable[[Setting], nn.Module | Attacker]
    inputs: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    max_shift: float = 0.0
    mirrors: bool = False
    few_clips: bool = False
    always_views: bool = False
    max_lr: float = 1.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", self.name) or self.name == COMMITTEE:
            rule = f"an attacker's name must be letters, digits and '_.:-', and not '{COMMITTEE}'"
            raise ValueError(f"{rule}, got '{self.name}'")
