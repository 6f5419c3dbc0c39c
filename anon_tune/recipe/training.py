"""The values that the minimax game of a trial depends on."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from anon_tune.recipe.measuring import SEGMENTS, TASK, TaskName
from anon_tune.recipe.part import Part, Positive, once_each, split_names
from anon_tune.schedule import Schedule, ScheduleField

NETWORK_BRANCH = "network"
"""The name in `PrivacyRecipe.branches` of the branch that has the section's own network."""


BranchNames = Annotated[
    tuple[str, ...], Field(min_length=1), BeforeValidator(split_names), AfterValidator(once_each("a branch"))
]


class AnonymizerRecipe(Part):
    """The network f_A that rewrites frames."""

    network: str = Field("unet_small", description="name of a network for anonymizers in `anon_tune.networks`")
    base_channels: Positive = Field(16, le=128, description="channels of the first level of unet_small, unet_temporal")
    frames_before: int = Field(1, ge=0, le=16, description="earlier frames that unet_temporal sees")
    frames_after: int = Field(1, ge=0, le=16, description="later frames that unet_temporal sees; 0 for a causal one")
    grey: bool = Field(False, description="the output of a U-Net has no colours")
    block: Positive = Field(1, le=64, description="side in pixels of the blocks that the output of a U-Net consists of")
    levels: int = Field(
        256, ge=2, le=256, description="levels that a pixel of the output of a U-Net can have; fewer carry less"
    )
    start: str = Field(
        "identity", description="closed-form method that the network imitates before the game, as frame-difference:3"
    )
    residual: bool = Field(
        False, description="the network changes the outputs of the start, at first not at all; needs pretrain_steps = 0"
    )
    pretrain_steps: int = Field(40, ge=0, description="L1 steps towards the outputs of the start before the game")
    pretrain_lr: float = Field(3e-3, gt=0, le=1, description="learning rate of these L1 steps")
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(None, description="local file to start from: safetensors, or a torch state dict")


class UtilityRecipe(Part):
    """The utility network f_T and its task, which is measured too."""

    task: TaskName = Field("action", description=TASK)
    segments: Positive = Field(8, description=SEGMENTS)
    network: str = Field("small3d", description="name of a utility network in `anon_tune.networks`")
    weight: ScheduleField = Field(Schedule(start=1.0), description="weight of L_T, at least 0")
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(None, description="local file to start from: safetensors, or a torch state dict")


class PrivacyRecipe(Part):
    """The privacy branches f_B, which are co-trained and attack inside the game."""

    branches: BranchNames = Field(
        (NETWORK_BRANCH,),
        description="what attacks inside the game: 'network' is the network below, which sees single frames; other "
        "names are attackers, as 'frame,clip,motion'",
    )
    network: str = Field("small2d", description="name of a privacy branch in `anon_tune.networks`")
    width: Positive = Field(
        16, multiple_of=4, description="channels of the first layer of attackers among the branches"
    )
    head: Literal["attributes", "nt_xent"] = Field("attributes", description="supervised by BCE, or self-supervised")
    weight: ScheduleField = Field(Schedule(start=5.0), description="weight of the adversary term, at least 0")
    bound: Literal["cap", "tanh"] = Field("cap", description="how -L_B is bounded from below")
    target: Literal["loss", "uniform"] = Field(
        "loss", description="goal of f_A: the largest loss of the branch, or branch outputs of 0.5 (attributes only)"
    )
    num_branches: int = Field(1, ge=1, le=16, description="number of copies of each branch")
    driver: Literal["strongest", "all"] = Field(
        "strongest", description="what f_A learns against: the strongest branch, or the mean of all"
    )
    restart_steps: int = Field(0, ge=0, description="steps between restarts of branches; 0 for never")
    restart: Literal["together", "in-turn"] = Field(
        "together", description="all branches restart, or one after another"
    )
    cap: float = Field(1.0, gt=0, le=10, description="the bound, as a multiple of the loss of a blind branch")
    temperature: float = Field(0.1, gt=0, le=10, description="temperature of NT-Xent")
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(None, description="local file to start from: safetensors, or a torch state dict")


class PenaltyRecipe(Part):
    """The distortion penalty ``max(0, rms(x - f_A(x)) - threshold)`` per clip."""

    on: Literal["pixels", "features"] = Field(
        "pixels", description="what is compared: pixels, or features of the utility network"
    )
    weight: ScheduleField = Field(Schedule(start=1.0), description="penalty weight, at least 0")
    threshold: ScheduleField = Field(
        Schedule(start=0.1), description="at least 0; on pixels, 0.02 to 0.3 has an effect"
    )
    detached: bool = Field(False, description="no gradient flows, as in the released code of arXiv:2504.14301")


class TrainingRecipe(Part):
    """The minimax loop."""

    num_steps: Positive = Field(240, description="a step is one move 1 (f_A) and num_branch_updates moves 2 (f_B, f_T)")
    num_epochs: float | None = Field(
        None,
        gt=0,
        description="passes of the game over the training clips, instead of num_steps, which then follows from it; "
        "a step of diffusion takes one batch only",
    )
    epoch_clips: int = Field(0, ge=0, description="training clips of an epoch; a study with num_epochs sets it")
    batch_clips: Positive = Field(8, le=4096, description="clips in a batch, over all workers together")
    stills_per_clip: Positive = Field(2, description="frames of each clip that the privacy branch sees")
    num_branch_updates: Positive = Field(3, description="number of moves 2 after each move 1")
    warmup_steps: int = Field(20, ge=0, description="number of moves 2 before the game, on the pretrained anonymizer")
    crop: float = Field(1.0, gt=0, le=1, description="smallest random crop as a fraction of height and width")
    flip: bool = Field(False, description="mirror half of the clips; leave it off if an action has a direction")
    jitter: float = Field(0.0, ge=0, lt=1, description="largest change of brightness, contrast and saturation")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="optimizer of all networks")
    weight_decay: float = Field(0.0, ge=0, le=1)
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    fused: bool = Field(False, description="the optimizer updates all weights in one pass")
    clip_norm: float = Field(0.0, ge=0, description="largest norm of a network's gradient; 0 for any")
    accumulate: Positive = Field(1, description="parts of a batch whose gradients are added before an update")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="numbers that networks compute in")
    channels_last: bool = Field(False, description="kernels are stored with their channels last")
    compile: bool = Field(False, description="networks are compiled by torch.compile, which needs a C++ compiler")
    log_every: Positive = Field(1, description="steps between two times that losses are read from the device")
    read_ahead: int = Field(0, ge=0, le=64, description="batches that threads read ahead")
    bucket_mb: int = Field(0, ge=0, description="MiB of gradients that workers exchange at once; 0 for all at the end")
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _epochs_are_steps(self) -> Self:
        if self.num_epochs is not None and self.epoch_clips:
            clips_of_a_step = self.batch_clips * (1 + self.num_branch_updates)
            # The model is frozen for all others.
            self.__dict__["num_steps"] = max(1, math.ceil(self.num_epochs * self.epoch_clips / clips_of_a_step))
        return self

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch_clips % self.accumulate:
            rule = f"'training.batch_clips' must be a multiple of 'training.accumulate' = {self.accumulate}"
            raise ValueError(f"{rule}, got {self.batch_clips}")
        return self
