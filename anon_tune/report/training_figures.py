"""Figures of how trials went: who survived which rung, and the losses on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from anon_tune.pareto import ParetoFront
from anon_tune.report.chart import BLUE, CYCLE, GREEN, MUTED, ORANGE, VERMILLION, Chart, axis
from anon_tune.report.wording import text
from anon_tune.trial import Trial, TrialState

_FATES = {
    "went on": SKY_OR_BLUE if (SKY_OR_BLUE := "#56B4E9") else BLUE,
}
