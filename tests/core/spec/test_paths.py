import pytest

from tlf.errors import SpecError
from tlf.plugin import resolve_path


def test_a_relative_path_starts_at_the_folder_and_a_whole_one_does_not(tmp_path):
    assert resolve_path(tmp_path, "a/b", "output") == tmp_path / "a/b"
    assert resolve_path(tmp_path / "x", str(tmp_path / "y"), "output") == tmp_path / "y"


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_path(tmp_path / "specs", "~/runs", "output") == tmp_path / "runs"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("~nosuchuser/x", "`~nosuchuser/x` starts at the home folder of `~nosuchuser`"),
        ("a\0b", "holds characters that no path can have"),
        ("a\ud800b", "holds characters that no path can have"),
        ("x" * 300, "is longer than a path can be"),
        ("x/" * 3000, "is longer than a path can be"),
    ],
)
def test_what_no_path_can_be_is_a_problem_at_the_field(tmp_path, text, words):
    with pytest.raises(SpecError) as caught:
        resolve_path(tmp_path, text, "data.options.train")
    (problem,) = caught.value.problems
    assert problem.path == "data.options.train"
    assert words in problem.message
    assert "\0" not in problem.message
    assert problem.hint
