"""The values that describe the adversarial game of a trial: its networks, its penalty and its training."""

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
    """The anonymizer f_A, a network that rewrites frames."""

    network: str = Field("unet_small", description="network of the anonymizer, by its name in `anon_tune.networks`")
    base_channels: Positive = Field(
        16, le=128, description="channels of the first level of unet_small, unet_temporal and the networks of wavelet"
    )
    frames_before: int = Field(1, ge=0, le=16, description="number of earlier frames that unet_temporal sees")
    frames_after: int = Field(
        1, ge=0, le=16, description="number of later frames that unet_temporal sees; 0 for live video"
    )
    grey: bool = Field(False, description="true to remove all colours from the output of a U-Net or smp network")
    block: Positive = Field(
        1,
        le=64,
        description="side in pixels of the blocks that are replaced by their mean in the output of a U-Net or smp "
        "network; 1 keeps every pixel",
    )
    levels: int = Field(
        256,
        ge=2,
        le=256,
        description="number of values that a pixel of the output of a U-Net or smp network can have; fewer values "
        "carry less information",
    )
    start: str = Field(
        "identity",
        description="closed-form method whose outputs the network imitates before the game, such as frame-difference:3",
    )
    residual: bool = Field(
        False,
        description="true to let the network change the outputs of `start`, which it leaves unchanged at first; needs "
        "pretrain_steps = 0",
    )
    pretrain_steps: int = Field(
        40, ge=0, description="optimizer steps before the game that imitate `start` by the L1 distance"
    )
    pretrain_lr: float = Field(3e-3, gt=0, le=1, description="learning rate of the pretrain_steps")
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(
        None, description="local file of weights to start from: safetensors or a torch state dict"
    )


class UtilityRecipe(Part):
    """The utility network f_T and the utility task, which is trained and measured."""

    task: TaskName = Field("action", description=TASK)
    segments: Positive = Field(8, description=SEGMENTS)
    network: str = Field("small3d", description="utility network, by its name in `anon_tune.networks`")
    weight: ScheduleField = Field(
        Schedule(start=1.0), description="weight of the utility loss L_T in the loss of f_A, at least 0"
    )
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(
        None, description="local file of weights to start from: safetensors or a torch state dict"
    )


class PrivacyRecipe(Part):
    """The privacy branches f_B, which are trained together with f_A and attack its outputs."""

    branches: BranchNames = Field(
        (NETWORK_BRANCH,),
        description="the privacy branches: 'network' is the one that privacy.network names, which sees single frames; "
        "other names are attackers, for example 'frame,clip,motion'",
    )
    network: str = Field("small2d", description="network of the branch 'network', by its name in `anon_tune.networks`")
    width: Positive = Field(
        16, multiple_of=4, description="channels of the first layer of the branches that are attackers"
    )
    head: Literal["attributes", "nt_xent"] = Field(
        "attributes",
        description="how branches learn: attributes from the private labels by cross-entropy, nt_xent without labels",
    )
    weight: ScheduleField = Field(
        Schedule(start=5.0), description="weight of the adversary term in the loss of f_A, at least 0"
    )
    bound: Literal["cap", "tanh"] = Field(
        "cap",
        description="how the adversary term -L_B is bounded from below: cut off at the bound, or by a smooth tanh",
    )
    target: Literal["loss", "uniform"] = Field(
        "loss",
        description="goal of f_A: a large loss of the branch, or the same probability for every value of an attribute; "
        "uniform needs head = attributes",
    )
    num_branches: int = Field(1, ge=1, le=16, description="number of copies of each branch")
    driver: Literal["strongest", "all"] = Field(
        "strongest", description="what f_A learns against: the strongest branch only, or the mean of all branches"
    )
    restart_steps: int = Field(
        0, ge=0, description="steps between restarts of branches with fresh weights; 0 for never"
    )
    restart: Literal["together", "in-turn"] = Field(
        "together", description="at a restart, all branches get fresh weights, or one branch, each in turn"
    )
    cap: float = Field(1.0, gt=0, le=10, description="the bound, as a multiple of the loss of a branch that guesses")
    temperature: float = Field(0.1, gt=0, le=10, description="temperature of NT-Xent; used with head = nt_xent")
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(
        None, description="local file of weights to start from: safetensors or a torch state dict"
    )


class PenaltyRecipe(Part):
    """The distortion penalty: the mean over clips of ``max(0, rms(x - f_A(x)) - threshold)``."""

    on: Literal["pixels", "features"] = Field(
        "pixels", description="what the distortion is measured on: pixels, or features of the utility network"
    )
    weight: ScheduleField = Field(
        Schedule(start=1.0), description="weight of the penalty in the loss of f_A, at least 0"
    )
    threshold: ScheduleField = Field(
        Schedule(start=0.1),
        description="root mean square distortion that is not penalized, at least 0; on pixels in [0, 1], useful values "
        "are 0.02 to 0.3",
    )
    detached: bool = Field(
        False,
        description="true for a penalty without a gradient, which does not train f_A, as in the released code of "
        "arXiv:2504.14301",
    )


class TrainingRecipe(Part):
    """The training loop of the game. Move 1 updates f_A; move 2 updates f_B and f_T."""

    num_steps: Positive = Field(
        240, description="steps of the game; a step is one move 1 (f_A) and num_branch_updates moves 2 (f_B, f_T)"
    )
    num_epochs: float | None = Field(
        None,
        gt=0,
        description="passes over the training clips, from which num_steps is computed; every move uses one batch. "
        "The method diffusion uses one batch per step, so it makes fewer passes",
    )
    epoch_clips: int = Field(0, ge=0, description="number of training clips, needed with num_epochs; a study sets it")
    batch_clips: Positive = Field(8, le=4096, description="clips in a batch, all workers together")
    stills_per_clip: Positive = Field(
        2,
        description="frames of each clip that the branch 'network' sees; with --stills, stills per clip for every "
        "branch",
    )
    num_branch_updates: Positive = Field(3, description="number of moves 2 after each move 1")
    warmup_steps: int = Field(
        20, ge=0, description="moves 2 before the game, and updates of the branches after each of their restarts"
    )
    crop: float = Field(
        1.0, gt=0, le=1, description="smallest random crop, as a fraction of height and width; 1 for no crop"
    )
    flip: bool = Field(
        False, description="true to mirror about half of the clips; not if left and right tell actions apart"
    )
    jitter: float = Field(0.0, ge=0, lt=1, description="largest random change of brightness, contrast and saturation")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="optimizer of all networks")
    weight_decay: float = Field(0.0, ge=0, le=1, description="weight decay of the optimizer")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of the optimizer sgd")
    fused: bool = Field(
        False, description="true to update all weights in one pass: faster, but results differ in the last digits"
    )
    clip_norm: float = Field(0.0, ge=0, description="largest norm of the gradient of f_A, f_B or f_T; 0 for no limit")
    accumulate: Positive = Field(
        1, description="parts into which a batch is cut, computed one after another; more parts need less memory"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="number format in which networks compute; losses are computed in float32"
    )
    channels_last: bool = Field(False, description="true to store weights of convolutions with their channels last")
    compile: bool = Field(
        False, description="true to compile networks with torch.compile; on a CPU, this needs a C++ compiler"
    )
    log_every: Positive = Field(
        1, description="steps after which losses are read from the device; larger is faster, but NaN is noticed later"
    )
    read_ahead: int = Field(0, ge=0, le=64, description="number of batches that threads read in advance; 0 for none")
    bucket_mb: int = Field(
        0,
        ge=0,
        description="MiB of gradients that workers exchange at a time during the backward pass; 0 to exchange all "
        "after it",
    )
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
