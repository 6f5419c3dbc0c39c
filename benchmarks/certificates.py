"""Certificates of several anonymizers on one clip store, side by side: frozen against fresh attackers.

Runs `anon-tune audit` once a subject, which shares what raw clips teach, and prints a Markdown table.

    python benchmarks/certificates.py --clips clips/ixmas --methods identity negative blur:2 pixelate:8 \\
        --study runs/ixmas --trials 0005 --out runs/certificates
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HEAD = """\
| anonymizer | leakage | norm. | frozen attacker | accuracy | frozen classifier | reconstruction | linkage | status |
|---|---|---|---|---|---|---|---|---|"""


def certificate(subject: list[str], name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Audit one subject; a certificate that is there is read again."""
    path = Path(args.out) / f"{name.replace(':', '-')}.json"
    if not path.exists():
        settings = [word for value in args.set for word in ("--set", value)]
        command = [sys.executable, "-m", "anon_tune", "audit", *subject, "-o", str(path), *settings]
        # A refused certificate is a result too; it exits with 1.
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode > 1:
            sys.exit(f"the audit of {name} broke")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def row(name: str, c: dict[str, Any]) -> str:
    """Return a line of the table."""

    def with_interval(key: str) -> str:
        low, high = c[f"{key}_interval"]
        return f"{c[key]:.3f} ({low:.3f} to {high:.3f})"

    cells = [
        name,
        with_interval("leakage"),
        f"{c['leakage_normalized']:.2f}",
        f"{c['leakage_frozen']:.3f}",
        with_interval("accuracy"),
        f"{c['accuracy_frozen']:.3f}",
        f"{c['reconstruction']['psnr']:.1f} dB, {c['reconstruction']['leakage']:.3f}",
        f"{c['linkage']['raw to anonymized']['rank1']:.2f}",
        c["status"],
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Audit all subjects and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", required=True)
    parser.add_argument("--methods", nargs="*", default=[])
    parser.add_argument("--study")
    parser.add_argument("--trials", nargs="*", default=[])
    parser.add_argument("--set", action="append", default=[], help="as in anon-tune audit")
    parser.add_argument("--out", default="runs/certificates")
    args = parser.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    subjects = {name: ["--method", name, "--clips", args.clips] for name in args.methods}
    subjects |= {f"trial {trial}": [args.study, "--trial", trial] for trial in args.trials}
    print(HEAD)
    first: dict[str, Any] = {}
    for name, subject in subjects.items():
        found = certificate(subject, name, args)
        first = first or found
        print(row(name, found), flush=True)
    if first:
        print(
            f"\nFloor {first['leakage_floor']:.3f}, ceiling {first['leakage_ceiling']:.3f} (leakage); "
            f"{first['accuracy_floor']:.3f}, {first['accuracy_ceiling']:.3f} (accuracy). "
            f"{first['data']['num_train_clips']} clips to train, {first['data']['num_test_clips']} to test; "
            f"intervals over {first['data']['resampled']}s."
        )


if __name__ == "__main__":
    main()
