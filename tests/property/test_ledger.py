from __future__ import annotations

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st

from anon_tune.ledger import Ledger
from anon_tune.trial import Cost, LossPoint, Reading, Repeat, RungReport, Score, Trial, TrialState

numbers = st.floats(allow_nan=False)
counts = st.integers(0, 2**40)
# Parquet holds UTF-8, which has no lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
readings = st.builds(Reading, *[numbers] * 6)
values = st.dictionaries(texts, numbers, max_size=3)
scores = st.builds(
    Score, st.booleans(), readings, readings, values, values, numbers, counts, counts, counts, numbers, numbers
)
costs = st.builds(Cost, numbers, numbers, numbers)


def curves_of(terms: list[str]) -> st.SearchStrategy[tuple[LossPoint, ...]]:
    points = st.builds(LossPoint, counts, st.fixed_dictionaries({term: numbers for term in terms}))
    return st.lists(points, max_size=3).map(tuple)


curves = st.lists(st.text(min_size=1), max_size=3, unique=True).flatmap(curves_of)
params = st.dictionaries(texts, st.booleans() | st.integers(-(2**70), 2**70) | numbers | texts, max_size=4)


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    name = f"{draw(st.integers(0, 9999)):04d}"
    steps = st.tuples(scores, curves, st.floats(0, 1e6), texts, texts, costs, st.floats(0))
    reports = tuple(
        RungReport(name, rung, rung + 1, *rest) for rung, rest in enumerate(draw(st.lists(steps, max_size=3)))
    )
    state = draw(st.sampled_from([s for s in TrialState if s.is_final]))
    repeats = tuple(st.builds(Repeat, st.just(k), counts, scores) for k in range(1, draw(st.integers(1, 3))))
    return Trial(
        id=name,
        number=int(name),
        method="adversarial",
        params=draw(params),
        fingerprint=draw(texts),
        state=state,
        reports=reports,
        reason=draw(texts),
        repeats=draw(st.tuples(*repeats)),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(trials(), max_size=3, unique_by=lambda t: t.id))
def test_whatever_is_recorded_comes_back(written: list[Trial]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder)
        for trial in written:
            for report in trial.reports:
                ledger.append(trial, report)
            ledger.append(trial)
            for repeat in reversed(trial.repeats):
                ledger.append_repeat(trial, repeat)
        read = Ledger(folder).trials()
    assert [t.id for t in read] == sorted(t.id for t in written)
    originals = {t.id: t for t in written}
    for trial in read:
        original = originals[trial.id]
        assert trial.reports == original.reports
        assert trial.repeats == original.repeats
        assert (trial.params, trial.state, trial.reason) == (original.params, original.state, original.reason)
        assert (trial.method, trial.fingerprint) == (original.method, original.fingerprint)
        assert trial.seconds == sum(r.seconds for r in original.reports)
