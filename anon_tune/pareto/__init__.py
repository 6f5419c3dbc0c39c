"""Dominance, hypervolume, the front of a study and the pick from it."""

from __future__ import annotations

from anon_tune.pareto.document import front_document
from anon_tune.pareto.dominance import coverage, front_ranks, hypervolume
from anon_tune.pareto.front import ParetoFront, Progress, ReferencePoint, progress

__all__ = [
    "ParetoFront",
    "Progress",
    "ReferencePoint",
    "coverage",
    "front_document",
    "front_ranks",
    "hypervolume",
    "progress",
]
