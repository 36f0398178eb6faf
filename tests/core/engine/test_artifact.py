"""The artifact of a run."""

import tlf
from tlf.engine.artifact import describe_model
from tlf.plugin import Options
from tlf_builtin.cpu.device import Cpu
from tlf_builtin.cpu.options import CpuOptions


class Simple(Cpu):
    """A device that takes no options."""

    def __init__(self, options):
        assert type(options) is Options
        super().__init__(CpuOptions(precision="float32"))


def test_the_precision_that_was_chosen_travels_with_the_network(make_job, model):
    job = make_job(device={"name": "cpu", "options": {"precision": "auto"}})
    assert describe_model(job, model.head).device.options == {"precision": job.device.precision}


def test_a_network_of_a_device_without_a_precision_can_predict(
    small_spec, photographs, monkeypatch
):
    monkeypatch.setattr("tlf_builtin.cpu.device.Cpu", Simple)
    monkeypatch.setattr("tlf_builtin.cpu.options.CpuOptions", Options)
    finished = tlf.run({**small_spec, "device": "cpu", "training": {"epochs": 1}})
    image = photographs / "val" / "red" / "00.png"
    assert len(finished.predict([image])) == 1
