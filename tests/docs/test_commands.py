"""Every command and every piece of Python in the pages that a new user reads is run as it stands.

Only the size of the work is changed: small images, one epoch, and weights that lie in torch's cache
already, so that nothing is fetched.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

ROOT = Path(__file__).parents[2]
#: The README in every run of the tests; the longer pages, which repeat it, in `make test-all`.
PAGES = (
    "README.md",
    pytest.param("docs/tutorial.md", marks=pytest.mark.slow),
    pytest.param("examples/ants-bees/README.md", marks=pytest.mark.slow),
)
#: What sets an environment up; `test_packaging.py` and CI run these.
SETTING_UP = ("pip install .", "make ")
SMALLER = {"training": {"epochs": 1}, "transforms": {"name": "standard", "options": {"size": 32}}}


def commands(page):
    """Return the command lines of a page: indented by four spaces, without their comments."""
    for line in re.findall(r"^ {4}(\S.*)$", page, re.MULTILINE):
        if line.startswith(("tlf ", "pip ", "make ")):
            yield line.partition("  #")[0].strip()


def code(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A torch home with weights of the right name, which are random."""
    home = tmp_path_factory.mktemp("torch")
    source = torchvision.models.MobileNet_V2_Weights.DEFAULT.url
    path = home / "hub" / "checkpoints" / Path(source).name
    path.parent.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.save(torchvision.models.mobilenet_v2().state_dict(), path)
    return home


@pytest.fixture
def place(tmp_path, photographs, cache, monkeypatch):
    """A folder with everything that the pages speak of."""
    for name in ("photos", "hymenoptera"):
        for split in ("train", "val"):
            for old, new in (("red", "ants"), ("blue", "bees")):
                shutil.copytree(photographs / split / old, tmp_path / name / split / new)
    image = photographs / "val" / "red" / "00.png"
    shutil.copytree(image.parent, tmp_path / "more-photos")
    for name in ("photo.jpg", "new.jpg"):
        shutil.copy(image, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(cache))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def write_spec(page, place):
    blocks = [json.loads(block) for block in code(page, "json")]
    spec = next((block for block in blocks if "backbone" in block), None)
    if spec is None:
        spec = json.loads((ROOT / "examples/ants-bees/spec.json").read_text())
    write_smaller(spec, place / "spec.json")


def write_smaller(spec, path):
    for section, values in SMALLER.items():
        spec[section] = {**spec.get(section, {}), **values}
    path.write_text(json.dumps(spec))


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_do_what_it_says(name, place):
    page = (ROOT / name).read_text(encoding="utf-8")
    write_spec(page, place)
    lines = [line for line in commands(page) if not line.startswith(SETTING_UP)]
    assert lines
    for line in lines:
        words = shlex.split(line)
        if "--set" in words and "training.epochs=20" in words:
            words[words.index("training.epochs=20")] = "training.epochs=1"
        words, target = (words[:-2], words[-1]) if ">" in words else (words, None)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("tlf")), *words[1:]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert done.stdout.strip()
        if target is not None:
            write_smaller(json.loads(done.stdout), place / target)
        assert max(map(len, done.stdout.splitlines())) <= 80 or "--json" in line


@pytest.mark.parametrize("name", PAGES[:2])
def test_the_python_of_a_page_runs(name, place):
    page = (ROOT / name).read_text(encoding="utf-8")
    write_spec(page, place)
    subprocess.run(
        [str(Path(sys.executable).with_name("tlf")), "run", "spec.json"],
        check=True,
        capture_output=True,
    )
    for block in code(page, "python"):
        done = subprocess.run(
            [sys.executable, "-c", block], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert set(re.findall(r"[a-z]+", done.stdout)) & {"ants", "bees"}


def test_every_page_that_is_linked_is_there():
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")]
    pages += ROOT.glob("plugins/tlf_builtin/*/README.md")
    for page in pages:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"


@pytest.mark.slow
def test_the_table_of_stages_is_what_the_networks_give():
    script = "import runpy; print(runpy.run_path('docs/stage_table.py')['page'](), end='')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    written = (ROOT / "docs" / "stages.md").read_text(encoding="utf-8")
    assert done.stdout == written, "docs/stages.md is out of date: run `make stages`"
