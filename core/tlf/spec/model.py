"""The run spec: everything that one run needs to be told, as validated data.

Only `data` and `backbone` are required. Every part that a plugin provides is written as
`{"name": …, "options": {…}}`, or as its name alone. What the options may hold is the plugin's own
affair; the registry checks it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

FORBID = ConfigDict(extra="forbid", frozen=True)

Metric = Literal[
    "accuracy",
    "balanced-accuracy",
    "macro-f1",
    "mean-average-precision",
    "micro-f1",
    "subset-accuracy",
    "top-5-accuracy",
]


class _NamedSpec(BaseModel):
    """A part that has a name. A string stands for its name alone."""

    model_config = FORBID

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class PartSpec(_NamedSpec):
    """A part that a plugin provides. A string stands for its name alone."""

    name: Annotated[str, Field(min_length=1, description="What the plugin calls it.")]
    options: dict[str, JsonValue] = Field(
        default_factory=dict, description="Options, as the plugin defines them."
    )


class DataSpec(PartSpec):
    """Where the images come from."""

    unreadable: Literal["error", "skip-and-report"] = Field(
        default="error",
        description="What to do about a file that is no image: stop before training, or leave it "
        "out and list it in the report.",
    )
    timeout_seconds: float | None = Field(
        default=600.0,
        gt=0.0,
        allow_inf_nan=False,
        description="How long to wait for one image to be read before the run stops and names it; "
        "null for as long as it takes. One that takes a minute is named in a warning.",
    )
    leaks: Literal["error", "warn"] = Field(
        default="error",
        description="What to do about an image whose very content is in two splits: stop before "
        "training, or go on and say so. `tlf data check` lists them.",
    )


class BackboneSpec(PartSpec):
    """The pretrained network: `family/model`."""

    weights: str = Field(
        default="default",
        min_length=1,
        description='`"default"` (the library\'s own), `"none"` (random), or a `.safetensors` or '
        "`.pth` file. A relative path starts at the spec file's folder.",
    )


class HeadOptions(BaseModel):
    """Options of the head."""

    model_config = FORBID

    dropout: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="Share of the features dropped in training."
    )


class HeadSpec(_NamedSpec):
    """The classifier that is put on the backbone. A string stands for its name alone."""

    name: Literal["linear"] = "linear"
    options: HeadOptions = HeadOptions()


class OptimizerSpec(_NamedSpec):
    """The optimizer. A string stands for its name alone."""

    name: Literal["adamw", "sgd"] = Field(
        default="adamw",
        description="`adamw` needs no tuning to work; `sgd` is what most papers report.",
    )
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0, description="Of `sgd` (Nesterov).")
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0, description="Of `adamw`.")
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0, description="Of `adamw`.")


class LossSpec(_NamedSpec):
    """The training loss. A string stands for its name alone."""

    name: Literal["cross-entropy", "focal"] = Field(
        default="cross-entropy",
        description="`focal` counts images that are right anyway for less (Lin et al., 2017, "
        "https://arxiv.org/abs/1708.02002).",
    )
    gamma: float = Field(
        default=2.0,
        ge=0.0,
        le=10.0,
        description="Of `focal`: the larger, the less they count; 0 is `cross-entropy`.",
    )


class MixingSpec(_NamedSpec):
    """How the images of a batch are mixed. A string stands for its name alone."""

    name: Literal["mixup", "cutmix", "mixup-or-cutmix"] = Field(
        description="`mixup` blends two images, `cutmix` puts a rectangle of one onto the other, "
        "`mixup-or-cutmix` draws one of the two for each batch. Their labels are mixed alike (Zhang et "
        "al., 2017, https://arxiv.org/abs/1710.09412; Yun et al., 2019, "
        "https://arxiv.org/abs/1905.04899).",
    )
    mixup_alpha: float = Field(
        default=0.2,
        gt=0.0,
        le=100.0,
        description="The shares of two images are drawn from Beta(alpha, alpha): mostly near 0 and 1 "
        "if it is small. That of `mixup` in its paper is from 0.1 to 0.4 for photographs.",
    )
    cutmix_alpha: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="The same for the area of `cutmix`, where its paper draws every share alike.",
    )
    probability: float = Field(
        default=1.0, gt=0.0, le=1.0, description="Share of the batches that are mixed."
    )


class TeacherSpec(BaseModel):
    """A network to learn from: that of a finished run, or a backbone. A string stands for a run."""

    model_config = FORBID

    run: Path | None = Field(
        default=None,
        description="Directory of a finished run that knows all of these classes. A relative path "
        "starts at the spec file's folder.",
    )
    backbone: BackboneSpec | None = Field(
        default=None,
        description="A backbone, frozen, whose head is solved for on the training images.",
    )

    @model_validator(mode="before")
    @classmethod
    def _run_alone(cls, value: object) -> object:
        return {"run": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of_both(self) -> TeacherSpec:
        if (self.run is None) == (self.backbone is None):
            raise ValueError("give either `run` or `backbone`")
        return self


class DistillationSpec(BaseModel):
    """Learning from a teacher's probabilities (Hinton et al., 2015, https://arxiv.org/abs/1503.02531)."""

    model_config = FORBID

    teacher: TeacherSpec = Field(description="Who teaches. It stays as it is.")
    temperature: float = Field(
        default=2.0,
        gt=0.0,
        le=100.0,
        description="What the logits of both are divided by: the larger, the more the classes count "
        "that the teacher holds for unlikely.",
    )
    weight: float = Field(
        default=0.5,
        gt=0.0,
        le=1.0,
        description="Share of the teacher in the loss; the labels have the rest.",
    )


class TrainingSpec(BaseModel):
    """How to train: the same for every strategy, so that strategies can be compared."""

    model_config = FORBID

    epochs: int = Field(
        default=10, ge=1, le=100_000, description="Passes over the training images, in all."
    )
    batch_size: int = Field(default=32, ge=1, le=65_536, description="Images a batch.")
    accumulate: int = Field(
        default=1,
        ge=1,
        le=65_536,
        description="Batches whose gradients are added up before the optimizer takes a step: as one "
        "batch so many times as large would, but for batch norms, in the memory of one.",
    )
    views: Literal["none", "every-epoch"] | Annotated[int, Field(ge=1, le=10_000)] = Field(
        default="every-epoch",
        description='Augmented views of each image: `"none"`, a number of them, or '
        '`"every-epoch"` (a new one each time).',
    )
    augmentation_seed: int = Field(
        default=0, ge=0, lt=2**31, description="Draws the views. Not the run's seed, on purpose."
    )
    optimizer: OptimizerSpec = OptimizerSpec()
    learning_rate: float = Field(
        default=2e-3, gt=0.0, le=100.0, description="Peak rate; a strategy scales it by group."
    )
    weight_decay: float = Field(
        default=0.05, ge=0.0, le=1.0, description="Decoupled; never on norms and biases."
    )
    schedule: Literal["cosine", "linear", "constant", "slanted-triangular"] = Field(
        default="cosine",
        description="How the rate falls after the warmup, over the whole run. `slanted-triangular` is "
        "ULMFiT's: straight lines from and to a 32nd of the peak.",
    )
    warmup: float = Field(
        default=0.1, ge=0.0, le=0.5, description="Share of the run in which the rate rises."
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="After how many epochs without a gain, on the images to choose on, a step that "
        "trains ends; it ends with the weights of its best epoch. Null for all of its epochs.",
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="Which weights steps and the run end with: the last, or the best on the images to "
        "choose on. Either way they are chosen on other images than what is reported.",
    )
    loss: LossSpec = LossSpec()
    label_smoothing: float = Field(
        default=0.05, ge=0.0, lt=1.0, description="Share of the target spread over all classes."
    )
    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0.0)]] | None = Field(
        default=None,
        description="What an image of each class counts for in the loss: `balanced`, each class as "
        "much as any other; or numbers by class, 1 where there is none, which are scaled so that the "
        "mean of all training images is 1.",
    )
    sampling: Literal["shuffle", "balanced"] = Field(
        default="shuffle",
        description="What an epoch trains on: each image once; or as many images, but equally many of "
        "each class, those of rare ones several times.",
    )
    mixing: MixingSpec | None = Field(
        default=None,
        description="Mixes the images of a batch and their labels. What is frozen is then computed "
        "anew for each batch.",
    )
    distillation: DistillationSpec | None = Field(
        default=None,
        description="Steps that train learn from another network's probabilities, too.",
    )
    ema: float | None = Field(
        default=None,
        gt=0.0,
        lt=1.0,
        description="Evaluate, and end each step with, an exponential moving average of the weights "
        "that learn; this share of it stays at each optimizer step, less over the first ones. Null for "
        "the weights themselves.",
    )
    clip_norm: float | None = Field(
        default=1.0, gt=0.0, description="Largest norm of the gradient; null for no limit."
    )
    workers: int | None = Field(
        default=None,
        ge=0,
        le=256,
        description="Threads that decode images; null for one per processor core, 0 for one that "
        "decodes none in advance. Changes no result.",
    )


class EvaluationSpec(BaseModel):
    """What to measure. The loss always is."""

    model_config = FORBID

    metrics: tuple[Metric, ...] | None = Field(
        default=None,
        min_length=1,
        description="null for those of the task: `accuracy`, `balanced-accuracy`, `macro-f1` and "
        "`top-5-accuracy` (left out where there are five classes or fewer); of multi-label data "
        "`mean-average-precision`, `macro-f1`, `micro-f1` and `subset-accuracy`.",
    )
    selection: float = Field(
        default=0.2,
        gt=0.0,
        lt=1.0,
        description="Share of each class of the training images that is held out to choose on, where "
        "the strategy chooses among trained weights and there is no test split. Where there is one, "
        "the validation images are chosen on.",
    )


class CacheSpec(BaseModel):
    """What is kept between epochs and between runs. Changes no result."""

    model_config = FORBID

    mode: Literal["auto", "off"] = Field(
        default="auto",
        description="`auto` keeps what is computed again and again where that saves time: features at "
        "the frozen boundary, or decoded images. `off` keeps nothing.",
    )
    max_gb: float = Field(
        default=10.0,
        gt=0.0,
        description="What all runs together keep at most, in units of 10^9 bytes; what was used "
        "longest ago goes first.",
    )
    directory: Path | None = Field(
        default=None,
        description="Where to keep it: null for `TLF_CACHE_DIR` or the user's cache folder. A relative "
        "path starts at the spec file's folder.",
    )


class CheckpointSpec(BaseModel):
    """When to save the state of a run."""

    model_config = FORBID

    every_seconds: float = Field(
        default=60.0,
        gt=0.0,
        description="Between two batches, if the last one is this old. `tlf run --resume` goes on "
        "there.",
    )


class RunSpec(BaseModel):
    """One run of tlf."""

    model_config = FORBID

    name: str = Field(
        default="run",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="Names the run's folder.",
    )
    data: DataSpec
    backbone: BackboneSpec
    head: HeadSpec = HeadSpec()
    transforms: PartSpec = PartSpec(name="standard")
    strategy: PartSpec = PartSpec(name="feature-extraction")
    training: TrainingSpec = TrainingSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    device: PartSpec = PartSpec(name="auto")
    cache: CacheSpec = CacheSpec()
    checkpoint: CheckpointSpec = CheckpointSpec()
    observers: tuple[PartSpec, ...] = Field(
        default=(),
        description="What hears of the run, and writes or sends it somewhere. Changes no result.",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="Draws the head, the order of images, and dropout."
    )
    output: Path = Field(
        default=Path("runs"),
        description="Folder for run folders. A relative path starts at the spec file's folder.",
    )
