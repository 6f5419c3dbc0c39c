"""Dominance and hypervolume of rows of losses.

Shapes: n rows, m losses per row, m at least 2. Every loss is minimized. A row with a NaN or an infinite value is never
on a front and never influences another row.
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

_WORSE = 0.1  # distance of the default reference from the worst value of a loss, as a fraction of the loss's range
_LEAST_RANGE = 1e-9  # below this range all rows agree in a loss, and a range of 1 is used; it scales all rows alike


def front_ranks(losses: ArrayLike) -> NDArray[np.int64]:
    """Return the front rank of every row.

    A row dominates another row if it is larger in no loss and smaller in at least one. Front rank 0 holds the rows that
    no row dominates, front rank 1 the rows that no row dominates once front rank 0 is removed, and so on. Equal rows do
    not dominate each other and have the same front rank.

    Args:
        losses: (n, m), minimized; not changed.

    Returns:
        (n,) front ranks counted from 0; -1 for a row that is not finite.

    Source:
        Nondominated sorting, Deb et al. 2002 (NSGA-II), computed by moocore. It is only given finite rows, because it
        compares NaN as if it were a number.

    Example:
        >>> front_ranks([[0.2, 0.5], [0.3, 0.4], [0.3, 0.6], [float("nan"), 0.0]]).tolist()
        [0, 0, 1, -1]
    """
    rows = np.asarray(losses, dtype=float)
    finite = _finite(rows)
    ranks = np.full(len(rows), -1, dtype=np.int64)
    if finite.any():
        ranks[finite] = moocore.pareto_rank(rows[finite])
    return ranks


def hypervolume(losses: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume between the rows and a reference point.

    ``volume { y : some row <= y <= reference }``. A row adds nothing unless it is smaller than the reference in every
    loss.

    Args:
        losses: (n, m), minimized; not changed.
        reference: (m,), finite.

    Returns:
        At least 0, in the product of the units of the losses; 0 if there are no rows.

    Example:
        >>> hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0])
        3.0
    """
    rows = np.asarray(losses, dtype=float)
    kept = rows[_finite(rows)]
    return float(moocore.hypervolume(kept, np.asarray(reference, dtype=float))) if len(kept) else 0.0


def coverage(losses: ArrayLike, reference: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the exclusive hypervolume of every row: the part that no other row covers.

    ``HV(S) - HV(S without the row)``, so a dominated row and each of two equal rows cover 0.

    Args:
        losses: (n, m), minimized; not changed.
        reference: (m,), finite; None for the worst finite value of each loss plus a tenth of its range, so that the
            ends of a front cover something too.

    Returns:
        (n,) hypervolumes of at least 0; 0 for a row that is not finite.

    Example:
        >>> coverage([[1.0, 2.0], [2.0, 1.0], [2.5, 2.5]], [3.0, 3.0]).tolist()
        [1.0, 1.0, 0.0]
    """
    rows = np.asarray(losses, dtype=float)
    finite = _finite(rows)
    covered = np.zeros(len(rows))
    if finite.any():
        kept = rows[finite]
        if reference is None:
            reference = default_reference(kept)
        point = np.asarray(reference, dtype=float)
        if rows.shape[1] == 2:
            covered[finite] = moocore.hv_contributions(kept, point, ignore_dominated=False)
        else:  # with more than two losses, moocore treats losses that differ by less than about 1e-7 as equal
            whole = moocore.hypervolume(kept, point)
            without = [moocore.hypervolume(np.delete(kept, i, axis=0), point) for i in range(len(kept))]
            covered[finite] = np.maximum(whole - np.array(without), 0.0)
    return covered


def default_reference(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the default reference point, (m,): the worst value of each loss plus a tenth of its range.

    Args:
        rows: (n, m), finite, n at least 1.
    """
    worst = rows.max(axis=0)
    spread = worst - rows.min(axis=0)
    return np.asarray(worst + _WORSE * np.where(spread > _LEAST_RANGE, spread, 1.0))


def _finite(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (n,) True for every row of finite values; an empty list has no rows."""
    return np.asarray(np.isfinite(rows).all(axis=1)) if rows.size else np.zeros(len(rows), dtype=bool)
