"""Is our step faster than the published loop? One JSON object.

Both play one move of f_A and one of the branches with UNet, R3D-18 and ResNet-50 on the same batches, in turns. The
published loop is that of the released code of SPAct (arXiv:2203.15205), from which arXiv:2504.14301 grew. It differs
from our step in three ways: the weights of frozen players stay in the graph of both moves, clips and the two stills of
each clip have passes of their own through f_A, and each branch has a backward pass of its own. `--anomaly` adds the
anomaly mode that the code of arXiv:2504.14301 leaves on.

Our step is measured in several arms, which differ in values of the recipe. `ratio_to_published`, `overhead_share` and
`peak_memory_bytes` are those of the arm that `--arm` names. `overhead_share` is 1 - (bare forward and backward passes)
/ (our step). The peak memory is that of a process that plays steps of this arm only.

    python benchmarks/trainer_speed.py
    python benchmarks/trainer_speed.py --rounds 5 --arm float32
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import optim
from torch.nn import functional as F

from anon_tune.clips import ClipBatch, Clips, make_avatars
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.training import Trainer
from anon_tune.training.optimizers import lowered
from anon_tune.worker.peak_memory import peak_bytes, peak_gpu_bytes

GAME = {
    "anonymizer.network": "unet",
    "utility.network": "r3d_18",
    "privacy.network": "resnet50",
    "training.batch_clips": 2,
    "training.stills_per_clip": 2,
    "training.num_branch_updates": 1,
    "training.warmup_steps": 0,
    "anonymizer.pretrain_steps": 0,
}
ARMS: dict[str, dict[str, Any]] = {
    "default": {},
    # On a CPU, channels_last makes these networks slower in float32, and faster in bfloat16.
    "float32": {"training.fused": True, "training.channels_last": torch.cuda.is_available()},
    "bfloat16": {"training.fused": True, "training.channels_last": True, "training.precision": "bfloat16"},
}
"""Values of the recipe that each arm changes. The published loop computes in float32 in any case."""


class PublishedLoop:
    """The published loop on the players of a trainer of ours, whose own updates are not used.

    Args:
        trainer: It has the players.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.players = {"anonymizer": trainer.anonymizer, "utility": trainer.utility, "privacy": trainer.privacy[0]}
        for player in self.players.values():
            player.requires_grad_(True)
        self.optimizers = {name: optim.Adam(one.parameters(), lr=1e-4) for name, one in self.players.items()}

    def step(self, index: int) -> list[float]:
        """Play both moves on the batches ``index`` and ``index + 1``."""
        return [*self._move(index, ("anonymizer",)), *self._move(index + 1, ("utility", "privacy"))]

    def _move(self, index: int, learning: tuple[str, ...]) -> list[float]:
        batch = self.trainer.batches.clips(index)
        for name, player in self.players.items():
            player.train(name in learning)
            self.optimizers[name].zero_grad()
        rewrite, classify, attack = self.players.values()
        private = torch.cat([attack(rewrite(batch.clips[:, at : at + 1]).flatten(0, 1)) for at in range(2)])
        private_loss = F.binary_cross_entropy_with_logits(private, batch.private.repeat(2, 1))
        changed = rewrite(batch.clips)
        action_loss = F.cross_entropy(classify(changed), batch.actions)
        if learning == ("anonymizer",):
            excess = (batch.clips - changed).detach().square().mean().sqrt()
            losses = [action_loss - private_loss + excess]
        else:
            losses = [private_loss, action_loss]
        shown = [loss.item() for loss in losses]
        for loss in losses:
            loss.backward()
        for name in learning:
            self.optimizers[name].step()
        return shown


def bare_step(trainer: Trainer, batches: tuple[ClipBatch, ClipBatch]) -> None:
    """Only run the networks forward and backward as our step does."""
    players = trainer.anonymizer, trainer.utility, trainer.privacy
    for player in players:
        player.zero_grad(set_to_none=True)  # else every gradient would be added to that of our step
    for batch, learns in zip(batches, ((True, False, False), (False, True, True)), strict=True):
        for player, on in zip(players, learns, strict=True):
            player.requires_grad_(on).train(on)
        with lowered(trainer.recipe.training.precision, trainer.device):
            changed = trainer.anonymizer(batch.clips)
            shown = trainer.utility(changed).sum() + trainer.privacy[0](changed[:, :2].flatten(0, 1)).sum()
        shown.backward()
    trainer.anonymizer.requires_grad_(True)


class Took(NamedTuple):
    """What a call took: seconds, and CPU seconds of all threads, which say more on a busy machine."""

    seconds: float
    cpu_seconds: float


def timed(run: Callable[[], object]) -> Took:
    """Return what a call takes, until a GPU has done its part."""
    wait()
    start, cpu_start = time.perf_counter(), time.process_time()
    run()
    wait()
    return Took(time.perf_counter() - start, time.process_time() - cpu_start)


def wait() -> None:
    """Wait until a GPU, if there is one, has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def build(clips: Clips, arm: str, device: torch.device) -> Trainer:
    """Return a trainer of an arm."""
    recipe = make_recipe({**GAME, **ARMS[arm]})
    sizes = len(clips.actions), len(clips.attributes)
    return Trainer(recipe, lambda: build_anonymizer(recipe), clips.split("train"), *sizes, device)


def play(trainer: Trainer, published: PublishedLoop, anomaly: bool) -> dict[str, Took]:
    """Time one step of both, the bare passes and the reading of the batches, on the same batches."""
    at = 2 * trainer.step
    batches = trainer.batches.clips(at), trainer.batches.clips(at + 1)
    with torch.autograd.set_detect_anomaly(anomaly):
        theirs = timed(lambda: published.step(at))
    return {
        "published": theirs,
        "ours": timed(lambda: trainer.train_until(trainer.step + 1)),
        "bare": timed(lambda: bare_step(trainer, batches)),
        "data": timed(lambda: [trainer.batches.clips(at), trainer.batches.clips(at + 1)]),
    }


def summary(rounds: list[dict[str, Took]], arm: str, frames: int) -> dict[str, Any]:
    """Return what the rounds of an arm say."""

    def ratio(name: str, of: str, at: int) -> float:
        return statistics.median(one[name][at] / one[of][at] for one in rounds)

    middle = {name: statistics.median(one[name].seconds for one in rounds) for name in rounds[0]}
    return {
        "ratio_to_published": ratio("published", "ours", 0),
        "ratio_of_cpu_seconds": ratio("published", "ours", 1),
        "overhead_share": 1 - ratio("bare", "ours", 0),
        "overhead_share_of_cpu_seconds": 1 - ratio("bare", "ours", 1),
        "data_share": ratio("data", "ours", 0),
        "images_per_s": 2 * GAME["training.batch_clips"] * frames / middle["ours"],
        "seconds": middle,
        "on": ARMS[arm],
    }


def peak_memory(args: argparse.Namespace) -> int:
    """Return the peak memory in bytes of a process that plays two steps of the arm, of the GPU if it runs on one."""
    command = [sys.executable, __file__, "--alone", "--arm", args.arm, "--device", args.device]
    command += ["--side", str(args.side), "--frames", str(args.frames)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", choices=ARMS, default="bfloat16", help="the arm that the result is of")
    parser.add_argument("--only", action="store_true", help="leave the other arms out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--anomaly", action="store_true", help="run the published loop in anomaly mode")
    parser.add_argument("--alone", action="store_true", help="only print the peak memory of a process of the arm")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = {"num_train": 24, "num_val": 24, "num_test": 24, "num_frames": args.frames}
        clips = make_avatars(Path(folder) / "avatars", height=args.side, width=args.side, **size)
        device = torch.device(args.device)
        if args.alone:
            build(clips, args.arm, device).train_until(2)
            print(peak_gpu_bytes(device) or peak_bytes())  # ru_maxrss would be that of the process before this one
            return
        published = PublishedLoop(build(clips, "default", device))
        arms = {arm: build(clips, arm, device) for arm in ARMS if arm == args.arm or not args.only}
        rounds: dict[str, list[dict[str, Took]]] = {arm: [] for arm in arms}
        for at in range(args.rounds + 1):  # the first round warms up and does not count
            for arm, trainer in arms.items():
                made = play(trainer, published, args.anomaly)
                rounds[arm] += [made] if at else []
    found = {arm: summary(of, arm, args.frames) for arm, of in rounds.items()}
    result = {
        "ratio_to_published": found[args.arm]["ratio_to_published"],
        "overhead_share": found[args.arm]["overhead_share"],
        "peak_memory_bytes": peak_memory(args),
        "arm": args.arm,
        "on": ARMS[args.arm],
        "arms": found,
        "anomaly_mode": args.anomaly,
        "device": args.device,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "rounds": args.rounds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
