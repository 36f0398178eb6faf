import pytest

from tlf.errors import DataError, PluginError
from tlf.registry import plugin_call


@pytest.fixture
def entry(acme):
    return acme.get("strategy", "acme/half")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("a"), "`steps` fails with KeyError: 'a'"),
        (ValueError("one\n two"), "`steps` fails with ValueError: one two"),
        (SystemExit(3), r"`steps` fails with it calls `sys.exit\(3\)`"),
        (AssertionError(), "`steps` fails with AssertionError$"),
    ],
)
def test_whatever_a_plugin_raises_is_its_fault_on_one_line(entry, error, words):
    with pytest.raises(PluginError, match=words) as caught, plugin_call(entry, "`steps`"):
        raise error
    assert "`acme/half` of the plugin `acme` (tlf-acme 1.0)" in caught.value.message
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [DataError("x"), KeyboardInterrupt()])
def test_an_error_for_the_user_and_an_interrupt_pass_as_they_are(entry, error):
    with pytest.raises(type(error)) as caught, plugin_call(entry, "`steps`"):
        raise error
    assert caught.value is error
