"""Every built-in plugin passes the contract by the route of a third party's."""

from importlib.util import find_spec

import pytest

from tlf.registry import load_registry
from tlf.testing import PluginContract, checks_of

BUILT_IN = sorted(p.name for p in load_registry().plugins if p.distribution == "tlf")


class TestAugment(PluginContract):
    plugin = "augment"


class TestAuto(PluginContract):
    plugin = "auto"


class TestCpu(PluginContract):
    plugin = "cpu"


class TestCsv(PluginContract):
    plugin = "csv"


class TestCsvImages(PluginContract):
    plugin = "csv-images"


class TestCuda(PluginContract):
    plugin = "cuda"


class TestFeatureExtraction(PluginContract):
    plugin = "feature-extraction"


class TestFromScratch(PluginContract):
    plugin = "from-scratch"


class TestFullFineTuning(PluginContract):
    plugin = "full-fine-tuning"


class TestImageFolder(PluginContract):
    plugin = "image-folder"


class TestMps(PluginContract):
    plugin = "mps"


class TestPlain(PluginContract):
    plugin = "plain"


class TestStandard(PluginContract):
    plugin = "standard"


class TestTorchvision(PluginContract):
    plugin = "torchvision"


class TestTorchvisionData(PluginContract):
    plugin = "torchvision-data"


class TestDigits(PluginContract):
    plugin = "digits"


class TestEmbedded(PluginContract):
    plugin = "embedded"


class TestGradualUnfreezing(PluginContract):
    plugin = "gradual-unfreezing"


class TestTimm(PluginContract):
    plugin = "timm"


@pytest.mark.skipif(
    find_spec("tensorboard") is None, reason="needs `pip install 'tlf[tensorboard]'`"
)
class TestTensorboard(PluginContract):
    plugin = "tensorboard"


class TestBiasTuning(PluginContract):
    plugin = "bias-tuning"


class TestKnn(PluginContract):
    plugin = "knn"


class TestLpFt(PluginContract):
    plugin = "lp-ft"


# Importing MLflow takes two seconds, and making a store four.
@pytest.mark.slow
@pytest.mark.skipif(find_spec("mlflow") is None, reason="needs `pip install 'tlf[mlflow]'`")
class TestMlflow(PluginContract):
    plugin = "mlflow"


# Importing datasets takes seconds.
@pytest.mark.slow
@pytest.mark.skipif(find_spec("datasets") is None, reason="needs `pip install 'tlf[huggingface]'`")
class TestHuggingFace(PluginContract):
    plugin = "huggingface"


class TestNormTuning(PluginContract):
    plugin = "norm-tuning"


class TestProbe(PluginContract):
    plugin = "probe"


class TestAutoStrategy(PluginContract):
    plugin = "auto-strategy"


# Importing peft takes seconds.
@pytest.mark.slow
@pytest.mark.skipif(find_spec("peft") is None, reason="needs `pip install 'tlf[lora]'`")
class TestLora(PluginContract):
    plugin = "lora"


class TestL2Sp(PluginContract):
    plugin = "l2-sp"


class TestRobust(PluginContract):
    plugin = "robust"


class TestSurgical(PluginContract):
    plugin = "surgical"


def test_no_built_in_plugin_is_left_out():
    here = [value.plugin for name, value in globals().items() if name.startswith("Test")]
    assert sorted(here) == BUILT_IN


@pytest.mark.parametrize("plugin", BUILT_IN)
def test_every_built_in_plugin_has_a_readme(plugin):
    import importlib
    from pathlib import Path

    record = next(p for p in load_registry().plugins if p.name == plugin)
    folder = Path(importlib.import_module(record.value).__file__).parent
    text = (folder / "README.md").read_text()
    assert text.startswith(f"# {plugin}\n")
    assert len(checks_of(plugin)) >= 8
