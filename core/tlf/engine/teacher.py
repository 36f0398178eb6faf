"""A teacher: a frozen network whose probabilities a run learns from.

What is frozen is computed once: what a teacher makes of a view is kept beside the run's own features,
and is found again by every epoch and every run that trains on that view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import interpolate

from tlf.data import to_device
from tlf.engine.artifact import TENSORS, read_description
from tlf.engine.descriptions import describe_taught, digest_of_lines
from tlf.engine.features import Features, Feed
from tlf.engine.files import file_digest
from tlf.engine.finished import load_network
from tlf.engine.freeze import tensor_digest
from tlf.engine.inference import Inference
from tlf.engine.model import LinearHead, Model
from tlf.engine.network import (
    backbone_with_weights,
    chunk_size_of,
    head_logits,
    weights_file,
)
from tlf.engine.parts import check_model, fitted_device, input_config_of, make_family
from tlf.engine.solving import HeadSolver
from tlf.engine.weights import resolve_weights
from tlf.errors import Problem, SpecError
from tlf.planning import PlannedStep
from tlf.spec.paths import resolve_path

if TYPE_CHECKING:
    from tlf.cache import Cache
    from tlf.data import Loaded, LoadedSplit
    from tlf.engine.features import Fetched
    from tlf.engine.parts import Made
    from tlf.engine.prepare import Job
    from tlf.plugin import Backbone, BackboneFamily, Dataset, Device
    from tlf.registry import Registry
    from tlf.spec.model import BackboneSpec, TeacherSpec

_PATH = "training.distillation.teacher"


@dataclass
class SeenByTeacher(Features):
    """Computes what a teacher makes of the views of a run: in its own size, normalised its own way.

    Attributes:
        size: Side of the square images that it was trained with, in pixels.
        mean: Per channel, subtracted from values in [0, 1].
        std: Per channel, the divisor after that.
    """

    size: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def inputs_of(self, views: torch.Tensor) -> torch.Tensor:
        """Return what the teacher gets, float32 `(n, 3, size, size)`, on the device.

        Args:
            views: Uint8 `(n, 3, S, S)`.
        """
        return self._normalised(to_device(views, self.device).float() / 255)

    def inputs_from(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the teacher gets of what the run's own network gets.

        Args:
            images: Normalised by the run's transform, float32 `(n, 3, S, S)`, on the device.
        """
        return self._normalised(
            images * self._row(self.transform.std) + self._row(self.transform.mean)
        )

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[-1] != self.size:
            images = interpolate(
                images, size=(self.size, self.size), mode="bilinear", antialias=True
            )
        images = (images - self._row(self.mean)) / self._row(self.std)
        layout = torch.channels_last if self.device.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)

    def _row(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, device=self.device.torch_device).view(3, 1, 1)


@dataclass
class Teacher:
    """A frozen network that knows the classes of a run.

    Attributes:
        features: What its backbone makes of the run's views.
        head: Its head, in evaluation mode; None until it is solved for.
        columns: Where in its logits each class of the run stands.
        facts: What it is, as `environment.json` holds it.
        backbone: Its backbone if the head is still to be solved for.
        feed: Finds or computes features.
    """

    features: SeenByTeacher
    head: torch.nn.Module | None
    columns: Sequence[int]
    facts: dict[str, Any]
    backbone: Backbone | None = None
    feed: Feed = field(init=False)

    def __post_init__(self) -> None:
        self.feed = Feed(self.features, self.features.inference.stages, 0)

    def keep_in(self, cache: Cache, job: Job, registry: Registry) -> None:
        """Keep what it makes of views.

        Args:
            cache: Where.
            job: The planned run.
            registry: The installed plugins.
        """
        stages = self.features.inference.stages
        # Wherever the run lies: what it says is the same.
        own = {name: fact for name, fact in self.facts.items() if name != "run"}
        entry = cache.entry(describe_taught(job, registry, own))
        self.features.entries = {stages: entry}
        self.feed = Feed(self.features, stages, stages)

    def learn(self, job: Job, loaded: Loaded) -> None:
        """Solve for the head if it is that of no run.

        Args:
            job: The planned run.
            loaded: The images.
        """
        if self.head is not None:
            return
        assert self.backbone is not None
        width = self.backbone.output_width
        head = LinearHead(width, len(job.plan.classes), 0.0).to(job.device.torch_device).eval()
        step = PlannedStep(
            name="teacher",
            kind="lbfgs",
            first_epoch=0,
            epochs=0,
            trainable=(),
            frozen=(),
            rates={},
            trainable_parameters=0,
            frozen_parameters=0,
            frozen_stages=0,
        )
        HeadSolver(Model(self.backbone, head), step, job.plan, loaded, self.feed).solve()
        self.head = head

    def fetch(
        self,
        split: LoadedSplit,
        indices: Sequence[int],
        views: Sequence[int | None],
        made: Fetched,
    ) -> Fetched:
        """Return what can be had without the network. May run in the background.

        Args:
            split: Where the images are.
            indices: Places of the images in it.
            views: The view of each: its number, or None for evaluation's.
            made: What was fetched of the same views for the run's own network.
        """
        return self.feed.fetch(split, indices, views, made)

    def logits(self, fetched: Fetched) -> torch.Tensor:
        """Return what it says about views, float32 `(n, classes)`, on the device.

        Args:
            fetched: What `fetch` returned.
        """
        return self._of(self.feed.crossing(fetched))

    def logits_of(self, images: torch.Tensor) -> torch.Tensor:
        """Return what it says about images that nobody has seen before, such as mixed ones.

        Args:
            images: Normalised by the run's transform, float32 `(n, 3, S, S)`, on the device.
        """
        return self._of(self.feed.crossing_of(self.features.inputs_from(images)))

    @torch.no_grad()
    def _of(self, features: torch.Tensor) -> torch.Tensor:
        assert self.head is not None
        return head_logits(self.head, features)[:, list(self.columns)]

    def report(self) -> dict[str, Any]:
        """Return what the report holds of it."""
        work = self.features.work
        return {
            **self.facts,
            "seconds": work.prefix_seconds,
            "rows_computed": work.rows_computed,
            "rows_found": work.rows_found,
        }


def check_teacher(wanted: TeacherSpec, folder: Path, registry: Registry, dataset: Dataset) -> None:
    """Check what can be checked of a teacher before anything is loaded.

    Args:
        wanted: What the spec says.
        folder: What relative paths in it start from.
        registry: The installed plugins.
        dataset: What is to be learned.

    Raises:
        TlfError: It is not there, or does not know the classes.
    """
    if wanted.run is not None:
        run = resolve_path(folder, str(wanted.run), f"{_PATH}.run")
        description = read_description(run)
        _columns(description.classes, dataset.classes, run)
        if description.task != dataset.task:
            problem = Problem(
                f"{_PATH}.run",
                f"the network of `{run}` is {description.task}, and the images are {dataset.task}",
                "teach by a run on images with such labels, or by a `backbone`",
            )
            raise SpecError([problem])
    if wanted.backbone is not None:
        _find(wanted.backbone, folder, registry)


def load_teacher(
    job: Job, folder: Path, registry: Registry, warn: Callable[[str], None]
) -> Teacher | None:
    """Return the teacher of a run; None if it has none, or no step that trains.

    Args:
        job: The planned run.
        folder: What relative paths in its spec start from.
        registry: The installed plugins.
        warn: Hears of a plugin whose code has changed since the teacher's run.

    Raises:
        TlfError: It cannot be loaded.
    """
    distillation = job.spec.training.distillation
    if distillation is None or all(step.kind != "train" for step in job.plan.steps):
        return None
    wanted = distillation.teacher
    if wanted.run is not None:
        run = resolve_path(folder, str(wanted.run), f"{_PATH}.run")
        return _finished_run(job, run, warn)
    return _backbone(job, wanted, folder, registry)


def _finished_run(job: Job, run: Path, warn: Callable[[str], None]) -> Teacher:
    network = load_network(run, warn, job.device)
    transform = network.transform
    backbone = read_description(run).backbone
    facts = {
        "run": str(run),
        "backbone": backbone.name,
        "options": dict(backbone.options),
        "state": file_digest(run / TENSORS),
    }
    features = _features(
        job, network.inference, network.device, (transform.size, transform.mean, transform.std)
    )
    columns = _columns(network.classes, job.plan.classes, run)
    return Teacher(features, network.head, columns, {**facts, **_seen(features)})


def _backbone(job: Job, wanted: TeacherSpec, folder: Path, registry: Registry) -> Teacher:
    spec = wanted.backbone
    assert spec is not None
    family, model, weights = _find(spec, folder, registry)
    config = input_config_of(family, model, default_weights=spec.weights == "default")
    file = weights_file(family, model, weights)
    # Drawn weights are those of the run's seed, and the run's own are drawn as if there were none.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(job.spec.seed)
        backbone = backbone_with_weights(family, model, config.size, file)
    device = fitted_device(job.device, family)
    Model(backbone, LinearHead(backbone.output_width, 2, 0.0)).to(device)
    inference = Inference(backbone, device, chunk_size_of(device, config.size))
    features = _features(job, inference, device, (config.size, config.mean, config.std))
    facts = {
        "backbone": spec.name,
        "options": dict(spec.options),
        "weights": None if file is None else file_digest(file),
        "state": digest_of_lines(
            f"{name} {tensor_digest(tensor)}"
            for name, tensor in sorted(backbone.module.state_dict().items())
        ),
    }
    columns = range(len(job.plan.classes))
    return Teacher(features, None, columns, {**facts, **_seen(features)}, backbone)


def _find(
    spec: BackboneSpec, folder: Path, registry: Registry
) -> tuple[Made[BackboneFamily[Any]], str, str | Path]:
    """Return the family, the model and the weights that a spec names."""
    path = f"{_PATH}.backbone"
    family_name, _, model = spec.name.partition("/")
    family = make_family(registry, family_name, spec.options)
    check_model(family, model, spec.name, path)
    return family, model, resolve_weights(spec, folder, family, model, path)


def _features(
    job: Job,
    inference: Inference,
    device: Device,
    seen: tuple[int, Sequence[float], Sequence[float]],
) -> SeenByTeacher:
    size, mean, std = seen
    return SeenByTeacher(
        inference,
        job.transform,
        device,
        job.spec.training.augmentation_seed,
        size=size,
        mean=tuple(mean),
        std=tuple(std),
    )


def _seen(features: SeenByTeacher) -> dict[str, Any]:
    return {
        "size": features.size,
        "mean": list(features.mean),
        "std": list(features.std),
        "precision": features.device.precision,
        "chunk_size": features.inference.chunk_size,
    }


def _columns(known: Sequence[str], classes: Sequence[str], run: Path) -> list[int]:
    """Return where in a teacher's logits each class of the run stands."""
    unknown = [name for name in classes if name not in known]
    if unknown:
        names = ", ".join(f"`{name}`" for name in unknown)
        raise SpecError(
            [
                Problem(
                    f"{_PATH}.run",
                    f"the network of `{run}` does not know {names}: its classes are "
                    f"{', '.join(f'`{name}`' for name in known)}",
                    "teach by a run on images of these classes, or by a `backbone`",
                )
            ]
        )
    return [list(known).index(name) for name in classes]
