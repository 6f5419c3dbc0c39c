"""Methods that change only persons, found by one of two detectors that need no downloaded weights.

If the detector finds no one in a frame, the frame is left unchanged. The measured leakage includes such frames.
"""

from anon_tune.methods.spec import Argument, MethodSpec

_BUILDER = "anon_tune.methods.persons.network"
_DETECTOR = Argument("detector", "background", choices=("background", "hog"))
_LA3D = "LA3D, arXiv:2410.18717: filters whose size grows with the person's area. We use another detector."

BLACK_OUT = MethodSpec(
    name="person-black-out",
    summary="Makes persons black.",
    builder=_BUILDER,
    arguments=(_DETECTOR,),
    needs=frozenset({"persons", "whole clips"}),
)

BLUR = MethodSpec(
    name="person-blur",
    summary="Blurs persons with a Gaussian.",
    builder=_BUILDER,
    arguments=(Argument("sigma", 4.0, 0.1, 256.0, unit="pixels"), _DETECTOR),
    needs=frozenset({"persons", "whole clips"}),
)

AREA_BLUR = MethodSpec(
    name="area-blur",
    summary="Blurs persons; the larger a person is in the frame, the wider the blur.",
    builder=_BUILDER,
    source=_LA3D,
    arguments=(Argument("strength", 1.0, 0.01, 100.0), _DETECTOR),
    needs=frozenset({"persons", "whole clips"}),
)

AREA_PIXELATE = MethodSpec(
    name="area-pixelate",
    summary="Pixelates persons; the larger a person is in the frame, the larger the blocks.",
    builder=_BUILDER,
    source=_LA3D,
    arguments=(Argument("strength", 1.0, 0.01, 100.0), _DETECTOR),
    needs=frozenset({"persons", "whole clips"}),
)
