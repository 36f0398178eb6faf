"""Nine ways to be broken and more: each is on record with its reason, and harms nobody else."""

import subprocess
import sys
from importlib import metadata

import pytest

from tlf.discovery import discover
from tlf.plugin import Declaration


@pytest.fixture
def find(distribute):
    """Discover what is installed: records by name, the good neighbour's among them."""
    distribute("neighbour", NEIGHBOUR)

    def by_name():
        records = {record.name: record for record in discover()}
        assert records["neighbour"].state == "ok"
        assert records["full-fine-tuning"].state == "ok"
        return records

    return by_name


NEIGHBOUR = """
@hookimpl
def tlf_strategies():
    return [Declaration(name="neighbour/half", summary="half", target="MODULE:Half")]
"""


def test_a_good_plugin_is_on_record_with_what_it_declares(find):
    record = find()["neighbour"]
    assert (record.distribution, record.version, record.reason) == ("tlf-neighbour", "1.0", None)
    assert record.value.startswith("made_up_")
    (declaration,) = record.declarations["strategy"]
    assert isinstance(declaration, Declaration)
    assert declaration.name == "neighbour/half"


def test_tlfs_own_plugins_come_first_and_all_by_name(distribute, strategies):
    for name in ("zeta", "acme"):
        distribute(name, strategies(f"{name}/half"))
    names = [record.name for record in discover()]
    assert names[-2:] == ["acme", "zeta"]
    assert names[:-2] == sorted(names[:-2])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module\n", ["ModuleNotFoundError", "no_such_module"]),
        ("def broken(:\n", ["SyntaxError", "line "]),
        ("import sys\nsys.exit(3)\n", ["`sys.exit(3)`"]),
        ("raise RuntimeError('no\\nluck')\n", ["RuntimeError: no luck"]),
        (
            "@hookimpl\ndef tlf_strategies(outline): ...\n",
            ["`tlf_strategies`", "no argument `outline`"],
        ),
        (
            "@hookimpl\ndef tlf_strategy(): ...\n",
            ["no hook `tlf_strategy`", "did you mean `tlf_strategies`?"],
        ),
        (
            "@hookimpl\ndef tlf_devices():\n    raise KeyError('x')\n",
            ["`tlf_devices` fails", "KeyError"],
        ),
        (
            "@hookimpl\ndef tlf_devices():\n    raise SystemExit('bye')\n",
            ["`tlf_devices` fails", "sys.exit('bye')"],
        ),
        ("def tlf_devices():\n    return []\n", ["`tlf_devices` is not marked", "hookimpl"]),
        ("@hookimpl\ndef tlf_devices(): ...\n", ["`tlf_devices` must return a list", "`None`"]),
        ("@hookimpl\ndef tlf_devices():\n    return 'cpu'\n", ["must return a list", "`cpu`"]),
        ("@hookimpl\ndef tlf_devices():\n    yield 1\n", ["must return a list", "`generator`"]),
        ("@hookimpl\ndef tlf_devices():\n    return [{}]\n", ["`dict` is in it"]),
        (
            "@hookimpl\ndef tlf_data_sources():\n    return [Declaration(**FIELDS)]\n",
            ["list of `DataSourceDeclaration`", "`Declaration` is in it"],
        ),
    ],
)
def test_a_plugin_that_fails_contributes_nothing_and_says_why(find, distribute, source, words):
    distribute("acme", source)
    record = find()["acme"]
    assert record.state == "broken"
    assert record.declarations == {}
    for word in words:
        assert word in record.reason
    assert "\n" not in record.reason


def test_a_plugin_that_fails_half_way_contributes_nothing(find, distribute, strategies):
    distribute("acme", strategies("acme/half") + "@hookimpl\ndef tlf_transforms():\n    1 / 0\n")
    record = find()["acme"]
    assert (record.state, record.declarations) == ("broken", {})
    assert "ZeroDivisionError" in record.reason


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_module_anywhere", "no_such_module_anywhere"),
        ("tlf.plugin:nobody", "nobody"),
        ("tlf.plugin:hooks.ENTRY_POINT", "ENTRY_POINT"),
        ("not a module", "not a module"),
        ("json:decoder.NaN.real:", ""),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_broken(find, distribute, value, words):
    distribute("acme", "", value=value)
    record = find()["acme"]
    assert record.state == "broken"
    assert words in record.reason


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("half", "must be called `acme/half`: bare names belong to tlf itself"),
        ("other/half", "must be called `acme/half`"),
        ("acme/Half", "lower case words joined by `-`"),
        ("acme/", "lower case words joined by `-`"),
        ("acme/a/b", "lower case words joined by `-`"),
        ("full-fine-tuning", "must be called `acme/full-fine-tuning`"),
    ],
)
def test_a_name_by_other_rules_is_broken(find, distribute, strategies, name, words):
    distribute("acme", strategies(name))
    record = find()["acme"]
    assert record.state == "broken"
    assert f"`{name}`" in record.reason
    assert words in record.reason


@pytest.mark.parametrize("name", ["acme/nets", "two-words", "Nets", ""])
def test_a_family_has_one_lower_case_word_for_a_name(find, distribute, family, name):
    distribute("acme", family(name))
    assert "one lower case word" in find()["acme"].reason


@pytest.mark.parametrize("plugin", ["Acme", "ac_me", "ac/me"])
def test_a_plugins_own_name_is_made_of_lower_case_words(find, distribute, strategies, plugin):
    distribute(plugin, strategies("acme/half"), distribution="tlf-acme")
    assert "lower case words joined by `-`" in find()[plugin].reason


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target", "no_colon"),
        ("options", "a:b c"),
        ("requires", "timm"),
        ("examples", {"a": 1}),
        ("summary", None),
    ],
)
def test_a_declaration_with_a_field_of_another_form_is_broken(
    find, distribute, strategies, field, value
):
    distribute("acme", strategies("acme/half", **{field: value}))
    record = find()["acme"]
    assert record.state == "broken"
    assert field in record.reason


def test_a_plugin_that_declares_a_thing_twice_is_broken(find, distribute, strategies):
    distribute("acme", strategies("acme/half", "acme/half"))
    assert "declares the strategy `acme/half` twice" in find()["acme"].reason


def test_one_name_may_stand_for_things_of_two_kinds(find, distribute, strategies):
    distribute(
        "acme",
        strategies("acme/x") + strategies("acme/x").replace("tlf_strategies", "tlf_transforms"),
    )
    assert set(find()["acme"].declarations) == {"strategy", "transform"}


def test_two_distributions_with_one_plugin_name_are_both_broken_with_both_owners(
    find, distribute, strategies
):
    distribute("acme", strategies("acme/half"), distribution="first")
    distribute("acme", strategies("acme/other"), distribution="second")
    find()
    records = [record for record in discover() if record.name == "acme"]
    assert [record.distribution for record in records] == ["first", "second"]
    for record in records:
        assert record.state == "broken"
        assert "`first` and `second`" in record.reason


def test_a_family_that_two_plugins_declare_is_nobodys(find, distribute, family):
    distribute("acme", family("nets"))
    distribute("brand", family("nets"))
    records = find()
    for name in ("acme", "brand"):
        assert records[name].state == "broken"
        for word in ("`nets`", "`tlf-acme`", "`tlf-brand`"):
            assert word in records[name].reason


def test_a_family_of_tlfs_own_cannot_be_taken(find, distribute, family):
    distribute("acme", family("torchvision"))
    records = find()
    assert records["torchvision"].state == "ok"
    assert records["acme"].state == "broken"
    assert "`torchvision` of `tlf`" in records["acme"].reason


def test_a_plugin_for_another_version_is_not_imported(find, distribute):
    module = distribute("acme", "raise SystemExit\n", group="tlf.v2")
    record = find()["acme"]
    assert record.state == "incompatible"
    assert "version 2" in record.reason
    assert "version 1" in record.reason
    assert module not in sys.modules


def test_a_plugin_that_serves_two_versions_is_used_as_the_right_one(find, distribute, strategies):
    distribute("acme", strategies("acme/half"))
    distribute("acme", "raise SystemExit\n", group="tlf.v2")
    find()
    assert [record.state for record in discover() if record.name == "acme"] == ["ok"]


def test_a_group_that_is_no_version_of_ours_is_nothing_to_us(find, distribute):
    distribute("acme", "raise SystemExit\n", group="tlf.vx")
    assert "acme" not in find()


def test_what_a_plugin_prints_does_not_spoil_the_results(find, distribute, strategies, capsys):
    distribute("acme", "print('hello')\n" + strategies("acme/half"))
    assert find()["acme"].state == "ok"
    out, err = capsys.readouterr()
    assert out == ""
    assert "hello" in err


def test_a_distribution_that_is_hidden_by_another_of_its_name_is_not_read(
    find, distribute, strategies, tmp_path
):
    distribute("acme", strategies("acme/half"))
    later = tmp_path / "later" / "tlf_acme-0.9.dist-info"
    later.mkdir(parents=True)
    (later / "METADATA").write_text("Metadata-Version: 2.1\nName: Tlf_Acme\nVersion: 0.9\n")
    (later / "entry_points.txt").write_text("[tlf.v1]\nacme = nowhere\n")
    path = [str(tmp_path / "site"), str(tmp_path / "later")]
    (record,) = [r for r in discover(metadata.distributions(path=path)) if r.name == "acme"]
    assert (record.state, record.version) == ("ok", "1.0")


def test_anothers_damaged_metadata_harms_nobody(find, tmp_path):
    about = tmp_path / "site" / "damaged-1.0.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text("[console_scripts]\nno equals sign\n")
    find()


def test_nothing_is_imported_but_the_plugins_themselves():
    script = (
        "import sys; from tlf.registry import check, load_registry, spec_schema;"
        "from tlf.spec import load_raw; registry = load_registry();"
        "check(load_raw({'data': {'name': 'image-folder', 'options': {'folder': 'x'}},"
        " 'backbone': 'torchvision/resnet18'}), registry); spec_schema(registry);"
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
