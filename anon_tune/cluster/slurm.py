"""Slurm batch scripts that start Ray on the nodes of an allocation."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from anon_tune.cluster.findings import Findings, is_world, note_placeholders
from anon_tune.cluster.nodes import Cluster, NodeType, read_price
from anon_tune.study.spending import PRICE_LABEL

_SHORT = {"-N": "--nodes", "-c": "--cpus-per-task", "-G": "--gpus", "-n": "--ntasks", "-J": "--job-name"}
_GPUS = ("--gpus-per-node", "--gpus-per-task", "--gres")


def read_slurm(text: str, findings: Findings) -> Cluster | None:
    """Check a batch script; return what it says.

    Options on the command line of `sbatch` override the script; they are not seen here.
    """
    options = dict(_options(text, findings))
    note_placeholders(options, findings)
    _check_start(text, findings)
    low, dash, high = options.get("--nodes", "1").partition("-")
    nodes = _number(low, "--nodes", findings)
    most = _number(high, "--nodes", findings) if dash else nodes
    if most < nodes:
        findings.error(("--nodes",), "must have the smaller number first", options["--nodes"], f"Write {high}-{low}")
    cpus = _number(options.get("--cpus-per-task", "1"), "--cpus-per-task", findings)
    tasks = _number(options.get("--ntasks-per-node", "1"), "--ntasks-per-node", findings)
    # These options are several ways to give the same number, so they are not added up.
    asked = {name: _gpu_part(options[name]) if name == "--gres" else options[name] for name in _GPUS if name in options}
    counts = {name: _gpu_count(text, name, findings) for name, text in asked.items() if text}
    gpus = max(counts.values(), default=0)
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name} {count}" for name, count in counts.items())
        findings.error(tuple(counts), "the GPUs of a node must be the same number", said, "Keep one of the options")
    if tasks > 1:
        remedy = "Write 1, and give a node's CPUs with --cpus-per-task"
        findings.error(("--ntasks-per-node",), "must be 1, because Ray is started once per node", str(tasks), remedy)
    for name in ("--gpus", "--ntasks"):
        if name in options:
            remedy = "Write --gpus-per-node and --nodes, which make all nodes alike"
            findings.error((name,), "lets Slurm choose how many each node gets", remedy=remedy)
    if "--cpus-per-task" not in options:
        findings.note(("--cpus-per-task",), "missing, so only one CPU of each node is used")
    if "--requeue" not in options:
        findings.note(("--requeue",), "missing, so a preempted job does not come back by itself")
    label = re.search(rf"{re.escape(PRICE_LABEL)}=([^\s\"']+)", text)
    price = read_price({PRICE_LABEL: _default(label[1])} if label else {}, findings, ("--labels",))
    resources = {"CPU": cpus, "GPU": gpus}
    # The first node is the head and also a worker.
    head = NodeType("first node", resources, 1, 1, price, is_head=True)
    others = NodeType("other nodes", resources, nodes - 1, most - 1, price)
    types = (head, others) if most > 1 else (head,)
    return Cluster(findings.file, "Slurm script", options.get("--job-name", ""), types, most - 1)


def _options(text: str, findings: Findings) -> Iterator[tuple[str, str]]:
    over = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#SBATCH") and over:
            remedy = "Move it up"
            findings.error((f"line {number}",), "Slurm reads no #SBATCH after the first command", line, remedy)
        elif line.startswith("#SBATCH"):
            try:
                words = shlex.split(line.removeprefix("#SBATCH"), comments=True)
            except ValueError:
                findings.error((f"line {number}",), "has a quotation mark without its partner", line, "Add it")
                continue
            for at, word in enumerate(words):
                name, equals, value = word.partition("=")
                if not name.startswith("-"):
                    continue
                if name[:2] in _SHORT and len(name) > 2:  # -N2
                    yield _SHORT[name[:2]], word[2:]
                    continue
                if not equals and at + 1 < len(words) and not words[at + 1].startswith("-"):
                    value = words[at + 1]
                yield _SHORT.get(name, name), value
        over = over or bool(line.strip() and not line.startswith("#"))


def _check_start(text: str, findings: Findings) -> None:
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    if not re.search(r"\bray (symmetric-run|start)\b", code):
        findings.error((), "does not start Ray", remedy="Start it with 'srun … ray symmetric-run'")
        return
    if "RAY_AUTH_MODE=token" not in code:
        remedy = "Write 'export RAY_AUTH_MODE=token' and give every node the same token"
        findings.error((), "starts Ray without token authentication", remedy=remedy)
    if re.search(r"--dashboard-host[= ](0\.0\.0\.0|::)", code) or any(is_world(word) for word in code.split()):
        remedy = "Leave --dashboard-host out"
        findings.error((), "opens the dashboard to every network of the node", remedy=remedy)
    if "srun" not in code.split():
        findings.error((), "starts Ray on the first node only", remedy="Start it through srun")


def _gpu_part(gres: str) -> str:
    """Return what ``--gres`` asks of GPUs, such as ``gpu:a100:2``; empty if nothing."""
    return next((part for part in gres.split(",") if re.match(r"gpu\b", part)), "")


def _gpu_count(text: str, name: str, findings: Findings) -> int:
    """Return how many GPUs ``2``, ``a100:2``, ``gpu:2`` or ``gpu:a100`` stands for; without a number, it is one."""
    last = re.sub(r"\(.*\)$", "", text).split(":")[-1]  # which sockets they sit on is of no interest
    return 1 if name == "--gres" and not last[:1].isdecimal() else _number(last, name, findings)


def _number(text: str, name: str, findings: Findings) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    findings.error((name,), "must be a whole number", repr(text), "Write one, for example --nodes=2")
    return 1


def _default(text: str) -> str:
    """Return the default of a shell variable such as ``${PRICE:-0.5}``; other text as it is."""
    match = re.fullmatch(r"\$\{\w+:-([^}]*)\}", text)
    return match[1] if match else text
