"""Linkage: does the most similar clip in a gallery show a person with the same private labels?

Shapes: G gallery clips, Q query clips, D dimensions of an embedding, A attributes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anon_tune.certificate import Linkage
from anon_tune.evaluation.metrics import Floats, precisions

Labels = NDArray[np.uint8]


def link(gallery: Floats, query: Floats, gallery_labels: Labels, query_labels: Labels) -> Linkage | None:
    """Look up every query in a gallery by cosine similarity. Each of the two sets is centred on its own mean.

    A gallery clip is relevant if all its private labels are those of the query. Queries without a relevant clip are
    left out. The order among gallery clips of equal similarity does not matter.

    Args:
        gallery: Embeddings (G,D).
        query: Embeddings (Q,D) of clips that are not in the gallery.
        gallery_labels: Private labels (G,A).
        query_labels: Private labels (Q,A).

    Returns:
        Means over the queries; None if no query has a relevant clip.
    """
    relevant = (query_labels[:, None] == gallery_labels[None]).all(axis=2)
    known = relevant.any(axis=1)
    if not known.any():
        return None
    relevant = relevant[known]
    # Without rounding, noise in the last bits would order clips that look the same.
    similarity = (_unit(query)[known] @ _unit(gallery).T).round(9)
    first = similarity == similarity.max(axis=1, keepdims=True)
    ones = np.ones((1, len(gallery)))
    found = [
        float(precisions(s, r[None].astype(np.float64), ones)[0]) for s, r in zip(similarity, relevant, strict=True)
    ]
    return Linkage(
        rank1=float(((first & relevant).sum(axis=1) / first.sum(axis=1)).mean()),
        rank1_floor=float(relevant.mean()),
        mean_ap=float(np.mean(found)),
        mean_ap_floor=float(_random_order(relevant.sum(axis=1), len(gallery)).mean()),
    )


def _unit(embeddings: Floats) -> Floats:
    """Centre embeddings and scale them to length 1; an embedding at the centre stays there."""
    centred = (embeddings - embeddings.mean(axis=0)).round(5)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(length > 0, length, 1))


def _random_order(num_relevant: NDArray[np.int64], num: int) -> Floats:
    """Return the expected average precision of a random order of ``num`` clips."""
    harmonic = float((1 / np.arange(1, num + 1)).sum())
    share = (num_relevant - 1) / max(1, num - 1)
    return np.asarray((harmonic + share * (num - harmonic)) / num)
