"""Files of other people: nothing in them is executed, and any fault is reported in one line."""

from __future__ import annotations

import ast
import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from anon_tune.certificate import Certificate
from anon_tune.clips import Clips
from anon_tune.driver.worker_errors import last_words
from anon_tune.errors import AnonTuneError
from anon_tune.ledger import Ledger
from anon_tune.networks.weights import read_tensors, save_weights
from anon_tune.trial import Ceilings, RungJob
from anon_tune.worker import job as work

PACKAGE = Path(__file__).parents[2] / "anon_tune"


class Bomb:
    """An object that creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


Say = Callable[..., Any]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that a bomb creates. Unpickling a bomb does create it; otherwise these tests would prove nothing."""
    mark = tmp_path / "went off"
    pickle.loads(pickle.dumps(Bomb(mark)))
    mark.unlink()
    return mark


@pytest.fixture
def study(small_study: Path, tmp_path: Path) -> Path:
    """A study directory that another person sent."""
    shutil.copytree(small_study, tmp_path / "study")
    return tmp_path / "study"


def bombs(mark: Path) -> dict[str, bytes]:
    """Return files that execute code when they are opened with the wrong function."""
    zipped = mark.with_name("zipped.pt")
    torch.save({"state": Bomb(mark)}, zipped)
    array = mark.with_name("array.npy")
    np.save(array, np.array([Bomb(mark)], dtype=object), allow_pickle=True)
    found = {
        "pickle": pickle.dumps(Bomb(mark)),
        "torch": zipped.read_bytes(),
        "numpy": array.read_bytes(),
    }
    zipped.unlink()
    array.unlink()
    return found


def assert_one_line(said: Any, mark: Path) -> None:
    assert not mark.exists(), said
    assert said.code == 2, said
    (line,) = said.err.splitlines()
    assert re.match(r"error: .+: .+\.", line), line


def test_no_module_can_execute_what_it_reads() -> None:
    """The only unpickler reads labels of a public data set, and makes only arrays; torch makes only tensors."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
                if names != ["pickle", "UnpicklingError"]:
                    unpicklers = ("pickle", "cloudpickle", "dill", "joblib", "shelve")
                    found += [file.name for name in names if name in unpicklers]
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                allowed_pickle = any(k.arg == "allow_pickle" for k in node.keywords)
                is_safe = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
                executes = called in ("eval", "exec", "yaml.load", "pandas.read_pickle")
                if executes or allowed_pickle or (called == "torch.load" and not is_safe):
                    found.append(file.name)
    assert found == ["vp.py"]


@pytest.mark.parametrize("kind", ["pickle", "torch", "numpy"])
@pytest.mark.parametrize("verb", ["export", "program", "audit", "anonymize"])
def test_a_bomb_in_the_place_of_weights(say: Say, study: Path, mark: Path, kind: str, verb: str) -> None:
    file = study / "trials" / "0000" / "anonymizer.safetensors"
    file.write_bytes(bombs(mark)[kind])
    out = mark.with_name("out.pt2" if verb == "program" else "out.safetensors")
    arguments: dict[str, list[object]] = {
        "export": ["export", study, "--trial", "0000", "-o", out],
        "program": ["export", study, "--trial", "0000", "-o", out],
        "audit": ["audit", study, "--trial", "0000"],
        "anonymize": ["anonymize", file, "-o", mark.with_name("x.mp4"), "--file", file],
    }
    assert_one_line(say(*arguments[verb]), mark)
    assert not out.exists()


@pytest.mark.parametrize("damage", ["no recipe", "recipe of something else", "tensors of something else"])
def test_weights_that_are_none_of_this_project(say: Say, study: Path, mark: Path, damage: str) -> None:
    file = study / "trials" / "0000" / "anonymizer.safetensors"
    tensors, metadata = read_tensors(file)
    metadata = {} if damage == "no recipe" else {"recipe": '{"method": 3}'} if damage.startswith("recipe") else metadata
    save_weights({"other": torch.ones(2)} if damage.startswith("tensors") else tensors, file, metadata)
    assert_one_line(say("audit", study, "--trial", "0000"), mark)
    assert_one_line(say("export", study, "--trial", "0000", "-o", mark.with_name("x.pt2")), mark)


@pytest.mark.parametrize("kind", ["pickle", "torch", "numpy", "other tensors"])
def test_a_bomb_in_the_place_of_a_checkpoint(avatars: Clips, tiny_recipe: Any, mark: Path, kind: str) -> None:
    folder = mark.with_name("trial")
    folder.mkdir()
    recipe = tiny_recipe()
    if kind == "other tensors":
        facts = {"form": "2", "fingerprint": recipe.training_fingerprint(), "step": "3"}
        save_weights({"anonymizer.x": torch.ones(2)}, folder / "trainer.safetensors", facts)
    else:
        (folder / "trainer.safetensors").write_bytes(bombs(mark)[kind])
    job = RungJob("0000", recipe, str(folder), 0, 3, False, Ceilings(0.9, 0.9))
    with pytest.raises(AnonTuneError, match=r"trainer\.safetensors: is (not a readable safetensors file|damaged): "):
        work.perform(job, avatars, torch.device("cpu"))
    assert not mark.exists()


def hostile_table(table: pa.Table, mark: Path) -> pa.Table:
    """Return a table whose first column claims to be of a type that old readers unpickle from its metadata."""
    claims = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Bomb(mark)),
    }
    field = table.schema.field(0).with_metadata(claims)
    schema = pa.schema([field, *list(table.schema)[1:]], metadata={b"pandas": pickle.dumps(Bomb(mark))})
    return pa.Table.from_arrays(table.columns, schema=schema)


@pytest.mark.parametrize("kind", ["pickle", "torch", "numpy"])
def test_a_bomb_in_the_place_of_a_ledgers_file(say: Say, study: Path, mark: Path, kind: str) -> None:
    (study / "ledger" / "00000003.parquet").write_bytes(bombs(mark)[kind])
    for verb in ("front", "report", "verify"):
        assert_one_line(say(verb, study), mark)


def test_a_ledgers_column_of_a_type_that_carries_code(say: Say, study: Path, mark: Path) -> None:
    before = Ledger(study / "ledger").trials()
    for file in (study / "ledger").glob("*.parquet"):
        pq.write_table(hostile_table(pq.read_table(file), mark), file)
    assert say("front", study).code == 0 and Ledger(study / "ledger").trials() == before
    assert say("report", study).code == 0
    assert not mark.exists()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("trial", "../../elsewhere"),
        ("trial", "/tmp/elsewhere"),
        ("trial", ".."),
        ("state", "__import__('os')"),
        ("params", "{"),
        ("params", "cposix\nsystem"),
        ("params", None),
    ],
)
def test_a_ledgers_record_that_makes_no_sense(say: Say, study: Path, mark: Path, column: str, value: object) -> None:
    for file in (study / "ledger").glob("*.parquet"):
        table = pq.read_table(file)
        if "0001" in table["trial"].to_pylist():
            at = table.schema.get_field_index(column)
            pq.write_table(
                table.set_column(at, table.schema.field(at), pa.array([value] * len(table), pa.string())), file
            )
    for verb in ("front", "report", "verify"):
        assert_one_line(say(verb, study), mark)


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['x']", "[settings]\nnum_trials = 'x'", "where = 1"])
def test_a_study_file_of_something_else(say: Say, study: Path, mark: Path, text: str) -> None:
    (study / "study.toml").write_text(text)
    for verb in ("resume", "verify", "report"):
        assert_one_line(say(verb, study), mark)
    (study / "study.toml").write_bytes(pickle.dumps(Bomb(mark)))
    assert_one_line(say("resume", study), mark)


def test_a_study_file_whose_space_is_of_other_types(say: Say, study: Path, mark: Path) -> None:
    file = study / "study.toml"
    text = file.read_text()
    file.write_text(text.replace("[space.fixed]", "[space.other]"))
    assert_one_line(say("resume", study), mark)
    file.write_text('where = "x"\nspace = 3\n' + text[text.index("[settings]") : text.index("[versions]")])
    assert_one_line(say("resume", study), mark)


@pytest.mark.parametrize("kind", ["pickle", "torch", "numpy"])
@pytest.mark.parametrize("name", ["manifest.parquet", "frames.npy"])
def test_a_bomb_in_the_place_of_clips(say: Say, avatars: Clips, mark: Path, kind: str, name: str) -> None:
    store = mark.with_name("clips")
    shutil.copytree(avatars.directory, store)
    (store / name).write_bytes(bombs(mark)[kind])
    assert_one_line(say("clips", "info", store), mark)
    assert_one_line(say("audit", "--method", "blur:4", "--clips", store), mark)


@pytest.mark.parametrize("facts", [b"{", b"[]", b'{"version": VERSION}', b'{"version": VERSION, "shape": "x"}'])
def test_a_manifest_whose_facts_are_damaged(say: Say, avatars: Clips, mark: Path, facts: bytes) -> None:
    store = mark.with_name("clips")
    shutil.copytree(avatars.directory, store)
    table = hostile_table(pq.read_table(store / "manifest.parquet"), mark)
    version = json.loads(pq.read_schema(store / "manifest.parquet").metadata[b"anon_tune"])["version"]
    facts = facts.replace(b"VERSION", str(version).encode())
    pq.write_table(table.replace_schema_metadata({b"anon_tune": facts}), store / "manifest.parquet")
    assert_one_line(say("clips", "info", store), mark)


def test_a_certificate_of_something_else(say: Say, study: Path, mark: Path) -> None:
    (study / "audits").mkdir()
    for name, content in {**bombs(mark), "yaml": b"!!python/object/apply:os.system ['x']", "list": b"[1]"}.items():
        (study / "audits" / f"{name}.json").write_bytes(content)
    assert say("report", study).code == 0  # a report stands without it
    page = (study / "report.html").read_text()
    assert page.count("is no certificate") == 5
    assert not mark.exists()
    with pytest.raises(ValueError, match="validation error"):
        Certificate.model_validate_json('{"py/object": "os.system"}')


def test_the_error_that_a_worker_left_is_read_and_not_unpickled(mark: Path) -> None:
    pickled = mark.with_name("error.pkl")
    pickled.write_bytes(pickle.dumps(Bomb(mark)))
    assert last_words(None) == last_words(str(mark.with_name("gone.txt"))) == "the worker was lost"
    file = mark.with_name("error.txt")
    first = "Failure # 1 (occurred at 2026-01-02_03-04-05)\nThe actor died unexpectedly.\n\tclass_name: RungTrainable\n"
    file.write_text(first)
    assert last_words(str(file)) == "The actor died unexpectedly."
    file.write_text(
        f"{first}The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR x.\n"
    )
    assert last_words(str(file)).startswith("its process was killed, most often because memory ran out. Lower 'tr")
    task = "\x1b[36mray::RungTrainable.train()\x1b[39m (pid=7)\n  File x, line 3\nValueError: no such thing\n"
    file.write_text(f"{first}Failure # 2 (occurred at 2026-01-02_03-04-06)\n{task}")
    assert last_words(str(file)) == "ValueError: no such thing"
    assert not mark.exists()
