from __future__ import annotations

from anon_tune.search.trained import has_trained_method
from anon_tune.trial import LossPoint, Reading, RungReport, Score, Trial, TrialState

READING = Reading(0.5, 0.2, 1.0, 0.5, 0.5, validation=0.5)


def trial(method: str, curve: tuple[LossPoint, ...], measured: bool = True) -> Trial:
    score = Score(True, READING, READING, {}, {}, 0.0, 1, 1, 0, 0.1)
    report = RungReport("0000", 0, 10, score, curve, 1.0, "here", "")
    return Trial("0000", 0, method, {}, "", TrialState.COMPLETE, (report,) if measured else ())


LOSSES = (LossPoint(1, {"utility": 1.0}),)


def test_a_trial_is_trained_if_its_method_is() -> None:
    assert all(has_trained_method(trial("adversarial", curve, on)) for curve, on in ((LOSSES, True), ((), False)))
    assert not any(has_trained_method(trial("blur:4", curve, on)) for curve, on in (((), True), ((), False)))


def test_of_a_method_that_is_not_installed_losses_tell_whether_it_is_trained() -> None:
    assert has_trained_method(trial("of-somebody-else", LOSSES))
    assert has_trained_method(trial("of-somebody-else", (), measured=False))
    assert not has_trained_method(trial("of-somebody-else", ()))
