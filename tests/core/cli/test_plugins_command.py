import json
import re

import pytest

BROKEN = "raise ImportError('libacme.so is not there')\n"
GOOD = """
from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_strategies():
    return [
        Declaration(
            name="good/half",
            summary="half of it learns",
            target="tlf_good:Half",
            requires=("numpy", "tlf-nowhere"),
        )
    ]
"""


def test_list_names_everything_that_is_built_in(tlf):
    code, out, err = tlf("plugins", "list")
    assert (code, err) == (0, "")
    words = out.split()
    for word in ("strategy", "full-fine-tuning", "torchvision", "image-folder", "cpu", "standard"):
        assert word in words, word


def test_list_is_readable_in_80_columns(tlf):
    lines = tlf("plugins", "list")[1].splitlines()
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.rstrip().endswith("ok")]) == len(
        json.loads(tlf("plugins", "list", "--json")[1])
    )


def test_list_of_a_kind_holds_nothing_else(tlf):
    listed = json.loads(tlf("plugins", "list", "--kind", "strategy", "--json")[1])
    assert {thing["kind"] for plugin in listed for thing in plugin["provides"]} == {"strategy"}
    assert "torchvision" not in tlf("plugins", "list", "--kind", "strategy")[1].split()


def test_a_kind_that_does_not_exist_is_refused_with_the_nearest(tlf):
    code, out, err = tlf("plugins", "list", "--kind", "strategies")
    assert (code, out) == (2, "")
    assert "`strategies` is no kind of plugin; did you mean `strategy`?" in err


def test_json_of_the_list_says_where_each_plugin_comes_from(tlf):
    listed = {plugin["name"]: plugin for plugin in json.loads(tlf("plugins", "list", "--json")[1])}
    assert listed["cpu"] == {
        "name": "cpu",
        "distribution": "tlf",
        "version": listed["cpu"]["version"],
        "module": "tlf_builtin.cpu",
        "file": listed["cpu"]["file"],
        "state": "ok",
        "reason": None,
        "note": None,
        "provides": [
            {
                "kind": "device",
                "name": "cpu",
                "summary": "the processor, in bfloat16 where it is fast",
            }
        ],
    }


def test_the_long_list_says_where_the_code_is_and_what_it_needs(tlf, install):
    install("good", GOOD)
    code, out, err = tlf("plugins", "list", "--verbose")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    for part in (
        "from tlf-good 1.2.3 entry point good = tlf_good file /",
        "strategy half of it learns good/half tlf_good:Half requires numpy",
        "tlf-nowhere (not installed)",
        "tlf_builtin.full_fine_tuning.strategy:FullFineTuning",
    ):
        assert part in words


def test_the_long_list_says_of_a_broken_plugin_why(tlf, install):
    install("acme", BROKEN)
    code, out, _ = tlf("plugins", "list", "-v", "--kind", "device")
    assert code == 0
    assert "libacme.so is not there" in out
    assert "tlf_builtin.cpu.device:Cpu" in out
    assert "full_fine_tuning" not in out


def test_a_broken_plugin_is_listed_with_the_reason_and_nothing_fails(tlf, install):
    install("acme", BROKEN)
    code, out, _ = tlf("plugins", "list")
    assert code == 0
    assert re.search(r"^– +acme +– +tlf-acme 1\.2\.3 +broken", out, re.MULTILINE)
    assert "acme is broken: " in out
    assert "libacme.so is not there" in out
    assert "full-fine-tuning" in out


def test_a_plugin_for_another_version_is_listed_as_incompatible(tlf, install):
    install("acme", BROKEN, group="tlf.v2")
    listed = {plugin["name"]: plugin for plugin in json.loads(tlf("plugins", "list", "--json")[1])}
    assert listed["acme"]["state"] == "incompatible"
    assert "version 2 of the plugin API" in listed["acme"]["reason"]


def test_showing_a_broken_plugin_gives_the_reason_and_exit_code_3(tlf, install):
    install("acme", BROKEN)
    for name in ("acme", "acme/half"):
        code, out, err = tlf("plugins", "show", name)
        assert (code, out) == (3, "")
        assert err.startswith("error: the plugin `acme`, from tlf-acme 1.2.3, is broken: ")
        assert "libacme.so is not there" in err


def test_a_name_that_nothing_has_is_refused_with_the_nearest(tlf):
    code, out, err = tlf("plugins", "show", "full-finetuning")
    assert (code, out) == (3, "")
    assert "`full-finetuning`" in err
    assert "hint: did you mean `full-fine-tuning`?" in err


def test_show_gives_options_with_type_range_default_and_meaning(tlf):
    code, out, err = tlf("plugins", "show", "full-fine-tuning")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "body_rate number > 0, ≤ 1 0.03 The backbone's learning rate" in words
    assert '{"body_rate": 1.0}' in out
    assert re.search(
        r"plugin +full-fine-tuning, from tlf 0\.\S+, module tlf_builtin\.full_fine", out
    )


def test_show_says_when_there_are_no_options(tlf):
    assert "It takes no options." in tlf("plugins", "show", "feature-extraction")[1]


def test_show_finds_a_thing_by_the_name_of_its_plugin(tlf, install):
    install("good", GOOD)
    by_plugin, by_name = tlf("plugins", "show", "good"), tlf("plugins", "show", "good/half")
    assert by_plugin == by_name
    assert by_plugin[0] == 0
    assert "good, from tlf-good 1.2.3, module tlf_good" in by_plugin[1]


def test_show_says_what_is_required_and_whether_it_is_there(tlf, install):
    install("good", GOOD)
    out = tlf("plugins", "show", "good")[1]
    assert re.search(r"requires +numpy \d\S*, tlf-nowhere \(not installed\)", out)


def test_json_of_show_holds_the_schema_of_the_options(tlf):
    (shown,) = json.loads(tlf("plugins", "show", "full-fine-tuning", "--json")[1])
    assert shown["options_schema"]["properties"]["body_rate"]["default"] == 0.03
    assert shown["options_schema"]["additionalProperties"] is False
    assert shown["target"] == "tlf_builtin.full_fine_tuning.strategy:FullFineTuning"
    assert shown["examples"][:3] == [{}, {"body_rate": 1.0}, {"norms": "learn"}]


@pytest.mark.parametrize("columns", ["40", "200"])
def test_in_a_pipe_the_width_is_80_or_more(tlf, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    longest = max(map(len, tlf("plugins", "list")[1].splitlines()))
    assert longest <= max(80, int(columns))
    assert longest > 60


def test_a_reader_that_has_seen_enough_is_no_error(start_tlf):
    process = start_tlf("plugins", "list")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
