"""Is our step faster than the published loop? One JSON object.

Both play one move of f_A and one of the branches with UNet, R3D-18 and ResNet-50 on the same batches, in turns. The
published loop is in the form of the released code of arXiv:2504.14301: the weights of frozen branches stay in the
graph, and every loss has a pass of its own through f_A. ``overhead_share`` is 1 - (bare forward and backward passes) /
(our step).

    python benchmarks/trainer_speed.py --rounds 5
    python benchmarks/trainer_speed.py --rounds 5 --set training.precision=bfloat16 --set training.fused=true
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import optim
from torch.nn import functional as F

from anon_tune.clips import make_avatars
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.training import Trainer
from anon_tune.training.optimizers import lowered


def published_step(trainer: Trainer, optimizers: dict[str, optim.Adam], index: int) -> None:
    """Play both moves as the published loop does: nothing is frozen, and each loss has its own pass."""
    for at, own in ((index, ("anonymizer",)), (index + 1, ("utility", "privacy"))):
        batch = trainer.batches.clips(at)
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        action = F.cross_entropy(trainer.utility(trainer.anonymizer(batch.clips)), batch.actions)
        stills = trainer.anonymizer(batch.clips)[:, :2].flatten(0, 1)
        labels = batch.private.repeat_interleave(2, dim=0)
        private = F.binary_cross_entropy_with_logits(trainer.privacy[0](stills), labels)
        moved = (batch.clips - trainer.anonymizer(batch.clips)).square().mean().sqrt() if at == index else 0.0
        (action - private + moved if at == index else action + private).backward()
        for name in own:
            optimizers[name].step()


def bare_step(trainer: Trainer, index: int) -> None:
    """Only run the networks forward and backward as our step does."""
    players = trainer.anonymizer, trainer.utility, trainer.privacy
    for at, learns in ((index, (True, False, False)), (index + 1, (False, True, True))):
        for player, on in zip(players, learns, strict=True):
            player.requires_grad_(on).train(on)
        clips = trainer.batches.clips(at).clips
        with lowered(trainer.recipe.training.precision, trainer.device):
            changed = trainer.anonymizer(clips)
            shown = trainer.utility(changed).sum() + trainer.privacy[0](changed[:, :2].flatten(0, 1)).sum()
        shown.backward()


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    chosen: dict[str, Any] = dict(one.split("=", 1) for one in args.set)
    values = {name: {"true": True, "false": False}.get(value, value) for name, value in chosen.items()}
    networks = {"anonymizer.network": "unet", "utility.network": "r3d_18", "privacy.network": "resnet50"}
    game = {"training.batch_clips": 2, "training.num_branch_updates": 1, "anonymizer.pretrain_steps": 0}
    recipe = make_recipe({**networks, **game, "training.warmup_steps": 0, **values})
    plain = make_recipe({**networks, **game, "training.warmup_steps": 0})
    seconds: dict[str, list[float]] = {"published": [], "ours": [], "bare": [], "data": []}
    with tempfile.TemporaryDirectory() as folder:
        size = {"num_train": 24, "num_val": 24, "num_test": 24, "num_frames": args.frames}
        clips = make_avatars(Path(folder) / "avatars", height=args.side, width=args.side, **size)
        train, sizes = clips.split("train"), (len(clips.actions), len(clips.attributes))
        device = torch.device("cpu")
        ours, theirs = (
            Trainer(one, lambda one=one: build_anonymizer(one), train, *sizes, device) for one in (recipe, plain)
        )
        adam = {n: optim.Adam(m.parameters(), lr=1e-4) for n, m in theirs._players().items()}
        for at in range(args.rounds + 1):  # the first round warms up and does not count
            for player in theirs._players().values():
                player.train()
            made = {
                "published": timed(lambda at=at: published_step(theirs, adam, 2 * at)),
                "ours": timed(lambda: ours.train_until(ours.step + 1)),
                "bare": timed(lambda at=at: bare_step(ours, 2 * at)),
                "data": timed(lambda at=at: [ours.batches.clips(2 * at + k) for k in range(2)]),
            }
            for name, value in made.items() if at else ():
                seconds[name].append(value)
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    step = middle["ours"]
    pairs = list(zip(seconds["published"], seconds["ours"], seconds["bare"], strict=True))
    result = {
        "ratio_to_published": statistics.median(
            a / b for a, b in zip(seconds["published"], seconds["ours"], strict=True)
        ),
        "overhead_share": 1 - statistics.median(bare / own for _, own, bare in pairs),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "seconds": middle,
        "data_share": middle["data"] / step,
        "images_per_s": 2 * 2 * args.frames / step,
        "on": values,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "rounds": args.rounds,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
