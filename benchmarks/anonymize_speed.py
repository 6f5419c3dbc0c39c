"""How fast `anon-tune anonymize` is, beside deface on the same video, and how much memory a long video takes.

Prints JSON. All tools run on the CPU, in turns, with the threads they choose for themselves; seconds include their
start, and CPU seconds tell more on a busy machine. ``ratio_to_deface`` is deface's median divided by that of
`unet_small`, in wall and in CPU seconds. The long video is the short one repeated without encoding it again.

    python benchmarks/anonymize_speed.py VIDEO --deface /path/to/deface --rounds 3 --minutes 60
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

from anon_tune.methods import build_anonymizer
from anon_tune.networks import save_weights
from anon_tune.recipe import Recipe


def write_anonymizer(path: Path) -> None:
    """Write a `unet_small` with fresh weights as an export: speed does not depend on what it has learned."""
    recipe = Recipe()
    made = {"format": "anon_tune anonymizer 1", "recipe": recipe.model_dump_json(), "model_card": "{}"}
    save_weights(build_anonymizer(recipe).state_dict(), path, made)


def lengthen(video: Path, path: Path, minutes: float) -> None:
    """Write the video's packets again and again, each time later, for at least some minutes."""
    with av.open(str(path), "w") as out:
        target, offset = None, 0
        while target is None or offset * target.time_base < 60 * minutes:
            with av.open(str(video)) as source:
                stream = source.streams.video[0]
                target = target or out.add_stream_from_template(stream)
                end = offset
                for packet in source.demux(stream):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    end = max(end, packet.pts + packet.duration)
                    packet.stream = target
                    out.mux(packet)
                offset = end


def timed(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command; return its wall seconds and its largest resident set."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed")
    return {
        "seconds": time.monotonic() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


def ours(video: Path, output: Path, how: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Anonymize by `anon-tune`; return what its report says, too."""
    command = [sys.executable, "-m", "anon_tune", "anonymize", str(video), "-o", str(output), "--device", "cpu"]
    command += ["--force", *how]
    measured = timed(command, environment)
    report = json.loads(output.with_name(f"{output.name}.json").read_text())
    return {
        **measured,
        "num_frames": report["output"]["num_frames"],
        "fps": report["output"]["num_frames"] / measured["seconds"],
        "fps_without_start": report["fps"],
        "share_of_time": report["share_of_time"],
    }


def median(rounds: list[dict[str, Any]], name: str) -> float:
    """Return the median of a number over the rounds."""
    return statistics.median(measured[name] for measured in rounds)


def main() -> None:
    """Run all arms and print one document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--deface", help="executable of deface; left out if not given")
    parser.add_argument("--methods", nargs="*", default=["pixelate:8"])
    parser.add_argument("--rounds", type=int, default=1, help="how often the tools run, in turns")
    parser.add_argument("--minutes", type=float, default=0, help="of the long video; 0 leaves it out")
    parser.add_argument("--long-method", help="what anonymizes the long video; else the learned one")
    parser.add_argument("--threads", default="", help="OMP_NUM_THREADS of all tools")
    args = parser.parse_args()
    environment = dict(os.environ) | ({"OMP_NUM_THREADS": args.threads} if args.threads else {})

    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        folder = Path(scratch)
        weights = folder / "fresh.safetensors"
        write_anonymizer(weights)
        learned = ["--file", str(weights)]
        found: dict[str, Any] = {"cores": os.cpu_count(), "load": os.getloadavg()[0]}
        rounds: dict[str, list[dict[str, Any]]] = {}
        for _ in range(args.rounds):
            done = {"unet_small": ours(args.video, folder / "learned.mp4", learned, environment)}
            for at, method in enumerate(args.methods):
                done[method] = ours(args.video, folder / f"{at}.mp4", ["--method", method], environment)
            if args.deface:
                command = [args.deface, str(args.video), "-o", str(folder / "deface.mp4")]
                done["deface"] = timed(command, environment)
                done["deface"]["fps"] = done["unet_small"]["num_frames"] / done["deface"]["seconds"]
            for name, measured in done.items():
                rounds.setdefault(name, []).append(measured)
        found |= rounds
        if args.deface:
            found["ratio_to_deface"] = {
                name: median(rounds["deface"], name) / median(rounds["unet_small"], name)
                for name in ("seconds", "cpu_seconds")
            }
        if args.minutes:
            long = folder / "long.mp4"
            lengthen(args.video, long, args.minutes)
            how = ["--method", args.long_method] if args.long_method else learned
            found["long"] = {"minutes": args.minutes, **ours(long, folder / "anonymized.mp4", how, environment)}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
