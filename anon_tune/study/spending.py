"""The cost of a study, and the stop rules that end it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from anon_tune.pareto import Staircase
from anon_tune.search.parameters import StopRules
from anon_tune.search.score_losses import score_losses
from anon_tune.study.settings import StudySettings
from anon_tune.trial import ANCHORS, Cost, Trial, TrialState, losses

PRICE_LABEL = "anon-tune.price-per-hour"
_LEAST_GROWTH = 1e-3


@dataclass(frozen=True, slots=True)
class Node:
    """What the cost of a node depends on.

    Attributes:
        name: Host name of the node.
        resources: Its resources, by Ray's names.
        price_per_hour: Its price, in the currency of the cluster file; 0 if the file gives none.
    """

    name: str
    resources: Mapping[str, float]
    price_per_hour: float = 0.0


@dataclass(slots=True)
class Prices:
    """Computes the cost of a job from its seconds.

    Attributes:
        cpus: CPUs that a trial reserves for all its workers together.
        gpus: GPUs that a trial reserves for all its workers together.
        find: Lists the nodes of the cluster. It is called again for a node that it has not listed before.
    """

    cpus: float = 0.0
    gpus: float = 0.0
    find: Callable[[], Iterable[Node]] = tuple
    _nodes: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: StudySettings, find: Callable[[], Iterable[Node]]) -> Prices:
        """Return the prices of jobs with these settings on these nodes."""
        workers = settings.workers_per_trial
        return cls(settings.cpus_per_worker * workers, settings.gpus_per_worker * workers, find)

    def remember(self, name: str) -> Node:
        """Return a node by its name, and keep it, so that its price is still known when it is lost."""
        if name not in self._nodes:
            self._nodes |= {name: Node(name, {})} | {node.name: node for node in self.find()}
        return self._nodes[name]

    def cost(self, name: str, seconds: float) -> Cost:
        """Return the cost of a job on a node.

        The money is a share of the node's price: the share of its CPUs or of its GPUs that the job reserved, whichever
        is larger.
        A trial of several workers is priced as if all ran on nodes like that of the first one.
        """
        node, money = self.remember(name), 0.0
        if node.price_per_hour:
            needs = {"CPU": self.cpus, "GPU": self.gpus}
            shares = [need / node.resources[name] for name, need in needs.items() if node.resources.get(name)]
            share = max(shares, default=0.0)
            money = seconds / 3600 * node.price_per_hour * share
        return Cost(seconds * self.cpus, seconds * self.gpus, money)


@dataclass
class Spending:
    """Adds up the cost of a study and says when to stop handing out trials.

    Attributes:
        rules: The stop rules of the study.
        clock: Returns the time in seconds.
        total: Cost so far, including that of earlier drivers.
        epsilon_spent: Returns why the privacy of the study allows no further trial; empty if it does.
    """

    rules: StopRules
    clock: Callable[[], float]
    total: Cost = field(default_factory=Cost)
    epsilon_spent: Callable[[], str] = str
    _started: float = field(init=False)
    _front: Staircase | None = None  # None until the identity anchor sets the reference point
    _volume: float = 0.0
    _marked_volume: float = 0.0
    _stalled: set[str] = field(default_factory=set)  # trials that ended since the hypervolume last grew
    _reason: str = ""

    def __post_init__(self) -> None:
        """Start the clock."""
        self._started = self.clock()

    def add(self, cost: Cost) -> None:
        """Add the cost of a job."""
        self.total += cost

    def end(self, trial: Trial) -> None:
        """Add a trial that ended, or that waits at a rung until others have come as far."""
        if trial.id == ANCHORS[0] and trial.score is not None:
            self._front = Staircase(losses(trial.score.leakage.validation, trial.score.accuracy.floor))
        if trial.is_anchor:
            return
        self._stalled.add(trial.id)
        if trial.state is not TrialState.COMPLETE or not trial.is_feasible:
            return
        if trial.score is not None and self._front is not None:
            self._volume += self._front.add(score_losses(trial.score))
        if self._volume > self._marked_volume * (1 + _LEAST_GROWTH):
            self._marked_volume = self._volume
            self._stalled.clear()

    @property
    def reason(self) -> str:
        """Return which stop rule ends the study; empty if none does yet."""
        self._reason = self._reason or self._first_rule_met()
        return self._reason

    def _first_rule_met(self) -> str:
        rules = self.rules
        spent = [
            ("seconds", rules.seconds, self.clock() - self._started),
            ("GPU-hours", rules.gpu_hours, self.total.gpu_s / 3600),
            ("money", rules.money, self.total.money),
        ]
        for name, limit, value in spent:
            if limit is not None and value >= limit:
                return f"{value:.4g} of {limit:g} {name} are spent"
        if rules.stall_trials is not None and len(self._stalled) >= rules.stall_trials:
            return f"the hypervolume has not grown while {len(self._stalled)} trials ended"
        return self.epsilon_spent()
