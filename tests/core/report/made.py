"""Directories of runs and comparisons, written by hand: what pages are made of."""

import base64
import io
import json
import math

import numpy as np
from PIL import Image

#: Names that must show as they are, and do nothing.
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    r"$\frac{a}$ & \"quotes\" 'too'",
    "very-" + "long-" * 30 + "name",
    "שלום עולם",
    "日本語の名前",
)


def write_json(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def picture(seed, size=48):
    """A data URI of a small picture."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def report_of(classes=("ants", "bees", "wasps"), images=90):
    return {
        "schema_version": 1,
        "name": "insects",
        "strategy": {"name": "gradual-unfreezing", "options": {}},
        "backbone": "torchvision/mobilenet_v2",
        "num_classes": len(classes),
        "seed": 0,
        "precision": "bfloat16",
        "threads": 2,
        "weights_from": "last epoch",
        "selection_on": None,
        "metrics_on": "validation",
        "images_measured": images,
        "metrics": {"accuracy": 0.954, "macro-f1": 0.951, "loss": 0.1232},
        "accuracy_interval": [0.909, 0.978],
        "steps": [
            {
                "name": name,
                "epochs": 3,
                "trainable_parameters": trainable,
                "frozen_parameters": 2_226_434 - trainable,
                "seconds": seconds,
                "accuracy": accuracy,
                "cache": {
                    "level": level,
                    "cut": cut,
                    "bytes": 6_638_080,
                    "decoded": False,
                    "seconds": 25.3,
                    "seconds_without": 45.4,
                    "why": "2,593 views, each once and not 1.5 times",
                    "prefix_seconds": 0.0,
                    "rows_found": 3970,
                    "rows_computed": 0,
                },
            }
            for name, trainable, seconds, accuracy, level, cut in (
                ("head", 2562, 0.53, 0.93, "features", 4),
                ("thaw-1", 800_000, 71.2, 0.954, "features", 2),
            )
        ],
        "cache": {
            "mode": "auto",
            "predicted_seconds": 25.3,
            "predicted_seconds_without": 45.4,
            "seconds": 27.9,
            "predicted_bytes": 6_638_080,
            "bytes_kept": 6_638_080,
            "rows_computed": 2593,
            "rows_found": 3970,
        },
        "images": {"train": 244, "validation": images},
        "skipped": [],
        "images_decoded": 397,
        "images_through_backbone": 2593,
        "peak_memory_bytes": 1_159_049_216,
        "timings": {
            "prepare_seconds": 0.11,
            "probe_seconds": 0.62,
            "data_seconds": 1.21,
            "prefix_seconds": 26.66,
            "train_seconds": 68.1,
            "evaluate_seconds": 0.2,
            "contract_seconds": 0.06,
            "total_seconds": 98.3,
            "process_seconds": 104.0,
        },
    }


def classification_of(classes, never=None):
    """Every class is right nine times of ten, and else the next one; `never` is never predicted."""
    count = len(classes)
    confusion, per_class = [], []
    for label, name in enumerate(classes):
        wrong = (label + 1) % count
        if label == never:
            confusion.append([label, wrong, 10])
        else:
            confusion += [[label, label, 9], [label, wrong, 1]]
        is_never = label == never
        per_class.append(
            {
                "class": name,
                "images": 10,
                "precision": None if is_never else 0.9 - 0.001 * (label % 50),
                "recall": 0.0 if is_never else 0.9,
                "f1": 0.0 if is_never else 0.88 - 0.003 * (label % 30),
            }
        )
    return {
        "classes": list(classes),
        "per_class": per_class,
        "confusion": confusion,
        "calibration": calibration(0.06),
    }


def calibration(error):
    bins = [
        {
            "low": n / 10,
            "high": (n + 1) / 10,
            "images": 4 * n * n,
            "confidence": n / 10 + 0.05,
            "accuracy": max(0.0, min(1.0, n / 10 + 0.05 - error)),
        }
        for n in range(10)
    ]
    return {"bins": bins, "expected_calibration_error": error}


def plan_of(classes=("ants", "bees", "wasps")):
    stages = [
        {
            "name": name,
            "parameters": {"weight": 1000 * n, "norm": 16},
            "flops": 1,
            "output_shape": [8],
        }
        for n, name in enumerate(("stem", "layer1", "layer2", "layer3"), 1)
    ]
    stages.append({"name": "head", "parameters": {"weight": 2560, "bias": 2}, "output_shape": [3]})
    return {
        "name": "insects",
        "classes": list(classes),
        "stages": stages,
        "steps": [
            {
                "name": "head",
                "kind": "train",
                "first_epoch": 0,
                "epochs": 3,
                "trainable": ["head:weight", "head:bias"],
            },
            {
                "name": "thaw-1",
                "kind": "train",
                "first_epoch": 3,
                "epochs": 3,
                "trainable": [
                    "layer2:norm",
                    "layer3:weight",
                    "layer3:norm",
                    "head:weight",
                    "head:bias",
                ],
            },
        ],
        "seed": 0,
    }


def metrics_lines(epochs=6, steps=("head", "thaw-1")):
    return [
        {
            "epoch": epoch + 1,
            "step": steps[epoch * len(steps) // epochs],
            "train": {"loss": 1.1 * math.exp(-epoch / 3) + 0.1},
            "validation": {
                "accuracy": 0.954 - 0.3 * math.exp(-epoch / 2),
                "loss": 0.9 * math.exp(-epoch / 3) + 0.12,
            },
        }
        for epoch in range(epochs)
    ]


def timings_lines(epochs=6):
    return [
        {
            "epoch": n + 1,
            "train_seconds": 0.2 + 7 * (n > 2),
            "data_seconds": 0.1,
            "prefix_seconds": 0.0,
        }
        for n in range(epochs)
    ]


def environment():
    digest = "80632436e54f46055a5fbea1da51aba0b7cbddd6e9b15fb404feffec7bd31ef1"
    return {
        "schema_version": 1,
        "started": "2026-03-01T12:30:05+0000",
        "python": "3.11.7",
        "platform": "Linux-6.1-x86_64",
        "processor": "x86_64",
        "libraries": {"tlf": "0.1.0", "torch": "2.15.0"},
        "plugins": [
            {
                "kind": "strategy",
                "name": "gradual-unfreezing",
                "plugin": "gradual-unfreezing",
                "distribution": "tlf",
                "version": "0.1.0",
                "code_digest": digest,
            }
        ],
        "data": {"train": {"images": 244, "digest": digest}},
        "weights": {"file": "weights/mobilenet_v2.safetensors", "sha256": digest},
    }


def analysis_of(classes, mistakes=4, points=120):
    generator = np.random.default_rng(0)
    count = len(classes)
    mistake = [
        {
            "id": f"val/{classes[n % count]}/{n:04d}.jpg",
            "label": classes[n % count],
            "predicted": classes[(n + 1) % count],
            "probability": 0.99 - 0.02 * n,
            "label_probability": 0.01 + 0.01 * n,
            "thumbnail": picture(n),
            "attribution": picture(100 + n),
        }
        for n in range(mistakes)
    ]
    labels = generator.integers(0, count, points)
    places = generator.normal(0, 0.7, (points, 2)) + np.stack(
        [3 * np.cos(2 * np.pi * labels / count), 3 * np.sin(2 * np.pi * labels / count)], axis=1
    )
    embedding = [
        [float(x), float(y), int(label), int((label + (n % 17 == 0)) % count), f"val/{n}.jpg"]
        for n, ((x, y), label) in enumerate(zip(places, labels, strict=True))
    ]
    side = {"minimum": 240, "median": 500, "maximum": 1024}
    return {
        "schema_version": 1,
        "metrics_on": "validation",
        "temperature": {
            "value": 1.42,
            "chosen_on": "validation",
            "images": 90,
            "before": {"loss": 0.41, "expected_calibration_error": 0.06},
            "after": {"loss": 0.38, **calibration(0.02)},
        },
        "temperature_why_not": None,
        "mistakes": mistake,
        "correct": [{**one, "predicted": one["label"]} for one in mistake],
        "attribution": {
            "method": "occlusion",
            "library": "captum 0.8",
            "describes": "How much the probability falls where a patch is hidden",
        },
        "attribution_why_not": None,
        "embedding": {
            "method": "The first two principal components of the pooled features",
            "points": embedding,
        },
        "movement": [
            {"stage": "stem", "parameters": 1016, "relative_change": 0.0, "trainable_in": []},
            {"stage": "layer1", "parameters": 2016, "relative_change": 0.0, "trainable_in": []},
            {
                "stage": "layer2",
                "parameters": 3016,
                "relative_change": 0.004,
                "trainable_in": ["thaw-1"],
            },
            {
                "stage": "layer3",
                "parameters": 4016,
                "relative_change": 0.081,
                "trainable_in": ["thaw-1"],
            },
            {
                "stage": "head",
                "parameters": 2562,
                "relative_change": 0.62,
                "trainable_in": ["head", "thaw-1"],
            },
        ],
        "movement_why_not": None,
        "data": {
            split: {
                "images": images,
                "classes": {name: images // count + n % 7 for n, name in enumerate(classes)},
                "width": side,
                "height": side,
                "modes": {"RGB": images - 2, "L": 2},
                "skipped": [{"id": f"{split}/broken.jpg", "reason": "image file is truncated"}],
            }
            for split, images in (("train", 244), ("validation", 90))
        },
        "disagreements": 0,
        "seconds": {"predictions": 1.0},
    }


def run_folder(folder, *, classes=("ants", "bees", "wasps"), full=True, never=None):
    """Write a run directory; a full one has everything, another one what `tlf run` leaves."""
    report = report_of(classes)
    report["classification"] = classification_of(classes, never)
    write_json(
        folder,
        report=report,
        plan=plan_of(classes),
        environment=environment(),
        spec={"name": "insects", "data": {"name": "image-folder"}},
    )
    write_lines(folder / "metrics.jsonl", metrics_lines())
    write_lines(folder / "timings.jsonl", timings_lines())
    if full:
        write_json(folder, analysis=analysis_of(classes))
    return folder


def comparison_folder(folder, *, names=None, shots=(3, 10, 30), seeds=3):
    """Write a comparison's directory; without shots there is one group."""
    names = names or ("full-fine-tuning", "gradual-unfreezing", "feature-extraction", "knn")
    groups = [
        {
            "name": f"shots {n}" if n else "",
            "values": {"data.options.shots": n} if n else {},
            "advice": f"full-fine-tuning is best with {n} images of each class.",
        }
        for n in shots or (None,)
    ]
    rows, runs, differences, gains = [], [], [], []
    for group, values in enumerate(groups):
        for rank, name in enumerate(names):
            accuracy = 0.95 - 0.03 * rank - 0.12 / (group + 1) + 0.02 * group
            each = [accuracy + 0.012 * (seed - 1) for seed in range(seeds)]
            rows.append(
                {
                    "name": name,
                    "values": {"strategy": name, **values["values"]},
                    "group": group,
                    "rank": rank + 1,
                    "seeds": list(range(seeds)),
                    "failed": 0,
                    "not_run": 0,
                    "accuracy": accuracy,
                    "interval": [accuracy - 0.03, accuracy + 0.025],
                    "metrics": {"accuracy": accuracy, "loss": 0.3 + 0.1 * rank},
                    "seconds": 98.0 / (rank + 1) ** 2 * (group + 1),
                    "images_through_backbone": 3368.0,
                    "peak_memory_bytes": 952_016_896,
                    "trainable_parameters": 272_474 // (rank + 1),
                }
            )
            for seed, value in enumerate(each):
                runs.append(
                    {
                        "row": name,
                        "group": group,
                        "seed": seed,
                        "directory": f"run-{group}-{rank}-{seed}",
                        "error": None,
                        "metrics": {"accuracy": value, "loss": 0.3},
                        "total_seconds": 4.0,
                    }
                )
            for other in range(rank + 1, len(names)):
                gap = 0.03 * (other - rank)
                differences.append(
                    {
                        "first": name,
                        "second": names[other],
                        "group": group,
                        "difference": gap,
                        "interval": [gap - 0.035, gap + 0.035],
                        "p_value": 0.2 / 10 ** (other - rank),
                        "is_real": gap > 0.035,
                    }
                )
    for name in names:
        for low, high in zip(shots or (), (shots or ())[1:], strict=False):
            gains.append(
                {
                    "row": name,
                    "from": str(low),
                    "to": str(high),
                    "difference": 0.06,
                    "interval": [0.03, 0.09],
                    "is_real": True,
                }
            )
    # One strategy never finished, and one run of another did not either.
    rows[len(names) - 1].update(
        rank=None, accuracy=None, interval=None, metrics={}, seconds=None, seeds=[],
        failed=seeds, images_through_backbone=None, peak_memory_bytes=None,
        trainable_parameters=None,
    )  # fmt: skip
    for run in runs:
        if run["row"] == names[-1] and run["group"] == 0:
            run.update(
                directory=None, error="the loss is not finite", metrics=None, total_seconds=None
            )
    axes = [{"path": "strategy", "label": "strategy", "values": list(names)}]
    if shots:
        axes.append(
            {"path": "data.options.shots", "label": "shots", "values": [str(n) for n in shots]}
        )
    comparison = {
        "schema_version": 2,
        "name": "digits",
        "axes": axes,
        "seeds": list(range(seeds)),
        "metrics_on": "test",
        "images_measured": 768,
        "images_decoded": 868,
        "groups": groups,
        "rows": rows,
        "differences": differences,
        "gains": gains,
        "advice": "Use full-fine-tuning: it is better than all others with 10 images or more.",
        "notes": ["Seeds share their augmented views."],
        "method": "Accuracies are modelled with random effects of seeds and images; intervals are 95%.",
        "runs": runs,
    }
    write_json(folder, comparison=comparison)
    done = folder / "run-0-0-0"
    done.mkdir()
    (done / "report.html").write_text("<!DOCTYPE html>")
    return folder


#: Ends whatever it stands in, and would run.
MARKUP = "\"'><img src=x onerror=alert(1)></title><script>alert(1)</script>"


def with_markup(*values):
    """JSON values with markup behind every text in them, and behind keys that are also texts."""
    texts = set()

    def gather(value):
        if isinstance(value, str):
            texts.add(value)
        for one in value.values() if isinstance(value, dict) else ():
            gather(one)
        for one in value if isinstance(value, list) else ():
            gather(one)

    def marked(value):
        if isinstance(value, str):
            return value + MARKUP
        if isinstance(value, list):
            return [marked(one) for one in value]
        if isinstance(value, dict):
            return {
                key + MARKUP if key in texts else key: marked(one) for key, one in value.items()
            }
        return value

    for value in values:
        gather(value)
    return [marked(value) for value in values]
