"""Filters of persons only, with two detectors that need no downloaded weights.

If the detector finds no one in a frame, the frame is left unchanged. The measured leakage includes such frames.
"""

from anon_tune.methods.spec import Argument, MethodSpec

_BUILDER = "anon_tune.methods.persons.network"
_DETECTOR = Argument("detector", "background", choices=("background", "hog"))
_LA3D = "LA3D's filters, whose size grows with the person's area; its detector is another."

BLACK_OUT = MethodSpec(
    name="person-black-out",
    summary="Black in place of persons.",
    builder=_BUILDER,
    arguments=(_DETECTOR,),
    needs=frozenset({"persons", "whole clips"}),
)

BLUR = MethodSpec(
    name="person-blur",
    summary="Gaussian blur of persons.",
    builder=_BUILDER,
    arguments=(Argument("sigma", 4.0, 0.1, 256.0, unit="pixels"), _DETECTOR),
    needs=frozenset({"persons", "whole clips"}),
)

AREA_BLUR = MethodSpec(
    name="area-blur",
    summary="Blur of persons, the wider the larger a person is in the frame.",
    builder=_BUILDER,
    source=_LA3D,
    arguments=(Argument("strength", 1.0, 0.01, 100.0), _DETECTOR),
    needs=frozenset({"persons", "whole clips"}),
)

AREA_PIXELATE = MethodSpec(
    name="area-pixelate",
    summary="Pixelation of persons, the coarser the larger a person is in the frame.",
    builder=_BUILDER,
    source=_LA3D,
    arguments=(Argument("strength", 1.0, 0.01, 100.0), _DETECTOR),
    needs=frozenset({"persons", "whole clips"}),
)
