"""Private release by random projection: a clip is rebuilt from noised projections of its frames."""

from __future__ import annotations

from collections.abc import Mapping

from anon_tune.methods.spec import Argument, MethodSpec, Value, release_text


def _release(values: Mapping[str, Value]) -> str:
    return release_text(values, "one frame")


SPEC = MethodSpec(
    name="dprp",
    summary="Rebuilds clips from noised random projections: (epsilon, delta)-private release of a frame.",
    builder="anon_tune.methods.dprp.network",
    source="Video-DPRP, arXiv:2503.02132, from its abstract. See `anon_tune.methods.dprp.network.Dprp`.",
    arguments=(
        Argument("epsilon", 8.0, 0.01, 1000.0),
        Argument("projections", 16, 1, 1024),
        Argument("components", 4, 1, 256),
        Argument("block", 4, 1, 256, unit="pixels"),
        Argument("delta", 1e-4, 1e-12, 0.1),
    ),
    needs=frozenset({"whole clips"}),
    release=_release,
)
