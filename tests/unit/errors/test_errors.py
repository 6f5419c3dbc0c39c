from __future__ import annotations

import pickle

import pytest

from anon_tune import errors
from anon_tune.errors import AnonTuneError, suggest

KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, AnonTuneError)]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("a.toml", "must be at least 0"), "a.toml: must be at least 0."),
        (("a.toml", "must be at least 0", -1), "a.toml: must be at least 0, got -1."),
        (("--size", "must be HxW", "4by4"), "--size: must be HxW, got 4by4."),
        (("a.toml", "unknown name 'x'", None, "Did you mean 'y'?"), "a.toml: unknown name 'x'. Did you mean 'y'?"),
        (("a", "must be b", 0, "Change it"), "a: must be b, got 0. Change it."),
        (("a", "is over!", None, "Go home."), "a: is over! Go home."),
        (("a", "cannot be read", None, "Try b", "No such file."), "a: cannot be read: No such file. Try b."),
        (("a", "cannot be used", "x", "", "refused"), "a: cannot be used: refused, got x."),
    ],
)
def test_a_message_has_one_form(parts: tuple[object, ...], message: str) -> None:
    assert str(AnonTuneError(*parts)) == message  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_an_error_survives_pickling(kind: type[AnonTuneError]) -> None:
    error = kind("step 3", "the loss must be finite", float("inf"), "Lower a weight", cause="overflow")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error) == "step 3: the loss must be finite: overflow, got inf. Lower a weight."
    assert (back.where, back.rule, back.got) == (error.where, error.rule, error.got)
    assert (back.remedy, back.cause) == (error.remedy, error.cause)


def test_suggest_names_the_nearest_or_all() -> None:
    known = ["penalty.weight", "penalty.on", "training.seed"]
    assert suggest("penalty.wieght", known) == "Did you mean 'penalty.weight'?"
    assert suggest("zzz", ["b", "a"]) == "Known: a, b"
