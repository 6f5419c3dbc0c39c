"""An audit from start to end: anonymize and encode the clips, get the baseline, and compare with it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import anon_tune
from anon_tune.attackers import AttackerInputs, AttackerSpec
from anon_tune.certificate import Certificate, Subject
from anon_tune.clips import Clips, ClipSet, round_trip_split, spread_windows
from anon_tune.clips.manifest import SPLITS
from anon_tune.evaluation.baseline import Baseline, make_baseline
from anon_tune.evaluation.baseline import digest as digest_of_clips
from anon_tune.evaluation.certify import certify
from anon_tune.evaluation.clip_counts import count_data
from anon_tune.evaluation.membership import attack_membership, with_membership
from anon_tune.evaluation.score import anonymize_split
from anon_tune.folder import File, Folder
from anon_tune.networks import Anonymizer
from anon_tune.recipe import AuditRecipe, Recipe
from anon_tune.recipe.part import digest
from anon_tune.training.anomaly import with_task_labels

Progress = Callable[[str, int, int], None]
"""Called with the current task, its steps done and its total steps."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The clips and the effort of an audit, and where its baseline is kept.

    The baseline is measured on raw clips. It is computed once for the same clips, effort and version, and is kept as
    soon as it is complete. Later audits on the same clips reuse it, and so does an audit that was interrupted.

    Attributes:
        clips: The raw clips, with the splits train, val and test.
        clips_name: The name by which the user gave the clips.
        effort: How long attackers train, and the codec.
        cache: Folder that keeps baselines; None to keep none.
        device: Where to compute.
        progress: Called with the current task, its steps done and its total steps.
    """

    clips: Clips
    clips_name: str
    effort: AuditRecipe
    cache: Folder | None
    device: torch.device
    progress: Progress

    def of(
        self,
        anonymized: Anonymizer | Clips,
        subject: Subject,
        extra_attackers: Sequence[str | AttackerSpec] = (),
        attacker_inputs: AttackerInputs | None = None,
    ) -> Certificate:
        """Audit an anonymizer, or clips that another tool anonymized.

        Args:
            anonymized: f_A, or a clip store with the same rows, labels and splits as the raw clips.
            subject: What is audited.
            extra_attackers: Attackers that the method adds to those of the effort.
            attacker_inputs: Computes what these attackers get in addition to frames; None if they get frames only.

        Raises:
            DataError: There are too few clips, or too few positives of an attribute, for a measurement.
        """
        clips, effort = self.clips, self.effort
        codec = f"{effort.codec}, crf {effort.crf}" if effort.codec else ""
        rows = self._splits
        data = count_data(rows, self.clips_name, clips.fingerprint, clips.attributes, clips.actions, codec)
        with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
            made = self._anonymized(anonymized, rows, Path(scratch), attacker_inputs)
            changed = self._encoded(made, Path(scratch), "anonymized")
            raw = self._encoded(rows, Path(scratch), "raw")
            baseline, told = self._baseline(raw), self._during("anonymized clips")
            return certify(raw, changed, baseline, subject, data, effort, self.device, told, extra_attackers)

    def with_membership(self, certificate: Certificate, recipe: Recipe) -> Certificate:
        """Add the audit of private training, by training the recipe once more; if it is not private, do nothing."""
        if not recipe.dp.is_on:
            return certificate
        self.progress("private training, with canaries", 0, 1)
        found = attack_membership(recipe, self.clips, self.device, seed=self.effort.seed)
        return with_membership(certificate, found)

    def prepare(self) -> None:
        """Measure the baseline and keep it, unless it is there already."""
        with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
            self._baseline(self._encoded(self._splits, Path(scratch), "raw"))

    @property
    def _splits(self) -> dict[str, ClipSet]:
        return self._rows(self.clips)

    def _rows(self, clips: Clips) -> dict[str, ClipSet]:
        """Return the splits, a row for each window of a clip, with the labels of the task."""
        task, num_windows = self.effort.task, self.effort.num_windows
        return {name: spread_windows(with_task_labels(task, clips.split(name)), num_windows) for name in SPLITS}

    def _anonymized(
        self,
        anonymized: Anonymizer | Clips,
        rows: Mapping[str, ClipSet],
        folder: Path,
        attacker_inputs: AttackerInputs | None,
    ) -> dict[str, ClipSet]:
        if isinstance(anonymized, Clips):
            return self._rows(anonymized)
        changed: dict[str, ClipSet] = {}
        for at, (name, split) in enumerate(rows.items()):
            self.progress("anonymizing", at, len(SPLITS))
            made = anonymize_split(
                anonymized, split, folder / name, self.effort.batch_clips, self.device, attacker_inputs
            )
            changed[name] = made.clips
        return changed

    def _encoded(self, splits: Mapping[str, ClipSet], folder: Path, what: str) -> Mapping[str, ClipSet]:
        """Return the clips as they are after the codec of the effort, if it names one."""
        if not self.effort.codec:
            return splits
        return {
            name: round_trip_split(
                split,
                folder / f"{what}-{name}-coded",
                self.clips.fps,
                self.effort.crf,
                lambda done, total: self.progress(f"{what} clips, codec", done, total),
            )
            for name, split in splits.items()
        }

    def _baseline(self, raw: Mapping[str, ClipSet]) -> Baseline:
        # The digest is of the clips after the codec, whose output may change with the codec's version.
        of_clips = {"store": self.clips.fingerprint, "clips": digest_of_clips(raw)}
        key = digest({**of_clips, "effort": self.effort.fingerprint(), "anon_tune": anon_tune.__version__})
        file = None if self.cache is None else File(self.cache, f"baseline-{key}.safetensors")
        if file is not None and (found := Baseline.kept(file, key)) is not None:
            return found
        made = make_baseline(raw, self.effort, self.device, self._during("raw clips"))
        if file is not None:
            made.keep(file, key)
        return made

    def _during(self, stage: str) -> Progress:
        return lambda what, done, total: self.progress(f"{stage}, {what}", done, total)
