"""What no source file may do, because a file that somebody sends could then run as code.

Each rule has examples that it must catch; what is allowed in spite of a rule is listed with its reason.
The behaviour itself is tested in `tests/safety`.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((*ROOT.glob("core/**/*.py"), *ROOT.glob("plugins/**/*.py")))

#: Modules whose mere use is a question.
MODULES = {
    "marshal": "unpickles",
    "dill": "unpickles",
    "joblib": "unpickles",
    "cloudpickle": "unpickles",
    "pickle": "unpickles",
    "shelve": "unpickles",
    "ctypes": "calls machine code",
    "cffi": "calls machine code",
    "socket": "reaches the network",
    "http": "reaches the network",
    "requests": "reaches the network",
    "httpx": "reaches the network",
    "urllib.request": "reaches the network",
    "zipfile": "unpacks archives",
    "tarfile": "unpacks archives",
    "code": "runs text as code",
    "runpy": "runs text as code",
    "pty": "starts programs",
}
#: Calls that are refused, whatever their arguments.
CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "compile": "runs text as code",
    "__import__": "imports what a text names",
    "importlib.import_module": "imports what a text names",
    "os.system": "starts a shell",
    "os.popen": "starts a shell",
    "subprocess.getoutput": "starts a shell",
    "subprocess.getstatusoutput": "starts a shell",
    "tempfile.mktemp": "gives a name that somebody else may take first",
    "shutil.unpack_archive": "unpacks archives",
    "yaml.unsafe_load": "unpickles",
    "yaml.full_load": "unpickles",
    "torch.jit.load": "runs what a file says",
    "torch.hub.load": "runs what a file says",
    "torch.hub.load_state_dict_from_url": "unpickles",
    "torchvision.models.utils.load_state_dict_from_url": "unpickles",
    "timm.models.load_checkpoint": "unpickles",
    "timm.models.load_pretrained": "unpickles",
    "pandas.read_pickle": "unpickles",
    "numpy.lib.format.read_array": "unpickles",
    "urllib.request.urlretrieve": "reaches the network",
    "torch.hub.download_url_to_file": "reaches the network",
    "huggingface_hub.hf_hub_download": "reaches the network",
    "huggingface_hub.snapshot_download": "reaches the network",
    "markupsafe.Markup": "takes text for markup",
}
#: Methods that are refused on whatever object.
METHODS = {
    "get_state_dict": "unpickles",
    "extractall": "unpacks archives",
    "enable_load_extension": "loads code into a database",
    "load_extension": "loads code into a database",
}
#: Calls that need a constant argument: its name and value, and what they do without.
ARGUMENTS = {
    "torch.load": ("weights_only", True, "unpickles"),
    "numpy.load": ("allow_pickle", False, "unpickles"),
    "jinja2.Environment": ("autoescape", True, "takes text for markup"),
    "timm.create_model": ("pretrained", False, "unpickles"),
    "torchvision.models.get_model": ("weights", None, "unpickles"),
}
PROCESSES = ("subprocess.run", "subprocess.Popen", "subprocess.check_call", "subprocess.call",
             "subprocess.check_output")  # fmt: skip

#: What is allowed: the file, what it does, and how often.
ALLOWED = {
    # Pickles an item's function to see that it can be; nothing is read back.
    ("core/tlf/testing/data_sources.py", "`pickle` unpickles"): 1,
    # Names of tlf's own, from a table; and the target of an installed plugin's declaration.
    ("core/tlf/__init__.py", "`importlib.import_module` imports what a text names"): 1,
    ("core/tlf/registry/entries.py", "`importlib.import_module` imports what a text names"): 1,
    # Style and script of the page, which are tlf's own files; and text that was escaped before.
    ("core/tlf/report/page.py", "`markupsafe.Markup` takes text for markup"): 3,
    # A chart that matplotlib drew with stand-ins for all names, which are put in escaped.
    ("core/tlf/report/drawing.py", "`markupsafe.Markup` takes text for markup"): 1,
    # Lets a check of plugins refuse the network.
    ("core/tlf/testing/network_use.py", "`socket` reaches the network"): 1,
    # Into the library's own cache; read by `tlf.engine.weights` like any other file.
    ("plugins/tlf_builtin/timm/family.py", "`torch.hub.download_url_to_file` reaches the network"): 1,
    ("plugins/tlf_builtin/timm/family.py", "`huggingface_hub.hf_hub_download` reaches the network"): 1,
    ("plugins/tlf_builtin/torchvision/family.py",
     "`torch.hub.download_url_to_file` reaches the network"): 1,
}  # fmt: skip


def imported_names(tree):
    """What names mean: `np` is `numpy`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                top = one.name.partition(".")[0]
                names[one.asname or top] = one.name if one.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                names[one.asname or one.name] = f"{node.module}.{one.name}"
    return names


def dotted(node, names):
    """The whole name of what is called, as far as it can be known."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else None
    return None


def constant(node, name):
    """The value of a keyword argument that is a constant; Ellipsis if there is none."""
    for keyword in node.keywords:
        if keyword.arg == name:
            value = keyword.value
            return value.value if isinstance(value, ast.Constant) else ...
    return ...


def modules_of(node):
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    return []


def problems_of_import(node):
    for module in modules_of(node):
        for name, what in MODULES.items():
            if module == name or module.startswith(f"{name}."):
                yield f"`{name}` {what}"
                return


def problems_of_call(node, names):
    name = dotted(node.func, names)
    method = node.func.attr if isinstance(node.func, ast.Attribute) else None
    if name in CALLS:
        yield f"`{name}` {CALLS[name]}"
    if method in METHODS:
        yield f"`{method}` {METHODS[method]}"
    if name in ARGUMENTS:
        argument, needed, what = ARGUMENTS[name]
        if constant(node, argument) is not needed:
            yield f"`{name}` {what} without `{argument}={needed}`"
    yield from problems_of_arguments(node, name or "")
    if name in PROCESSES:
        yield from problems_of_process(node)


def problems_of_arguments(node, name):
    if constant(node, "allow_pickle") is True:
        yield "`allow_pickle=True` unpickles"
    if constant(node, "weights_only") is False:
        yield "`weights_only=False` unpickles"
    if name == "yaml.load" and "Safe" not in ast.unparse(node):
        yield "`yaml.load` unpickles without a safe loader"
    if name == "PIL.Image.open" and not any(one.arg == "formats" for one in node.keywords):
        yield "`PIL.Image.open` hands PostScript to another program without `formats`"
    if name.startswith(("os.exec", "os.spawn", "os.posix_spawn")):
        yield f"`{name}` starts programs"


def problems_of_process(node):
    if any(one.arg == "shell" for one in node.keywords):
        yield "`shell` starts a shell"
    words = node.args[0].elts if node.args and isinstance(node.args[0], ast.List) else []
    start = [ast.unparse(word) for word in words[:2]]
    if start != ["sys.executable", "'-P'"]:
        yield "a process that is not `[sys.executable, '-P', …` may run what lies in the folder"


def problems(text):
    tree = ast.parse(text)
    names = imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from problems_of_call(node, names)
        else:
            yield from problems_of_import(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_does_nothing_that_lets_data_run_as_code(path):
    name = path.relative_to(ROOT).as_posix()
    found = list(problems(path.read_text(encoding="utf-8")))
    allowed = [
        what for (file, what), count in ALLOWED.items() if file == name for _ in range(count)
    ]
    assert sorted(found) == sorted(allowed)


def test_every_file_with_an_allowance_is_there():
    assert {file for file, _ in ALLOWED} <= {path.relative_to(ROOT).as_posix() for path in SOURCES}


BAD = (
    *(f"import {name}" for name in MODULES),
    *(f"from {name} import anything" for name in MODULES),
    *(f"import {name.rpartition('.')[0]}\n{name}(x)" for name in CALLS if "." in name),
    *(f"from {name.rpartition('.')[0]} import {name.rpartition('.')[2]} as f\nf(x)"
      for name in CALLS if "." in name),
    *(f"{name}(x)" for name in CALLS if "." not in name),
    *(f"anything[0].{name}(x)" for name in METHODS),
    *(f"import {name.partition('.')[0]} as a\na.{name.partition('.')[2]}(x)" for name in ARGUMENTS),
    *(f"import {name.partition('.')[0]}\n{name}(x, {argument}=unknown)"
      for name, (argument, _, _) in ARGUMENTS.items()),
    "import torch\ntorch.load(x, weights_only=False)",
    "import numpy as np\nnp.load(x, allow_pickle=True)",
    "loader(x, allow_pickle=True)",
    "import yaml\nyaml.load(x)",
    "import yaml\nyaml.load(x, Loader=yaml.Loader)",
    "from PIL import Image\nImage.open(x)",
    "import PIL.Image\nPIL.Image.open(x)",
    "import os\nos.execvp(x, y)",
    "import os\nos.spawnl(0, x)",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "import subprocess, sys\nsubprocess.run([sys.executable, '-P', '-c', x], shell=known)",
    "import subprocess\nsubprocess.Popen(['ls'])",
    "import subprocess, sys\nsubprocess.Popen([sys.executable, '-m', 'tlf'])",
    "from subprocess import run as start\nstart(words)",
)  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_bad_example_is_caught(text):
    assert list(problems(text))


GOOD = (
    "import torch\ntorch.load(x, weights_only=True)",
    "import numpy as np\nnp.load(x, allow_pickle=False)",
    "import jinja2\njinja2.Environment(autoescape=True)",
    "import yaml\nyaml.load(x, Loader=yaml.SafeLoader)",
    "import subprocess, sys\nsubprocess.run([sys.executable, '-P', '-c', x])",
    "from PIL import Image\nImage.open(x, formats=known)",
    "network.eval()\nre.compile(x)\nos.path.join(x)\nfrom urllib.parse import quote",
    "from tlf.engine import code",
)


@pytest.mark.parametrize("text", GOOD)
def test_a_good_example_is_left_alone(text):
    assert not list(problems(text))
