"""Dominance and hypervolume, the front of a study, and the choice of one trial from it, called the pick."""

from __future__ import annotations

from anon_tune.pareto.agreement import RungAgreement, rank_correlation, rung_agreement
from anon_tune.pareto.dominance import coverage, default_reference, front_ranks, hypervolume
from anon_tune.pareto.empty_front import Cause, EmptyFront
from anon_tune.pareto.front import ParetoFront, ReferencePoint, front_candidates
from anon_tune.pareto.front_table import FrontRow, FrontTable
from anon_tune.pareto.growth import GrowthPoint, Staircase, growth
from anon_tune.pareto.picks import Limit, Pickable
from anon_tune.pareto.repeats import (
    FEWEST_REPEATS,
    LEVELS,
    RepeatsNeeded,
    attainment,
    attainment_surfaces,
    front_probabilities,
    judged_scores,
    repeats_needed,
)

__all__ = [
    "FEWEST_REPEATS",
    "LEVELS",
    "Cause",
    "EmptyFront",
    "FrontRow",
    "FrontTable",
    "GrowthPoint",
    "Limit",
    "ParetoFront",
    "Pickable",
    "ReferencePoint",
    "RepeatsNeeded",
    "RungAgreement",
    "Staircase",
    "attainment",
    "attainment_surfaces",
    "coverage",
    "default_reference",
    "front_candidates",
    "front_probabilities",
    "front_ranks",
    "growth",
    "hypervolume",
    "judged_scores",
    "rank_correlation",
    "repeats_needed",
    "rung_agreement",
]
