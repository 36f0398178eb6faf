import pytest

from tlf.errors import PluginError, SpecError
from tlf.plugin import Options
from tlf.registry import load_registry, load_target


def test_options_are_checked_by_the_plugins_own_model(acme):
    entry = acme.get("strategy", "acme/half")
    assert entry.options({}).share == 0.5
    assert entry.options({"share": 1, "words": ["a"]}).words == ("a",)
    with pytest.raises(SpecError) as caught:
        entry.options({"share": 2, "shar": 1})
    assert {problem.path for problem in caught.value.problems} == {
        "strategy.options.share",
        "strategy.options.shar",
    }


def test_the_path_of_options_can_be_given(acme):
    with pytest.raises(SpecError) as caught:
        acme.get("strategy", "acme/half").options({"share": 2}, path="x.y")
    assert caught.value.problems[0].path == "x.y.share"


def test_what_the_models_own_validator_says_is_a_problem_of_the_options(acme):
    with pytest.raises(SpecError) as caught:
        acme.get("strategy", "acme/half").options({"share": 0.25})
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == ("strategy.options", "`share` is not liked")


def test_a_model_that_breaks_down_is_the_plugins_fault(acme):
    with pytest.raises(PluginError, match=r"`acme` \(tlf-acme 1.0\).*RuntimeError: out of order"):
        acme.get("strategy", "acme/half").options({"share": 0.75})


def test_without_a_model_no_option_is_taken(distribute, strategies, installed):
    distribute("acme", strategies("acme/half"))
    entry = installed().get("strategy", "acme/half")
    assert entry.options_model() is Options
    with pytest.raises(SpecError) as caught:
        entry.options({"a": 1})
    assert caught.value.problems[0].hint == "it takes no options"


def test_create_gives_the_class_its_options_and_what_else_it_takes(acme):
    entry = acme.get("strategy", "acme/half")
    made = entry.create(entry.options({}), 1, 2)
    assert type(made).__name__ == "Half"
    assert (made.options.share, made.more) == (0.5, (1, 2))


def test_code_that_breaks_down_is_the_plugins_fault(acme):
    entry = acme.get("strategy", "acme/half")
    with pytest.raises(PluginError, match=r"`acme/half` of the plugin `acme`.*KeyError: 'fail'"):
        entry.create(entry.options({}), "fail")


@pytest.mark.parametrize("code", ["class Half: ...", "def Half(options): ...", "Half = None"])
def test_a_target_that_is_no_class_of_its_kind_is_not_created(
    distribute, strategies, installed, code
):
    distribute("acme", f"{code}\n" + strategies("acme/half"))
    entry = installed().get("strategy", "acme/half")
    with pytest.raises(PluginError, match=r"`acme` \(tlf-acme 1.0\).*no subclass of.*\.Strategy"):
        entry.create(entry.options({}))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_module_anywhere:Half", "ModuleNotFoundError"),
        ("MODULE:Halve", "`MODULE:Halve` is not there"),
        ("MODULE:Half.x", "is not there"),
    ],
)
def test_a_target_that_cannot_be_imported_names_plugin_and_reason(
    distribute, strategies, installed, target, words
):
    module = distribute("acme", "class Half: ...\n" + strategies("acme/half", target=target))
    with pytest.raises(PluginError) as caught:
        installed().get("strategy", "acme/half").target()
    assert caught.value.exit_code == 3
    assert "plugin `acme` (tlf-acme 1.0)" in caught.value.message
    assert words.replace("MODULE", module) in caught.value.message
    assert caught.value.hint


def test_a_target_that_ends_the_process_does_not(distribute, acme):
    module = distribute("other", "import sys\nprint('hello')\nsys.exit()\n")
    with pytest.raises(PluginError, match=r"sys\.exit"):
        load_target(f"{module}:x", acme.plugins[0])


def test_a_target_that_prints_does_not_spoil_the_results(distribute, acme, capsys):
    module = distribute("other", "print('hello')\nclass Half: ...\n")
    assert load_target(f"{module}:Half", acme.plugins[0]).__name__ == "Half"
    assert capsys.readouterr() == ("", "hello\n")


def test_a_misspelt_attribute_is_shown_with_the_nearest(distribute, acme):
    module = distribute("other", "class Half: ...\n")
    with pytest.raises(PluginError) as caught:
        load_target(f"{module}:Halff", acme.plugins[0])
    assert caught.value.hint == "did you mean `Half`?"


def test_what_a_thing_requires_is_asked_for_before_its_code_is_imported(
    distribute, strategies, installed
):
    source = strategies("acme/half", requires=("numpy", "tlf-nowhere"), target="no_module:x")
    distribute("acme", source)
    entry = installed().get("strategy", "acme/half")
    assert entry.missing_requirements() == ("tlf-nowhere",)
    with pytest.raises(PluginError, match="needs `tlf-nowhere`, which is not installed") as caught:
        entry.target()
    assert caught.value.hint == "pip install tlf-nowhere"


def test_options_that_are_no_model_are_the_plugins_fault(distribute, strategies, installed):
    distribute("acme", "class Half: ...\n" + strategies("acme/half", options="MODULE:Half"))
    with pytest.raises(PluginError, match="is no pydantic model"):
        installed().get("strategy", "acme/half").options({})


def test_the_registry_of_a_process_is_made_once():
    assert load_registry() is load_registry()


def test_entries_can_be_listed_by_kind(acme):
    names = [entry.declaration.name for entry in acme.entries("strategy")]
    assert "acme/half" in names
    assert "cpu" not in names
    assert {entry.kind for entry in acme.entries()} == {
        "backbone-family",
        "data-source",
        "device",
        "observer",
        "strategy",
        "transform",
    }


def test_getting_a_name_that_is_not_there_tells_a_slip_from_a_missing_plugin(acme):
    with pytest.raises(SpecError) as caught:
        acme.get("strategy", "acme/haf")
    (problem,) = caught.value.problems
    assert (problem.path, problem.hint) == ("strategy.name", "did you mean `acme/half`?")
    with pytest.raises(PluginError, match="`other/half`"):
        acme.get("strategy", "other/half")
