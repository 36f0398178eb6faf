"""The picture of range tests."""

from xml.etree import ElementTree

import matplotlib as mpl

from tests.core.report import made
from tlf.report.rates import rates_picture

SVG = "{http://www.w3.org/2000/svg}"


def measured(groups=(), *, rate=2e-3, note=""):
    rates = [1e-4, 1e-3, 1e-2, 1e-1]
    losses = [1.0, 0.7, 0.2, 5.0]
    repeats = [
        {
            "seed": seed,
            "rate": rate,
            "curve": {"rates": rates, "losses": losses, "ending": "diverged"},
            "reading": {"smoothed": losses, "begin": 1.0},
        }
        for seed in range(10)
    ]
    return {
        "groups": list(groups),
        "planned": 1e-3,
        "rate": rate,
        "interval": None if rate is None else [1e-3, 4e-3],
        "note": note,
        "repeats": repeats,
    }


def rates(*steps):
    return {
        "name": "run",
        "steps": [
            {"name": name, "together": together, "groups": list(groups)}
            for name, together, groups in steps
        ],
    }


def texts(picture):
    return [node.text for node in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_every_step_that_was_tested_has_a_panel_with_its_repeats_and_its_rate():
    flat = measured(rate=None, note="flat: nothing to choose")
    groups = [measured(["a:weight", "b:weight"]), measured(["head:weight", "head:bias"])]
    shown = texts(
        rates_picture(rates(("probe", None, ()), ("one", measured(), groups), ("two", flat, ())))
    )
    assert shown.count("training loss") == 4
    assert "step one: rate 0.002, repeats from 0.001 to 0.004" in shown
    assert "step two: flat: nothing to choose" in shown
    assert "peak rate of a to b alone; the others learn as planned" in shown
    assert "peak rate of head alone; the others learn as planned" in shown
    assert shown.count("seed 9") == 4
    assert shown.count("the spec's 0.001") == 4
    assert shown.count("rate 0.002") == 3


def test_it_is_a_picture_by_itself_and_the_same_each_time():
    picture = rates_picture(rates(("one", measured(), ())))
    assert picture.startswith('<?xml version="1.0" encoding="utf-8"?>\n<svg ')
    assert "var(--" not in picture
    assert "#0100" not in picture
    assert rates_picture(rates(("one", measured(), ()))) == picture


def test_nobodys_settings_change_it_and_names_are_only_text():
    picture = rates_picture(rates((made.HOSTILE[0], measured(), ())))
    with mpl.rc_context({"axes.labelcolor": "red", "font.size": 30}):
        assert rates_picture(rates((made.HOSTILE[0], measured(), ()))) == picture
    assert {node.tag.removeprefix(SVG) for node in ElementTree.fromstring(picture).iter()} <= {
        "svg", "title", "desc", "g", "path", "defs", "clipPath", "rect", "text", "use", "tspan",
    }  # fmt: skip
