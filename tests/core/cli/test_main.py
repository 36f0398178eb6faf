import json

import pytest

from tlf.cli import app
from tlf.errors import PluginError, RunInterrupted, SpecError, TlfError


@pytest.fixture
def failing(tlf, monkeypatch):
    """Run a command that raises."""

    def fail(error, *words):
        def raising(*arguments, **options):
            raise error

        monkeypatch.setattr("tlf.registry.load_registry", raising)
        return tlf(*words, "plugins", "list")

    return fail


def all_help():
    yield ()
    for command in app.registered_commands:
        yield (command.name,)
    for group in app.registered_groups:
        yield (group.name,)
        for command in group.typer_instance.registered_commands:
            yield (group.name, command.name)


@pytest.mark.parametrize("command", list(all_help()), ids=" ".join)
def test_every_help_text_fits_80_columns_and_explains_every_option(tlf, command):
    code, out, err = tlf(*command, "--help")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "..." not in out.partition("Commands:")[2]
    unexplained = [line for line in lines if line.startswith("  --") and len(line.split()) == 1]
    assert unexplained == []


def test_without_a_command_the_help_is_shown(tlf):
    assert tlf() == tlf("--help")


def test_the_version_is_that_of_the_distribution(tlf):
    code, out, _ = tlf("--version")
    assert code == 0
    assert out.startswith("tlf 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "error: no such command `rnu`. Did you mean `run`?"),
        (["run"], "error: missing argument `SPEC`"),
        (["plugins"], "error: missing command"),
        (["run", "a", "--sets"], "error: no such option: --sets"),
        (
            ["compare", "a", "--strategies", "b", "--seeds", "0"],
            "error: invalid value for `--seeds`",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_said_with_a_hint_and_exit_code_2(tlf, words, message):
    code, out, err = tlf(*words)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert "\n\nhint: `tlf" in err
    assert err.rstrip().endswith("--help` says how it is used")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (TlfError("it broke", hint="mend it"), 1, "error: it broke\n\nhint: mend it\n"),
        (TlfError("it broke"), 1, "error: it broke\n"),
        (PluginError("`acme` is broken"), 3, "error: `acme` is broken\n"),
        (RunInterrupted("stopped after 1 of 2", hint="kept"), 130, "stopped after 1 of 2\nkept\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (
            OSError(28, "No space left on device", "/disk/file"),
            1,
            (
                "error: `/disk/file`: no space left on device\n\n"
                "hint: `--traceback` shows where in the code it arose\n"
            ),
        ),
        (
            ZeroDivisionError("division by zero"),
            1,
            (
                "error: this is a bug of tlf, or of a plugin: ZeroDivisionError: division by zero\n\n"
                "hint: `--traceback` shows where in the code it arose; please report it\n"
            ),
        ),
    ],
)
def test_every_error_ends_in_words_and_its_exit_code(failing, error, code, said):
    assert failing(error) == (code, "", said)


def test_text_of_an_error_is_shown_as_it_is_and_not_wrapped(failing):
    message = f"`[bold]{'x' * 200}[/nothing] :smile:` is wrong"
    assert failing(TlfError(message))[2] == f"error: {message}\n"


def test_a_traceback_is_shown_on_request_only(failing):
    error = ZeroDivisionError("division by zero")
    assert "Traceback" not in failing(error)[2]
    assert "Traceback (most recent call last)" in failing(error, "--traceback")[2]


def test_traceback_may_stand_behind_the_command(tlf):
    _, _, err = tlf("spec", "validate", "nowhere.json", "--traceback")
    assert "Traceback (most recent call last)" in err
    assert "\nerror: " in err


def test_behind_two_dashes_traceback_is_a_word_like_any_other(tlf):
    code, _, err = tlf("spec", "validate", "--", "--traceback")
    assert code == 2
    assert "`--traceback`" in err
    assert "Traceback" not in err


def test_all_problems_of_a_spec_are_shown_at_once(tlf, small_spec, tmp_path):
    spec = {**small_spec, "sed": 1, "training": {"epochs": 0}}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    code, _, err = tlf("run", tmp_path / "spec.json")
    assert code == SpecError.exit_code == 2
    assert "has 2 problems" in err
    assert "sed" in err
    assert "training.epochs" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["plugins", "list"], 0),
        (["spec", "validate", "nowhere.json"], 2),
        (["plugins", "show", "acme"], 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_process_ends_with_the_exit_code_and_keeps_its_streams_apart(tlf_process, words, code):
    done = tlf_process(*words)
    assert done.returncode == code
    assert (done.stdout == b"") is (code != 0)
    assert (done.stderr == b"") is (code == 0)
    assert b"\x1b" not in done.stdout + done.stderr


def test_an_error_does_nothing_to_a_terminal_whatever_a_file_is_called(failing):
    error = TlfError("`\x1b[31mred\x07\x9b` is\n  no image: café", hint="remove `\x1b[2J`")
    _, _, err = failing(error)
    assert err == (
        "error: `\\x1b[31mred\\x07\\x9b` is\n  no image: café\n\nhint: remove `\\x1b[2J`\n"
    )
