"""Do the tests notice? Small faults, put one at a time into a copy of the sources, each against the tests of its room.

    python benchmarks/mutants.py --out runs/mutants.jsonl --each 2
    python benchmarks/mutants.py --out runs/mutants.jsonl --rooms ledger pareto --each 6 --seed 1
    python benchmarks/mutants.py --out runs/mutants.jsonl --summary

Places are drawn by room and seed, over the kinds of fault in turn. A fault is caught when a test fails, or when the
tests, which pass without it well within the limit, do not end. Each result is a line of the file; what is in it already
is not run again.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "anon_tune"
CPU_LIMIT_S = 120  # of the tests of a room; other work on the machine does not count
WALL_LIMIT_S = 900.0

# What guards a room, beside tests/unit/ROOM. Folders and files below tests/.
ALSO = {
    "__main__": ["unit/cli"],
    "attackers": ["integration/test_own_attackers.py"],
    "certificate": ["unit/report/test_certificates.py", "integration/test_audit_command.py"],
    "cli": ["integration/test_bad_input.py"],
    "clips": ["property/test_clips.py"],
    "cluster": ["unit/cli/test_submit_arguments.py"],
    "commands": ["unit/cli", "integration/test_python_api.py", "integration/test_clips_import.py"],
    "dashboard": ["browser/test_dashboard.py"],
    "datasets": ["property/test_label_files.py", "integration/test_data_sets.py"],
    "driver": ["cluster/test_study_run.py", "cluster/test_verify.py"],
    "evaluation": ["property/test_metrics.py", "property/test_audit_metrics.py", "integration/test_certify.py"],
    "export": ["integration/test_export.py"],
    "ledger": ["property/test_ledger.py"],
    "methods": ["property/test_methods.py", "integration/test_baselines.py"],
    "on_demand": ["unit/cli/test_missing_package.py", "unit/search/test_space.py"],
    "pareto": ["property/test_pareto.py", "property/test_verified_fronts.py", "property/test_rung_agreement.py"],
    "recipe": ["property/test_recipe.py"],
    "schedule": ["property/test_schedule.py"],
    "search": ["property/test_rungs.py", "unit/study/test_virtual_time.py"],
    "study": ["unit/cli/test_status.py"],
    "trackers": ["unit/study"],
    "training": ["unit/worker", "integration/test_game.py"],
    "trial": ["unit/ledger", "unit/pareto"],
    "video": ["integration/test_odd_videos.py", "integration/test_bad_videos.py", "property/test_frame_streams.py"],
}

OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
EMPTY = {"None": "", "bool": "False", "str": "''", "int": "0", "float": "0.0", "list": "[]", "dict": "{}"}
EMPTY["tuple"] = "()"


@dataclass(frozen=True)
class Mutant:
    """A stretch of a file, in bytes, and what to put there.

    Attributes:
        file: Relative to the project.
        line: Where it begins, from 1.
        kind: Of fault.
        change: For people.
    """

    file: str
    line: int
    kind: str
    change: str
    begin: int
    end: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line} {self.kind}: {self.change}"

    def applied(self, source: bytes) -> bytes:
        return source[: self.begin] + self.text.encode() + source[self.end :]


class Places(ast.NodeVisitor):
    """Finds the places of a file where a fault can be put. Texts of errors and annotations are none."""

    def __init__(self, file: str, source: bytes, coin: random.Random) -> None:
        self.found: list[Mutant] = []
        self._file, self._coin = file, coin
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def _add(self, node: ast.expr, kind: str, text: str) -> None:
        begin = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before = " ".join(self._source[begin:end].decode().split())
        self.found.append(Mutant(self._file, node.lineno, kind, f"{before} -> {text}", begin, end, text))

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1 and ast.unparse(node.left) != "__name__":
            turned = ast.Compare(node.left, [OPPOSITE[type(node.ops[0])]()], node.comparators)
            self._add(node, "compare turned round", ast.unparse(turned))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if type(node.value) is int:
            self._add(node, "off by one", str(node.value + self._coin.choice((1, 1, -1))))

    def _flags(self, *tests: ast.expr) -> None:
        for test in tests:
            if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
                self._flags(test.operand)
            elif isinstance(test, ast.Name | ast.Attribute) and ast.unparse(test) != "TYPE_CHECKING":
                self._add(test, "flag ignored", self._coin.choice(("True", "False")))

    def visit_If(self, node: ast.If) -> None:
        self._flags(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._flags(node.test)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._flags(*node.values)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        returns = ast.unparse(node.returns).partition("[")[0] if node.returns else ""
        real = [part for part in body if not isinstance(part, ast.Pass)]
        if real and returns in EMPTY and not node.name.startswith("__") and body[0].lineno > node.lineno:
            begin = self._starts[body[0].lineno - 1] + body[0].col_offset
            text = f"return {EMPTY[returns]}".rstrip()
            filler = "\n" + " " * body[0].col_offset
            self.found.append(
                Mutant(self._file, node.lineno, "return early", f"{node.name}: {text}", begin, begin, text + filler)
            )
        for part in body:
            self.visit(part)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass  # its parts have no right places in Python 3.11


def drawn(room: str, number: int, seed: int) -> list[Mutant]:
    """Draw faults of a room, of every kind in turn."""
    coin = random.Random(f"{seed} {room}")
    home = ROOT / PACKAGE / room
    files = sorted(home.rglob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
    kinds: dict[str, list[Mutant]] = {}
    for file in files:
        source = file.read_bytes()
        places = Places(str(file.relative_to(ROOT)), source, coin)
        places.visit(ast.parse(source))
        for mutant in places.found:
            kinds.setdefault(mutant.kind, []).append(mutant)
    for found in kinds.values():
        coin.shuffle(found)
    order = sorted(kinds)
    coin.shuffle(order)
    chosen: list[Mutant] = []
    while len(chosen) < number and any(kinds.values()):
        for kind in order:
            if kinds[kind] and len(chosen) < number:
                chosen.append(kinds[kind].pop())
    return chosen


def rooms() -> Iterator[str]:
    for entry in sorted((ROOT / PACKAGE).iterdir()):
        if (entry / "__init__.py").exists() or (entry.suffix == ".py" and entry.name != "__init__.py"):
            yield entry.stem


def tests_of(room: str, broken: str = "") -> list[str]:
    """Return the test files of a room, first those that say most of a broken file, as one failure is enough."""
    own = [f"unit/{room}"] if (ROOT / "tests" / "unit" / room).is_dir() else []
    places = [ROOT / "tests" / place for place in own + ALSO.get(room, [])]
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("test_*.py")))]
    module = Path(broken).parent.name if broken.endswith("__init__.py") else Path(broken).stem

    def mentions(file: Path) -> int:
        return (module in file.stem) * 100 + file.read_text().count(module) if module else 0

    return [str(file.relative_to(ROOT)) for file in sorted(files, key=lambda file: -mentions(file))]


class Copy:
    """A copy of the project, whose sources may be broken."""

    def __init__(self, home: Path) -> None:
        self.home = home
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
        )
        for name in listed.stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, home / name)

    def tested(self, room: str, broken: str = "") -> tuple[str, float, str]:
        """Run the tests of a room; return "passed", "failed" or "hung", how long it took, and the last line."""
        environment = os.environ | {"PYTHONPATH": str(self.home), "OMP_NUM_THREADS": "1"}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header"]
        command += tests_of(room, broken)
        start = time.monotonic()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                ["prlimit", f"--cpu={CPU_LIMIT_S}", *command],
                cwd=self.home,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                code = process.wait(WALL_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
            if code < 0:
                return "hung", time.monotonic() - start, f"no end, signal {-code}"
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
        why = next((line for line in reversed(lines) if line.startswith(("FAILED", "ERROR"))), (lines or [""])[-1])
        return ("failed" if code else "passed"), time.monotonic() - start, why[:300]


def run(copy: Copy, room: str, mutants: list[Mutant], out: Path, is_known: bool) -> bool:
    """Try the faults of a room; return False if its tests do not pass as they are, unless that is known."""
    if not is_known:
        verdict, seconds, why = copy.tested(room)
        print(f"{room}: without a fault {verdict} in {seconds:.0f} s {why}", file=sys.stderr, flush=True)
        if verdict != "passed":
            return False
    for mutant in mutants:
        file = copy.home / mutant.file
        source = file.read_bytes()
        broken = mutant.applied(source)
        ast.parse(broken)
        file.write_bytes(broken)
        try:
            verdict, seconds, why = copy.tested(room, mutant.file)
        finally:
            file.write_bytes(source)
        result = "survived" if verdict == "passed" else "caught"
        line = {"room": room, "mutant": mutant.name, "result": result, "seconds": round(seconds, 1), "by": why}
        with open(out, "a") as log:
            print(json.dumps(line), file=log)
        print(f"{result:8} {mutant.name}", file=sys.stderr, flush=True)
    return True


def summary(out: Path) -> None:
    """Print a table of rooms, and every fault that nothing noticed."""
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    counts = Counter((line["room"], line["result"]) for line in lines)
    print("| room | caught | survived |\n|---|---|---|")
    for room in sorted({room for room, _ in counts}):
        print(f"| {room} | {counts[room, 'caught']} | {counts[room, 'survived']} |")
    total = Counter(line["result"] for line in lines)
    print(f"| all | {total['caught']} | {total['survived']} |\n")
    for line in lines:
        if line["result"] == "survived":
            print(f"* {line['mutant']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file with a JSON line for each fault")
    parser.add_argument("--rooms", nargs="*", default=list(rooms()))
    parser.add_argument("--each", type=int, default=2, help="faults a room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--green", action="store_true", help="do not try first whether the tests pass as they are")
    parser.add_argument("--summary", action="store_true", help="print what is in the file")
    parser.add_argument("--list", action="store_true", help="print the places and run nothing")
    given = parser.parse_args()
    if given.summary:
        return summary(given.out)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    known = given.out.read_text() if given.out.exists() else ""
    done = {json.loads(line)["mutant"] for line in known.splitlines()}
    passes = True
    with tempfile.TemporaryDirectory(prefix="mutants") as home:
        copy = Copy(Path(home))
        for room in given.rooms:
            mutants = [mutant for mutant in drawn(room, given.each, given.seed) if mutant.name not in done]
            if given.list:
                print(*(mutant.name for mutant in mutants), sep="\n")
            elif mutants:
                passes &= run(copy, room, mutants, given.out, given.green)
    sys.exit(not passes)


if __name__ == "__main__":
    main()
