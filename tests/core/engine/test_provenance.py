"""A run that is used again says which of its plugins is missing or has changed."""

import json
import warnings

import pytest

import tlf
from tlf.errors import PluginError
from tlf.registry import load_registry

FAMILY = """
@hookimpl
def tlf_backbone_families():
    return [BackboneFamilyDeclaration(name="acme", summary="nets", target="MODULE:Acme",
            example_models=("tiny",))]


def __getattr__(name):
    from tlf.testing.toys import ToyFamily

    class Acme(ToyFamily):
        pass

    if name == "Acme":
        return Acme
    raise AttributeError(name)
"""


@pytest.fixture
def run(distribute, small_spec, tmp_path):
    """A run with a backbone of a plugin's; and the file that is the plugin."""
    module = distribute("acme", FAMILY)
    load_registry.cache_clear()
    finished = tlf.run({**small_spec, "backbone": {"name": "acme/tiny", "weights": "none"}})
    yield finished.directory, tmp_path / "site" / f"{module}.py"
    load_registry.cache_clear()


def changed(directory, **values):
    """Let the run have been made with something else."""
    path = directory / "environment.json"
    environment = json.loads(path.read_text())
    for part in environment["plugins"]:
        if part["kind"] == "backbone-family":
            part.update(values)
    path.write_text(json.dumps(environment))


def told(directory):
    messages = []
    tlf.load(directory, warn=messages.append)
    return messages


def test_where_nothing_has_changed_nothing_is_said(run):
    assert told(run[0]) == []


def test_a_plugin_whose_code_has_changed_is_named_with_both_versions(run):
    directory, _ = run
    changed(directory, version="0.9", code_digest="0" * 64)
    (message,) = told(directory)
    assert message == (
        "the code of the backbone-family `acme` has changed since the run "
        "(tlf-acme 0.9 then, tlf-acme 1.0 now): predictions may differ"
    )


def test_code_that_was_edited_under_the_same_version_is_noticed(run):
    directory, file = run
    file.write_text(file.read_text() + "# another comment\n")
    (message,) = told(directory)
    assert "(still tlf-acme 1.0)" in message


def test_another_version_with_the_same_code_is_not_worth_a_word(run):
    changed(run[0], version="0.9")
    assert told(run[0]) == []


def test_from_python_it_is_a_warning(run):
    changed(run[0], code_digest="0" * 64)
    with pytest.warns(UserWarning, match="`acme` has changed since the run"):
        tlf.load(run[0])


def test_a_plugin_that_is_gone_is_named_with_what_to_install(run, monkeypatch):
    monkeypatch.setenv("TLF_PLUGINS", "")
    load_registry.cache_clear()
    with pytest.raises(PluginError) as error:
        tlf.load(run[0])
    assert error.value.message.startswith(
        "the run was made with the backbone-family `acme` of tlf-acme 1.0: `acme` cannot be used"
    )
    assert error.value.hint == "pip install tlf-acme==1.0"


@pytest.mark.parametrize("text", [None, "", "{}", '{"plugins": 3}', '{"plugins": [{}]}', "[]"])
def test_an_artifact_that_does_not_say_what_it_was_made_with_can_be_used(run, text):
    path = run[0] / "environment.json"
    path.unlink() if text is None else path.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tlf.load(run[0]).classes == ("blue", "red")
