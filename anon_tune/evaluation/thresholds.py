"""AUC, balanced accuracy and F1 of one private attribute; thresholds come from validation clips.

Shapes: N clips, M validation clips.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anon_tune.certificate import Attribute
from anon_tune.evaluation.metrics import Floats

Labels = NDArray[np.uint8]
Measure = Callable[[NDArray[np.bool_], Labels], Floats]


def balanced_accuracy(yes: NDArray[np.bool_], labels: Labels) -> Floats:
    """Return the mean of sensitivity and specificity of decisions (...,N) against labels (N,) of both kinds."""
    positive = labels.astype(bool)
    hit, correct_no = yes[..., positive].mean(axis=-1), ~yes[..., ~positive]
    return np.asarray((hit + correct_no.mean(axis=-1)) / 2)


def f1(yes: NDArray[np.bool_], labels: Labels) -> Floats:
    """Return the F1 of decisions (...,N) against labels (N,) with a positive among them."""
    hits = (yes & labels.astype(bool)).sum(axis=-1)
    return np.asarray(2 * hits / (yes.sum(axis=-1) + labels.sum()))


def best_threshold(scores: Floats, labels: Labels, measure: Measure) -> float:
    """Return the threshold with the best measure on validation scores (M,); a score above it means yes.

    Candidates lie midway between neighbouring scores, and at minus infinity, where the answer is always yes. Among
    equals the lowest wins, which says yes most often.
    """
    distinct = np.unique(scores)
    thresholds = np.append(-np.inf, (distinct[1:] + distinct[:-1]) / 2)
    values = [float(measure(scores > threshold, labels)) for threshold in thresholds]
    return float(thresholds[int(np.argmax(values))])


def read_attribute(name: str, val: tuple[Floats, Labels], test: tuple[Floats, Labels]) -> Attribute:
    """Read one attribute: scores and labels on the validation split (M,) and on the test split (N,)."""
    from sklearn.metrics import average_precision_score, roc_auc_score  # loads slowly, and a trial needs none of it

    scores, labels = test
    share = float(labels.mean())
    balanced, single = (
        float(measure(scores > best_threshold(*val, measure), labels)) for measure in (balanced_accuracy, f1)
    )
    return Attribute(
        name=name,
        ap=float(average_precision_score(labels, scores)),
        ap_floor=share,
        auc=float(roc_auc_score(labels, scores)),
        balanced_accuracy=balanced,
        f1=single,
        f1_always_yes=2 * share / (1 + share),
        num_positives=int(labels.sum()),
    )
