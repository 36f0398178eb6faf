import json
import os
import re
import subprocess
import sys

import pytest
import torch

from tlf.cache import Cache, FileStamp

#: Runs a command line, and says on standard error whether it has imported torch.
RUN = """
import sys
from tlf.cli import main
code = main(sys.argv[1:])
print("torch" in sys.modules, file=sys.stderr)
sys.exit(code)
"""

WHAT = "features of torchvision/mobilenet_v2 at classifier, bfloat16"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("TLF_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def keys(place):
    """The keys of two entries, the last used first."""
    found = []
    for number, at in ((0, 1000), (1, 2000)):
        with Cache(place, 10**9) as cache:
            entry = cache.entry({"what": WHAT, "cut": number, "versions": {"torch": "2"}})
            entry.add([os.urandom(32) for _ in range(2000)], torch.randn(2000, 64))
        os.utime(entry.folder / "used", (at, at))
        found.insert(0, entry.key)
    return found


def damage(place, key):
    (path,) = (place / "entries" / key[:2] / key).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])


def test_list_says_what_there_is_how_much_and_where(tlf, keys, place):
    code, out, err = tlf("cache", "list")
    assert (code, err) == (0, "")
    *table, total = out.splitlines()
    assert max(map(len, table)) <= 80
    words = " ".join(out.split())
    assert "key what rows size last used" in words
    for key in keys:
        assert re.search(rf"^{key[:12]}  features of .* 2,000  584\.\d kB  ", out, re.MULTILINE)
    assert out.index(keys[0][:12]) < out.index(keys[1][:12])
    assert re.fullmatch(rf"2 entries, 1\.2 MB, in {re.escape(str(place))}", total)


def test_an_empty_cache_is_a_line(tlf, place):
    for command in ("list", "clear", "verify"):
        code, _, err = tlf("cache", command)
        assert (code, err) == (0, "")
    assert tlf("cache", "list")[1] == f"0 entries, 0 B, in {place}\n"
    assert tlf("cache", "clear")[1] == "0 entries removed, 0 B freed\n"
    assert tlf("cache", "verify")[1] == f"all is well: 0 entries in {place}\n"
    assert not place.exists()


def test_json_of_the_list_says_all_that_is_known(tlf, keys, place):
    listed = json.loads(tlf("cache", "list", "--json")[1])
    assert listed["directory"] == str(place)
    assert [entry["key"] for entry in listed["entries"]] == keys
    first = listed["entries"][0]
    assert first["description"] == {"what": WHAT, "cut": 1, "versions": {"torch": "2"}}
    assert (first["what"], first["rows"], first["last_used"]) == (WHAT, 2000, 2000.0)
    assert first["folder"] == str(place / "entries" / keys[0][:2] / keys[0])
    assert first["bytes"] > 2000 * 256


def test_another_directory_may_be_named(tlf, keys, place, tmp_path):
    moved = place.rename(tmp_path / "elsewhere")
    assert json.loads(tlf("cache", "list", "--json")[1])["entries"] == []
    for command in (["list"], ["show", keys[0]], ["verify"], ["clear"]):
        code, out, _ = tlf("cache", *command, "--directory", moved)
        assert code == 0
    assert out.startswith("2 entries removed, ")


def test_show_gives_everything_that_the_rows_depend_on(tlf, keys):
    code, out, err = tlf("cache", "show", keys[0][:7])
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert f"key {keys[0]}" in words
    assert f"what {WHAT} rows 2,000 size 584" in words
    assert 'cut 1 versions {"torch": "2"}' in words
    assert json.loads(tlf("cache", "show", keys[0], "--json")[1])["key"] == keys[0]


def test_a_key_that_is_not_there_is_refused_with_the_nearest(tlf, keys):
    wrong = keys[0][:10] + ("00" if keys[0][10:12] != "00" else "11")
    for command in ("show", "clear"):
        code, out, err = tlf("cache", command, wrong)
        assert (code, out) == (2, "")
        assert f"no entry of the cache has a key that starts with `{wrong}`" in err
        assert f"hint: did you mean `{keys[0][:12]}`?" in err
    assert len(json.loads(tlf("cache", "list", "--json")[1])["entries"]) == 2


def test_a_key_in_an_empty_cache_is_refused(tlf, place):
    code, _, err = tlf("cache", "show", "abc")
    assert code == 2
    assert "hint: the cache is empty" in err


def test_the_start_of_several_keys_is_refused(tlf, keys):
    code, out, err = tlf("cache", "show", "")
    assert (code, out) == (2, "")
    assert "2 entries of the cache have keys that start with ``" in err
    assert all(f"`{key[:12]}`" in err for key in keys)


def test_clear_removes_the_entries_that_are_named(tlf, keys):
    code, out, err = tlf("cache", "clear", keys[0][:12], keys[0])
    assert (code, err) == (0, "")
    assert re.fullmatch(r"1 entry removed, 584\.\d kB freed\n", out)
    left = json.loads(tlf("cache", "list", "--json")[1])["entries"]
    assert [entry["key"] for entry in left] == keys[1:]


def test_clear_without_a_key_removes_everything(tlf, keys, place):
    code, out, _ = tlf("cache", "clear", "--json")
    done = json.loads(out)
    assert (code, done["entries"], done["directory"]) == (0, 2, str(place))
    assert done["bytes"] > 1_000_000
    assert json.loads(tlf("cache", "list", "--json")[1])["entries"] == []


def test_verify_finds_nothing_where_nothing_is_wrong(tlf, keys, place):
    assert tlf("cache", "verify") == (0, f"all is well: 2 entries in {place}\n", "")
    assert json.loads(tlf("cache", "verify", "--json")[1]) == {
        "directory": str(place),
        "problems": [],
    }


def test_verify_says_what_is_damaged_or_changed_and_ends_with_1(tlf, keys, place, tmp_path):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"after!")
    os.utime(photo, (1000, 1000))
    Cache(place, 0).digests.put([(FileStamp.of(photo), b"0" * 32)])
    damage(place, keys[0])
    code, out, err = tlf("cache", "verify")
    assert code == 1
    first, second = out.splitlines()
    assert first.startswith(f"{WHAT}: it has ")
    assert second.startswith(f"{photo}: its content has changed, though ")
    assert err.startswith(f"error: 2 things in the cache `{place}` were not as stored")
    assert tlf("cache", "verify")[0] == 0
    damage(place, keys[1])
    code, out, _ = tlf("cache", "verify", "--json")
    assert code == 1
    assert [problem["what"] for problem in json.loads(out)["problems"]] == [WHAT]


def test_an_entry_that_cannot_be_told_is_listed_as_that(tlf, keys, place):
    (place / "entries" / keys[0][:2] / keys[0] / "entry.json").write_text("{}")
    listed = json.loads(tlf("cache", "list", "--json")[1])["entries"]
    assert listed[0]["what"] == "unknown: `tlf cache verify` removes it"
    assert "unknown: `tlf cache verify`" in tlf("cache", "list")[1]
    assert tlf("cache", "verify")[0] == 1
    assert "unknown" not in tlf("cache", "list")[1]


@pytest.mark.parametrize(
    "words", [("list",), ("list", "--json"), ("show", "KEY"), ("verify",), ("clear",)], ids=" ".join
)
def test_no_command_of_the_cache_imports_torch(keys, words):
    words = [keys[0] if word == "KEY" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-c", RUN, "cache", *words], check=True, capture_output=True, text=True
    )
    assert done.stderr == "False\n"
    assert done.stdout
