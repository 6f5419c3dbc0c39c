"""A study as a page shows it, and where the page finds the pictures of its trials."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from anon_tune.certificate import Certificate
from anon_tune.folder import File
from anon_tune.pareto import ParetoFront
from anon_tune.study.certified import certificates_of
from anon_tune.study.frozen_study import FrozenFacts, frozen_facts
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial


class Media(Protocol):
    """Gives the addresses of a trial's pictures, to be written into a page; an address is empty if there is no file.

    Attributes:
        page: Address of the study's own page; empty if it has none.
    """

    page: str

    def still(self, trial_id: str) -> str:
        """Return the address of the still preview."""
        ...

    def clip(self, trial_id: str) -> str:
        """Return the address of the moving preview."""
        ...


class EmbeddedMedia:
    """Gives addresses that hold the whole file, for a page that needs no other file.

    Args:
        study: The study directory, which holds the previews.
    """

    page = ""

    def __init__(self, study: StudyDirectory) -> None:
        self._study = study

    def still(self, trial_id: str) -> str:
        """Return the still preview as a data address."""
        return _embedded(self._study.trial(trial_id).preview, "image/png")

    def clip(self, trial_id: str) -> str:
        """Return the moving preview as a data address."""
        return _embedded(self._study.trial(trial_id).moving_preview, "video/webm")


def _embedded(file: File, kind: str) -> str:
    if not file.exists():
        return ""
    return f"data:{kind};base64,{base64.b64encode(file.read()).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class ShownStudy:
    """A study as a page shows it.

    Attributes:
        study: The study directory.
        trials: All trials of the ledger.
        front: Their front.
        facts: What its frozen copy says; empty if there is none.
        certificates: Certificates of trials whose numbers hold, by trial id.
        importance: Share of each param in each objective, in [0, 1], by objective and param.
        media: Where the page finds the pictures of trials.
    """

    study: StudyDirectory
    trials: Sequence[Trial]
    front: ParetoFront
    facts: FrozenFacts
    certificates: Mapping[str, Certificate]
    importance: Mapping[str, Mapping[str, float]]
    media: Media

    @classmethod
    def of(
        cls,
        study: StudyDirectory,
        trials: Sequence[Trial],
        importance: Mapping[str, Mapping[str, float]] | None = None,
        media: Media | None = None,
    ) -> ShownStudy:
        """Gather what a page shows about a study whose trials were read already.

        Raises:
            StudyError: The frozen copy or a certificate cannot be read.
        """
        return cls(
            study=study,
            trials=trials,
            front=ParetoFront.of(trials),
            facts=frozen_facts(study) if study.frozen.exists() else FrozenFacts(),
            certificates=certificates_of(study, trials),
            importance=importance or {},
            media=media or EmbeddedMedia(study),
        )
