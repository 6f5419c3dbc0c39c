"""Programs run without a shell, only if they are allowed, and what they do wrong is told in one line."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anon_tune.errors import DataError, RecipeError, UsageError
from anon_tune.methods import build_anonymizer, find, make_recipe
from anon_tune.methods.external.network import command_line
from anon_tune.methods.external.permission import check_programs, external_allowed
from anon_tune.networks import Anonymizer
from anon_tune.testing.methods import CHECKS

COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Anonymizer]:
    """Return a function that builds the anonymizer of a program, given its Python source and parameters."""

    def build(source: str, places: str = "{input} {output}", **values: object) -> Anonymizer:
        script = tmp_path / "pro gram.py"
        script.write_text(textwrap.dedent(source))
        named = {f"external.{name.replace('__', '.')}": value for name, value in values.items()}
        with external_allowed(True):
            method = f"external:{sys.executable} '{script}' {places}"
            return build_anonymizer(make_recipe({"method": method} | named))

    return build


def clip(num_frames: int = 3, height: int = 16, width: int = 20) -> torch.Tensor:
    coarse = torch.rand(num_frames, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


def test_a_program_that_copies_gives_the_same_frames(program: Callable[..., Anonymizer]) -> None:
    for shape in ((3, 16, 20), (2, 17, 19)):
        made = program(COPY)(clip(*shape))
        assert float((made - clip(*shape)).abs().max()) < 4 / 255


def test_a_program_runs_in_an_empty_folder_without_a_shell_and_gets_its_parameters(
    program: Callable[..., Anonymizer], tmp_path: Path
) -> None:
    told = tmp_path / "told"
    source = f"""
        import os, shutil, sys
        open({str(told)!r}, "w").write(repr((os.listdir("."), sys.argv[3:], sys.stdin.read())))
        shutil.copy(sys.argv[1], sys.argv[2])
    """
    program(source, "{input} {output} '$HOME;ls' --t={thresh}", args__thresh=0.5, args__boxes=True, args__no=False)(
        clip()
    )
    assert told.read_text() == repr(([], ["$HOME;ls", "--t=0.5", "--boxes"], ""))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; print('first'); print('no model', file=sys.stderr); sys.exit(3)", "exit code 3: no model"),
        ("print('nothing to do')", "wrote no video to {output}: nothing to do"),
        ("import sys; open(sys.argv[2], 'w').write('x' * 500)", "wrote a video that "),
        (
            """
            import sys, numpy as np
            from pathlib import Path
            from anon_tune.video.lossless import write_lossless
            write_lossless(np.zeros((3, 32, 20, 3), np.uint8), Path(sys.argv[2]), 25)
            """,
            "must write frames of 16 x 20 pixels, got 32 x 20",
        ),
        (
            """
            import sys, numpy as np
            from pathlib import Path
            from anon_tune.video.lossless import write_lossless
            write_lossless(np.zeros((2, 16, 20, 3), np.uint8), Path(sys.argv[2]), 25)
            """,
            "must write 3 frames, got 2",
        ),
    ],
    ids=["fails", "writes nothing", "no video", "another size", "another length"],
)
def test_what_a_program_does_wrong_is_one_line(program: Callable[..., Anonymizer], source: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        program(source)(clip())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_program_that_takes_too_long_is_ended_with_its_children(
    program: Callable[..., Anonymizer], tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    source = f"""
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3); open({str(alive)!r}, 'w')"])
        print("working", flush=True)
        time.sleep(60)
    """
    with pytest.raises(DataError, match=r"must end within 1 s: working"):
        program(source, timeout_s=1.0)(clip())
    time.sleep(3.5)
    assert not alive.exists()


def test_a_program_must_be_allowed_each_time() -> None:
    recipe = make_recipe({"method": f"external:{sys.executable} x.py"})
    with external_allowed(True):
        build_anonymizer(recipe)
    for forbidden in (lambda: build_anonymizer(recipe), lambda: check_programs([recipe.method], allowed=False)):
        with pytest.raises(UsageError) as caught:
            forbidden()
        assert f"runs the program '{sys.executable} x.py'" in str(caught.value)
        assert str(caught.value).endswith("Add --allow-external if you trust it.")


@pytest.mark.parametrize("command", ["no-such-program {input}", "./local.sh", "bin/tool"])
def test_a_program_is_on_the_path_or_named_by_its_whole_path(command: str) -> None:
    with pytest.raises(UsageError, match="must be on PATH or the absolute path of a program"):
        check_programs([f"external:{command}"], allowed=True)


def test_a_command_line_must_have_words() -> None:
    with pytest.raises(RecipeError, match="must be a command line"):
        check_programs(["external:deface 'x"], allowed=True)
    with pytest.raises(RecipeError, match="'external' needs a command"):
        find("external")
    with pytest.raises(RecipeError, match=r"external\.args\.-x"):
        make_recipe({"method": "external:deface", "external.args.-x": 1})


def test_files_and_parameters_get_their_places() -> None:
    source, output = Path("/a/in.mp4"), Path("/b/out.mp4")
    assert command_line(["deface"], {}, source, output) == ["deface", "/a/in.mp4", "/b/out.mp4"]
    words = ["deface", "{input}", "-o", "{output}"]
    line = command_line(words, {"thresh": 0.2, "keep-audio": True, "boxes": False}, source, output)
    assert line == ["deface", "/a/in.mp4", "-o", "/b/out.mp4", "--thresh", "0.2", "--keep-audio"]


def test_parameters_change_the_fingerprint_and_none_leave_it_alone() -> None:
    plain = make_recipe({"method": "external:deface"})
    assert plain.changes() == {"method": "external:deface"}
    changed = make_recipe({"method": "external:deface", "external.args.thresh": 0.3})
    assert changed.changes()["section.args.thresh"] == 0.3
    assert changed.fingerprint() != plain.fingerprint()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_program_is_a_method_like_any_other(check: Callable[[str], None], tmp_path: Path) -> None:
    script = tmp_path / "copy.py"
    script.write_text(COPY)
    with external_allowed(True):
        check(f"external:{sys.executable} {script}")
