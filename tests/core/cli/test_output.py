import io
import json
import os
import subprocess
import sys
import unicodedata

import pytest
from rich.text import Text

from tlf.cli.output import make_printable, messages, results, visible, write_json, write_line
from tlf.cli.tables import table


@pytest.fixture
def stream(monkeypatch):
    """Put a stream of some encoding in the place of standard output."""

    def replace(encoding):
        made = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
        monkeypatch.setattr(sys, "stdout", made)
        make_printable()
        return made.buffer

    return replace


def test_a_file_name_that_is_no_text_keeps_its_bytes(stream):
    written = stream("utf-8")
    write_line(os.fsdecode(b"caf\xe9/run"))
    assert written.getvalue() == b"caf\xe9/run\n"


def test_a_table_with_a_file_name_that_is_no_text_is_printed(stream):
    written = stream("utf-8")
    results().print(table(["image"], [[os.fsdecode(b"caf\xe9.png")]]))
    assert b"caf\xe9.png" in written.getvalue()


def test_what_the_encoding_lacks_is_escaped(stream):
    written = stream("ascii")
    write_line("ä ☃")
    results().print(table(["metric", ">value"], [["ü", "1"]]))
    assert written.getvalue().startswith(b"\\xe4 \\u2603\n")
    assert b"\\xfc" in written.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_json_stays_json_whatever_the_encoding(stream, encoding):
    written = stream(encoding)
    value = {"ä☃😀": os.fsdecode(b"caf\xe9")}
    write_json(value)
    assert json.loads(written.getvalue().decode(encoding)) == value


def test_json_is_readable_where_the_encoding_allows_it(stream):
    written = stream("utf-8")
    write_json({"name": "Größe"})
    assert written.getvalue().decode() == '{\n  "name": "Größe"\n}\n'


def test_brackets_and_colons_in_a_cell_mean_nothing(stream):
    written = stream("utf-8")
    results().print(table(["image"], [["[red]a[/red]"], ["[/]"], [":smile:"]]))
    lines = written.getvalue().decode().splitlines()
    assert [line.strip() for line in lines[-3:]] == ["[red]a[/red]", "[/]", ":smile:"]


def test_a_table_in_a_pipe_has_80_columns_at_least(stream, monkeypatch):
    written = stream("utf-8")
    monkeypatch.setenv("COLUMNS", "20")
    results().print(
        table(["words"], [["a line of sixty characters, which is more than twenty of them"]])
    )
    assert len(written.getvalue().decode().splitlines()) == 3


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_nothing_but_text_goes_to_a_terminal_that_wants_no_colour(monkeypatch, name, value):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, value)

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    messages().print("error: ", style="bold red")
    assert sys.stderr.getvalue() == "error: \n"


def test_a_reader_that_goes_away_ends_nothing_but_the_printing():
    code = (
        "import sys; from tlf.cli.output import *; sys.stdin.read();"
        "results().print('x' * 9999); write_line('x'); write_json({});"
        "messages().print('done'); sys.stdout.flush()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b"done\n"
    assert process.returncode == 0


def test_a_stream_that_is_closed_from_the_start_ends_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    make_printable()
    with sys.stdout:
        write_json({})
        results().print(table(["metric"], [["loss"]]))


#: What a terminal obeys: escape sequences, their 8-bit form, the ends of lines, and what erases.
OBEYED = "\x1b[2J\x1b]0;title\x07\x9b31m\rb\x08\x7f\x00"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Put a terminal without colours in the place of a stream."""

    def replace(name):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr(sys, name, Terminal())
        return getattr(sys, name)

    return replace


def controls(text):
    return {character for character in text if unicodedata.category(character) == "Cc"} - {"\n"}


@pytest.mark.parametrize(
    "shown",
    [
        OBEYED,
        f"error: `{OBEYED}` is no image",
        f"[red]{OBEYED}[/red]",
        Text(OBEYED),
        table(["image", OBEYED], [[OBEYED, "1"], [(OBEYED, OBEYED), "2"]]),
    ],
    ids=["text", "message", "brackets", "made of rich's own", "table"],
)
@pytest.mark.parametrize(("console", "name"), [(results, "stdout"), (messages, "stderr")])
def test_a_terminal_is_told_nothing_by_the_names_that_are_printed(terminal, console, name, shown):
    stream = terminal(name)
    console().print(shown, soft_wrap=True)
    assert not controls(stream.getvalue())
    assert r"\x1b[2J" in stream.getvalue().replace("\n", "")


def test_a_line_for_a_terminal_is_escaped_and_one_for_a_program_is_not(terminal, stream):
    shown = terminal("stdout")
    write_line(f"runs/{OBEYED}")
    assert not controls(shown.getvalue())
    written = stream("utf-8")
    write_line(f"runs/{OBEYED}")
    assert written.getvalue().decode() == f"runs/{OBEYED}\n"


def test_json_holds_nothing_that_a_terminal_obeys(stream):
    written = stream("utf-8")
    write_json({OBEYED: OBEYED})
    assert not controls(written.getvalue().decode())
    assert json.loads(written.getvalue()) == {OBEYED: OBEYED}


def test_a_line_that_ends_within_a_name_does_not_end_the_message():
    assert visible("`a\nerror: b` is\n  no `c`") == "`a\\nerror: b` is\n  no `c`"
    assert visible("three ` of\n ` them\n `") == "three ` of\n ` them\n `"
    assert visible("tab\tand line\n") == "tab\tand line\n"


def test_a_name_in_a_table_has_one_line_and_lines_that_are_meant_stay(stream):
    written = stream("utf-8")
    results().print(table(["image"], [["a\nb"], [("c", "d")]]))
    assert [line.strip() for line in written.getvalue().decode().splitlines()[-3:]] == [
        "a\\nb", "c", "d",
    ]  # fmt: skip


def test_an_error_over_a_file_with_an_odd_name_tells_the_terminal_nothing(tlf, tmp_path):
    odd = tmp_path / "a\x1b[2J\rb\nerror: c.json"
    code, out, err = tlf("run", odd)
    assert (code, out) == (2, "")
    assert not controls(err)
    assert r"a\x1b[2J\rb\nerror: c.json`" in err
