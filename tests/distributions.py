"""Real distributions: wheels that a test writes, installed by pip into an environment of their own."""

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path


def write_wheel(folder, name, files, entry_points, *, version="1.0", group="tlf.v1"):
    """Write a wheel, and return its path.

    Args:
        folder: Where to.
        name: Of the distribution.
        files: Source of each module, by path.
        entry_points: Value of each entry point, by name.
        version: Of the distribution.
        group: Of the entry points.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    about = f"{stem}.dist-info"
    points = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
    written = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[{group}]\n{points}",
    }
    record = "".join(
        f"{path},{_digest(text)},{len(text.encode())}\n" for path, text in written.items()
    )
    path = Path(folder) / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name_in_wheel, text in written.items():
            wheel.writestr(name_in_wheel, text)
        wheel.writestr(f"{about}/RECORD", f"{record}{about}/RECORD,,\n")
    return path


def _digest(text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.decode().rstrip('=')}"


class Environment:
    """An environment of its own, whose libraries are those of this one, with tlf among them.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = self.folder / "bin" / "python"
        (site,) = self.folder.glob("lib/*/site-packages")
        self.site = site
        libraries = next(path for path in sys.path if path.endswith("site-packages"))
        # So that the files there that lead further are read too: tlf may be installed as editable.
        (site / "libraries.pth").write_text(f"import site; site.addsitedir({libraries!r})\n")

    def install(self, *wheels):
        """Install wheels with pip, and nothing else."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        command = [*pip, "--no-index", "--no-deps", "--no-compile", *map(str, wheels)]
        subprocess.run(command, check=True, capture_output=True, text=True)

    def run(self, *words, **options):
        """Run a Python command line, and return what came of it."""
        return subprocess.run(
            [str(self.python), *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
            **options,
        )

    def tlf(self, *words, **options):
        """Run a command line of tlf."""
        return self.run(
            "-c", "import sys; from tlf.cli import main; sys.exit(main())", *words, **options
        )
