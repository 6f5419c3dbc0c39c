"""Anonymizers as programs that run without this package: torch.export (.pt2) and ONNX (.onnx).

Shapes: T frames, H height, W width.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from anon_tune.errors import ExportError, UsageError
from anon_tune.folder import File
from anon_tune.networks import Anonymizer

LARGEST_DIFFERENCE = 1e-4
"""Largest difference that is accepted between outputs of a program and of its anonymizer, for pixels in [0, 1]."""

_INPUT, _OUTPUT = "frames", "anonymized"
_EXAMPLE = (5, 3, 34, 46)  # sizes differ, because the tracer could take equal sizes for one symbol


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """The input size of a program, and how exact it is.

    Attributes:
        shape: The T, H and W that it takes; None if it takes any.
        difference: Largest absolute difference to the anonymizer's output on the frames of the check.
    """

    shape: tuple[int, int, int] | None
    difference: float


def write_program(
    anonymizer: Anonymizer, frames: Tensor, path: Path, describe: Callable[[ProgramFacts], Mapping[str, Any]]
) -> None:
    """Write an anonymizer as a program, in the format that the suffix of the path names, and check it.

    The program maps ``frames`` (T,3,H,W) in [0, 1] to the same shape. It takes any T, H and W if the
    network can be traced that way, else only those of `frames`. The program is loaded again and run on the frames, and
    on a part of them with other sizes.

    Args:
        anonymizer: On the CPU, in eval mode, without gradients.
        frames: Frames of a real clip, (T,3,H,W) in [0, 1], with T at least 2.
        path: File to write, with the suffix .pt2 or .onnx. It appears only when it is complete.
        describe: Returns the model card, which is put into the file.

    Raises:
        ExportError: The anonymizer cannot be traced, or the program differs from it by more than `LARGEST_DIFFERENCE`.
        UsageError: A package that ONNX needs is not installed.
    """
    is_onnx = path.suffix == ".onnx"
    if is_onnx:
        for package in ("onnx", "onnxscript", "onnxruntime"):
            _needed(package, path)
    height, width = (max(8, side * 3 // 4) | 1 for side in frames.shape[-2:])  # odd, so that rounding of sizes shows
    part = frames[: max(3, len(frames) - 1), :, :height, :width]
    example = torch.rand(_EXAMPLE, generator=torch.Generator().manual_seed(0))
    failed = ""
    for shape, traced, checked in ((None, example, (frames, part)), (_shape(frames), frames, (frames,))):
        try:
            with _quiet():
                program = _traced(anonymizer, traced, any_shape=shape is None)
                content = _as_onnx(program) if is_onnx else _as_pt2(program)
                run = _onnx_runner(content) if is_onnx else _pt2_runner(content)
                difference = max(float((run(clip) - anonymizer(clip)).abs().max()) for clip in checked)
        # Tracing, converting and running a program can raise any exception.
        except Exception as error:
            failed = type(error).__name__
            continue
        if difference <= LARGEST_DIFFERENCE:
            card = json.dumps(describe(ProgramFacts(shape, difference)))
            File.at(path).write(_with_card_onnx(content, card) if is_onnx else _as_pt2(program, card))
            return
        failed = f"a difference of {difference:.2g}"
    rule = f"no {path.suffix} program agrees with the anonymizer within {LARGEST_DIFFERENCE:g}"
    raise ExportError(str(path), rule, remedy="Export it as .safetensors", cause=failed)


def _needed(package: str, path: Path) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        remedy = "Install the extra: pip install 'anon_tune[onnx]'"
        raise UsageError(str(path), f"ONNX needs the package {package}", remedy=remedy) from None


@contextmanager
def _quiet() -> Any:
    """Silence the messages of the exporters: the program is checked afterwards."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _shape(frames: Tensor) -> tuple[int, int, int]:
    return frames.shape[0], frames.shape[2], frames.shape[3]


def _traced(anonymizer: Anonymizer, frames: Tensor, any_shape: bool) -> ExportedProgram:
    if not any_shape:
        return torch.export.export(anonymizer, (frames,))
    free = {0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}
    # The tracer notes which sizes, with and without padding, were unequal in its example. It would refuse other sizes,
    # although the traced operations are the same for them. `write_program` checks two sets of sizes instead.
    settings: Any = importlib.import_module("torch.fx.experimental._config")
    with settings.patch(backed_size_oblivious=True):
        program = torch.export.export(anonymizer, (frames,), dynamic_shapes=(free,))
    program._guards_code.clear()
    return program


def _as_pt2(program: ExportedProgram, card: str = "") -> bytes:
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={"model_card.json": card})
    return stream.getvalue()


def _pt2_runner(content: bytes) -> Callable[[Tensor], Tensor]:
    module: Callable[[Tensor], Tensor] = torch.export.load(io.BytesIO(content)).module()
    return module


def _as_onnx(program: ExportedProgram) -> bytes:
    converted = torch.onnx.export(program, input_names=[_INPUT], output_names=[_OUTPUT], dynamo=True, verbose=False)
    if converted is None:
        raise ValueError("nothing was converted")
    model = converted.model_proto
    for value in (*model.graph.input, *model.graph.output):
        for size, name in zip(value.type.tensor_type.shape.dim, ("T", "", "H", "W"), strict=True):
            if size.dim_param:
                size.dim_param = name
    del model.graph.value_info[:]  # it has other names for the sizes
    content: bytes = model.SerializeToString()
    return content


def _onnx_runner(content: bytes) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # an error is raised as an exception in any case
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    return lambda frames: torch.from_numpy(session.run([_OUTPUT], {_INPUT: frames.numpy()})[0])


def _with_card_onnx(content: bytes, card: str) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    model.producer_name = "anon_tune"
    model.doc_string = f"{_INPUT} (T,3,H,W) RGB in [0, 1] to {_OUTPUT}, the same"
    model.metadata_props.add(key="model_card", value=card)
    onnx.checker.check_model(model)
    done: bytes = model.SerializeToString()
    return done
