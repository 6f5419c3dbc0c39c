"""How fast `anon-tune anonymize` is, beside deface on the same video, and how much memory a long video takes.

Prints JSON. Both tools run on the CPU, one after the other, with the threads they choose for themselves; seconds
include their start. The long video is the short one repeated without encoding it again.

    python benchmarks/anonymize_speed.py VIDEO --deface /path/to/deface --minutes 60
"""

from __future__ import annotations

import argparse
import json
import os
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
    return {"seconds": time.monotonic() - started, "peak_bytes": usage.ru_maxrss * 1024}


def ours(video: Path, output: Path, how: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Anonymize by `anon-tune`; return what its report says, too."""
    command = [sys.executable, "-m", "anon_tune", "anonymize", str(video), "-o", str(output), "--device", "cpu", *how]
    measured = timed(command, environment)
    report = json.loads(output.with_name(f"{output.name}.json").read_text())
    return {
        **measured,
        "num_frames": report["output"]["num_frames"],
        "fps": report["output"]["num_frames"] / measured["seconds"],
        "fps_without_start": report["fps"],
        "share_of_time": report["share_of_time"],
    }


def main() -> None:
    """Run all arms and print one document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--deface", help="executable of deface; left out if not given")
    parser.add_argument("--methods", nargs="*", default=["pixelate:8"])
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
        found["unet_small"] = ours(args.video, folder / "learned.mp4", learned, environment)
        for at, method in enumerate(args.methods):
            found[method] = ours(args.video, folder / f"{at}.mp4", ["--method", method], environment)
        if args.deface:
            command = [args.deface, str(args.video), "-o", str(folder / "deface.mp4")]
            found["deface"] = timed(command, environment)
            found["deface"]["fps"] = found["unet_small"]["num_frames"] / found["deface"]["seconds"]
        if args.minutes:
            long = folder / "long.mp4"
            lengthen(args.video, long, args.minutes)
            how = ["--method", args.long_method] if args.long_method else learned
            found["long"] = {"minutes": args.minutes, **ours(long, folder / "anonymized.mp4", how, environment)}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
