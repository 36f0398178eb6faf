import json
import sys

import pytest

DEVICE = """
from tlf.plugin import Availability, Declaration, DeviceBackend, Options, hookimpl


@hookimpl
def tlf_devices():
    return [Declaration(name="acme/chip", summary="a chip", target="tlf_acme:Chip"FIELDS)]


class Needy(Options):
    port: int


class Chip(DeviceBackend):
    def is_available(self):
        print("looking for it")
        BODY

    def create(self): ...
"""


@pytest.fixture
def chip(install, tlf):
    """Return a function that installs a device, and returns what is listed of it."""

    def chip(body, fields=""):
        install("acme", DEVICE.replace("BODY", body).replace("FIELDS", fields))
        code, out, _ = tlf("devices", "list", "--json")
        assert code == 0
        return next(device for device in json.loads(out) if device["name"] == "acme/chip")

    yield chip
    sys.modules.pop("tlf_acme", None)


def test_every_device_is_listed_with_the_reason_in_80_columns(tlf):
    code, out, err = tlf("devices", "list")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "device available reason" in words
    assert "cpu yes 1 thread" in words
    for name in ("auto", "cpu", "cuda", "mps"):
        assert any(line.split()[:1] == [name] for line in out.splitlines()), name


def test_json_says_which_plugin_a_device_is_of(tlf):
    listed = {device["name"]: device for device in json.loads(tlf("devices", "list", "--json")[1])}
    assert listed["cpu"] == {
        "name": "cpu",
        "available": True,
        "reason": listed["cpu"]["reason"],
        "plugin": "cpu",
    }
    assert list(listed) == sorted(listed)
    assert all(device["reason"] for device in listed.values())


def test_a_device_of_another_plugin_is_listed_and_what_it_prints_is_not_in_the_json(chip):
    found = chip("return Availability(False, 'it is\\nunplugged')")
    expected = {"name": "acme/chip", "available": False, "reason": "it is unplugged"}
    assert found == {**expected, "plugin": "acme"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise OSError('no bus')", "`is_available` fails with OSError: no bus"),
        ("raise SystemExit(3)", "`is_available` fails with "),
        ("return True", "`is_available` returns a `bool`, no `Availability`"),
    ],
)
def test_a_device_that_misbehaves_is_a_line_with_the_reason(chip, body, words):
    found = chip(body)
    assert not found["available"]
    assert words in found["reason"]
    assert "`acme/chip` of the plugin `acme` (tlf-acme 1.2.3) is broken" in found["reason"]


def test_a_device_that_needs_an_option_says_which(chip):
    found = chip("return True", ', options="tlf_acme:Needy", examples=({"port": 1},)')
    assert not found["available"]
    assert found["reason"].startswith("`device.options.port`: ")


def test_a_device_whose_library_is_not_installed_says_so(chip):
    found = chip("return True", ', requires=("tlf-nowhere",)')
    assert "needs `tlf-nowhere`, which is not installed" in found["reason"]
