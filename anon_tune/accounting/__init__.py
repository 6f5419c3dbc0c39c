"""Differential privacy: epsilon from mechanism and steps, and what a search costs. It loads no torch."""

from anon_tune.accounting.canary_bound import canary_epsilon, guess_p_value
from anon_tune.accounting.gaussian import gaussian_delta, gaussian_epsilon, gaussian_noise_multiplier
from anon_tune.accounting.mechanism import Phase, delta, epsilon, noise_multiplier_for, replacement_epsilon
from anon_tune.accounting.selection import LAWS, NumberLaw, selection_epsilon
from anon_tune.accounting.verifier import Verdict, draws_for_ratio, draws_needed, estimate_delta, overall_delta, verify

__all__ = [
    "LAWS",
    "NumberLaw",
    "Phase",
    "Verdict",
    "canary_epsilon",
    "delta",
    "draws_for_ratio",
    "draws_needed",
    "epsilon",
    "estimate_delta",
    "gaussian_delta",
    "gaussian_epsilon",
    "gaussian_noise_multiplier",
    "guess_p_value",
    "noise_multiplier_for",
    "overall_delta",
    "replacement_epsilon",
    "selection_epsilon",
    "verify",
]
