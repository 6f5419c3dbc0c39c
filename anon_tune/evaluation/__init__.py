"""The measurement: metrics, fresh attackers, the score of an anonymizer and its audit.

Shapes in this room: B clips, T frames per clip, N test clips, C channels, H height, W width,
A attributes, K actions.
"""

from anon_tune.evaluation.audit import Audit
from anon_tune.evaluation.baseline import Baseline, make_baseline
from anon_tune.evaluation.certify import certify
from anon_tune.evaluation.clip_counts import count_data
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.lab import Lab
from anon_tune.evaluation.metrics import average_precisions, bootstrap_interval, class_mean_ap, top1
from anon_tune.evaluation.network_attacker import fit, predict
from anon_tune.evaluation.raw_networks import RawNetworks, raw_networks
from anon_tune.evaluation.score import anonymize_split, measure
from anon_tune.evaluation.stop_rules import FixedSteps, Plateau

__all__ = [
    "Audit",
    "Baseline",
    "Effort",
    "FixedSteps",
    "Lab",
    "Plateau",
    "RawNetworks",
    "anonymize_split",
    "average_precisions",
    "bootstrap_interval",
    "certify",
    "class_mean_ap",
    "count_data",
    "fit",
    "make_baseline",
    "measure",
    "predict",
    "raw_networks",
    "top1",
]
