"""What a private study needs before it begins: the size of what is protected, and a drawn number of trials."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from anon_tune.accounting import NumberLaw
from anon_tune.errors import StudyError, UsageError
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.clips import Clips
    from anon_tune.search import SearchSpace
    from anon_tune.study import StudySettings


def privacy_settings(
    space: SearchSpace, settings: StudySettings, clips: Clips, study: StudyDirectory
) -> dict[str, Any]:
    """Check a study's privacy, and return the settings that belong to it; none for a study that is not private.

    Raises:
        UsageError: It promises what it cannot keep, or the law drew no trial at all.
    """
    from anon_tune.study import load_study
    from anon_tune.study.privacy import Protected, check_privacy, is_private

    train = clips.split("train")
    protected = Protected(len(train), len(set(train.groups)))
    check_privacy(space, settings, protected)
    if not is_private(space):
        return {}
    found: dict[str, Any] = {"protected_clips": protected.num_clips, "protected_groups": protected.num_groups}
    if settings.drawn:
        known = load_study(study)[1] if study.frozen.exists() else None
        same = known is not None and known.drawn == settings.drawn  # a second draw would not follow the law
        found["num_trials"] = known.num_trials if known is not None and same else _draw(settings.drawn)
    return found


def check_longer(settings: StudySettings) -> None:
    """Refuse to make a study longer whose number of trials was drawn.

    Raises:
        StudyError: The number was drawn.
    """
    if settings.drawn:
        rule = f"must stay the number that was drawn by {settings.drawn}"
        raise StudyError("--trials", rule, remedy="Leave --trials out, or begin a new study")


def _draw(law: str) -> int:
    number = NumberLaw.parse(law).draw(secrets.randbelow(2**53) / 2**53)  # a seed would make it predictable
    if number == 0:
        rule = f"{law} drew no trial, and so nothing is trained or released. This belongs to the law"
        raise UsageError("--draw-trials", rule, remedy="Do not draw again, or the claim is void")
    return number
