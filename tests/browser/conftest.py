"""Pages in a real browser: Debian's chromium, driven by playwright."""

import shutil

import pytest

from tests.core.report import made
from tlf.report import comparison_page, run_page

KINDS = ("small", "full", "hostile", "many", "comparison", "hostile-comparison")


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """A page of each kind, where it would be: in the directory that it is of."""
    folder = tmp_path_factory.mktemp("pages")
    many = [f"class {number}" for number in range(1000)]
    runs = {
        "small": {"full": False},
        "full": {},
        "hostile": {"classes": made.HOSTILE, "never": 1},
        "many": {"classes": many, "never": 7},
    }
    comparisons = {"comparison": {}, "hostile-comparison": {"names": made.HOSTILE}}
    paths = {}
    for kind, settings in runs.items():
        paths[kind] = made.run_folder(folder / kind, **settings) / "report.html"
        paths[kind].write_text(run_page(folder / kind), encoding="utf-8")
    for kind, settings in comparisons.items():
        paths[kind] = made.comparison_folder(folder / kind, **settings) / "report.html"
        paths[kind].write_text(comparison_page(folder / kind), encoding="utf-8")
    return paths


@pytest.fixture(scope="module")
def browser():
    """A browser without a window; it talks to the tests over pipes, not over the network."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: `pip install -e '.[test-all]'`"
    )
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium here: `apt-get install chromium`")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page that is open, with what it said and asked for."""

    def __init__(self, browser, path, **settings):
        self.errors, self.requests, self.refused, self.dialogs = [], [], [], []
        self.page = browser.new_page(**settings)
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.refused.append(request.failure))
        self.page.on("dialog", self._dismiss)
        self.page.goto(path.as_uri())

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def ask(self, script, *arguments):
        """What an expression of the page's language comes to."""
        return self.page.evaluate(script, *arguments)


@pytest.fixture
def open_page(browser, pages):
    """Opens a page of a kind, with what is special about the browser."""
    opened = []

    def open_one(kind, *, width=1280, height=900, **settings):
        viewport = {"width": width, "height": height}
        opened.append(Opened(browser, pages[kind], viewport=viewport, **settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.page.close()
