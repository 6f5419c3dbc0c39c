"""Any program that turns a video into a video, as a method: ``external:deface {input} -o {output}``.

The text after the colon is the command line. It is split into words as a shell would split it, but no shell ever runs:
the first word is found on PATH or is an absolute path. ``{input}`` and ``{output}`` stand for the two video files; if
neither is there, both are added at the end. Values of ``external.args.NAME`` take the place of ``{NAME}``; one whose
place is not there is added as ``--NAME VALUE``.
"""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from anon_tune.methods.spec import Argument, MethodSpec
from anon_tune.recipe import Part

ArgumentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class ExternalRecipe(Part):
    """The program's own parameters, and how long it may take."""

    args: dict[ArgumentName, bool | int | float | str] = Field(
        default_factory=dict[str, Any], description="parameters of the program: external.args.NAME"
    )
    timeout_s: float = Field(600.0, gt=0, le=86400, description="seconds that the program may take for one clip")


SPEC = MethodSpec(
    name="external",
    summary="Runs a program that turns a video file into another; only with --allow-external.",
    builder="anon_tune.methods.external.network",
    arguments=(Argument("command", "deface {input} -o {output}", is_text=True),),
    section=ExternalRecipe,
    needs=frozenset({"whole clips"}),
)
