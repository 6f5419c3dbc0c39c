"""A temporal network whose narrow output is attacked inside the game by the kinds of networks that measure."""

from anon_tune.methods.spec import MethodSpec

SPEC = MethodSpec(
    name="narrow",
    summary="A temporal network that draws coarse grey frames of few levels, against three kinds of attackers.",
    builder="anon_tune.methods.rewriting_network",
    source="Ours, from what paid on our own benchmarks. `search_spaces/quickstart.toml` searches the same game.",
    is_trained=True,
    # Faint details, which branches inside the game miss, cannot be shown below blocks, few levels and no colours.
    defaults={
        "anonymizer.network": "unet_temporal",
        "anonymizer.start": "frame-difference:3",
        "anonymizer.grey": True,
        "anonymizer.block": 2,
        "anonymizer.levels": 7,
        "anonymizer.lr": 5e-3,
        "privacy.branches": "frame,clip,motion",
        "privacy.driver": "all",
        "privacy.width": 8,
        "privacy.weight": 15.0,
        "training.num_branch_updates": 2,
    },
    fixes={"penalty.weight": 0.0},
    uses=("anonymizer", "utility", "privacy", "training"),
)
