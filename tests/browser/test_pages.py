"""What pages do in a browser: they stay within themselves, can be read, sorted, printed and heard."""

import re
from itertools import pairwise

import pytest

from tests.browser.conftest import KINDS
from tests.core.report import made

pytestmark = pytest.mark.slow

#: Contrast of every text with what is behind it (WCAG 2.1, relative luminance); what is half
#: transparent is mixed with what is below.
CONTRASTS = """() => {
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const parse = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) =>
    [r, g, b].map((value, index) => value * a + below[index] * (1 - a));
  const behind = (node) => {
    const colours = [];
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) colours.push(colour);
    }
    return colours.reverse().reduce((below, colour) => over(colour, below), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim()) continue;
    if (["SCRIPT", "title", "desc"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const below = behind(node);
    const ink = node.ownerSVGElement ? style.fill : style.color;
    const [light, dark] = [luminance(over(parse(ink), below)), luminance(below)];
    const contrast = (Math.max(light, dark) + 0.05) / (Math.min(light, dark) + 0.05);
    found.push([contrast, walker.currentNode.textContent.trim().slice(0, 40), node.tagName]);
  }
  return found;
}"""

COLUMN = """([table, column]) => [...document.querySelectorAll("table[data-sortable]")[table]
  .tBodies[0].rows].map((row) => row.cells[column].textContent.trim())"""


def sortable(opened, caption):
    """The index of a sortable table, found by the start of its caption."""
    captions = opened.ask(
        "() => [...document.querySelectorAll('table[data-sortable] caption')]"
        ".map((one) => one.textContent)"
    )
    return next(number for number, text in enumerate(captions) if text.startswith(caption))


def heading(opened, table, column):
    return opened.page.locator("table[data-sortable]").nth(table).locator("thead th").nth(column)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_reports_no_error_and_asks_for_nothing_but_itself(open_page, kind):
    opened = open_page(kind)
    assert opened.errors == []
    assert opened.dialogs == []
    outside = [url for url in opened.requests if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1


def test_every_picture_is_loaded(open_page):
    opened = open_page("full")
    opened.ask("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    widths = opened.ask("() => [...document.images].map((one) => one.naturalWidth)")
    assert len(widths) == 16
    assert min(widths) > 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_no_wider_than_the_window(open_page, kind, width):
    opened = open_page(kind, width=width)
    opened.ask("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert opened.ask("() => document.documentElement.scrollWidth") <= width
    beyond = """(width) => [...document.querySelectorAll("main *")].filter((one) =>
      !one.closest(".scroll, pre, svg") && one.getBoundingClientRect().right > width + 0.5)
      .map((one) => one.outerHTML.slice(0, 80))"""
    assert opened.ask(beyond, width) == []


def test_text_in_charts_can_be_read_on_a_phone(open_page):
    opened = open_page("full", width=390)
    heights = opened.ask(
        "() => [...document.querySelectorAll('svg text')]"
        ".map((one) => one.getBoundingClientRect().height)"
    )
    # A line is a little higher than its letters are large.
    assert min(heights) >= 8


def test_a_click_on_a_heading_sorts_and_another_one_turns_the_order(open_page):
    opened = open_page("full")
    table = sortable(opened, "Each class")
    before = opened.ask(COLUMN, [table, 2])
    precision = heading(opened, table, 2)
    assert precision.get_attribute("aria-sort") is None
    precision.locator("button").click()
    assert precision.get_attribute("aria-sort") == "descending"
    assert opened.ask(COLUMN, [table, 2]) == sorted(before, reverse=True)
    precision.locator("button").click()
    assert precision.get_attribute("aria-sort") == "ascending"
    assert opened.ask(COLUMN, [table, 2]) == sorted(before)


def test_words_are_sorted_from_the_first_and_only_one_column_is(open_page):
    opened = open_page("comparison")
    table = sortable(opened, "Differences")
    heading(opened, table, 2).locator("button").click()
    heading(opened, table, 0).locator("button").click()
    assert heading(opened, table, 0).get_attribute("aria-sort") == "ascending"
    assert heading(opened, table, 2).get_attribute("aria-sort") is None
    pairs = opened.ask(COLUMN, [table, 0])
    assert pairs == sorted(pairs)


def test_numbers_are_sorted_as_numbers_and_what_is_missing_comes_last(open_page):
    opened = open_page("comparison")
    table = sortable(opened, "shots 3")
    time = heading(opened, table, 2).locator("button")
    time.click()
    assert opened.ask(COLUMN, [table, 2]) == ["1 min 38 s", "24.5 s", "10.9 s", "–"]
    time.click()
    assert opened.ask(COLUMN, [table, 2]) == ["10.9 s", "24.5 s", "1 min 38 s", "–"]


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_tables_are_sorted_by_keyboard_too_and_the_focus_stays(open_page, key):
    opened = open_page("full")
    table = sortable(opened, "Each class")
    name = heading(opened, table, 0)
    heading(opened, table, 0).locator("button").focus()
    opened.page.keyboard.press(key)
    assert name.get_attribute("aria-sort") == "ascending"
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press(key)
    assert heading(opened, table, 1).get_attribute("aria-sort") == "descending"
    assert name.get_attribute("aria-sort") is None
    assert opened.ask("() => document.activeElement.tagName") == "BUTTON"


def test_a_thousand_classes_are_sorted_at_once(open_page):
    opened = open_page("many")
    table = sortable(opened, "Each class")
    heading(opened, table, 0).locator("button").click()
    assert opened.ask(COLUMN, [table, 0]) == [f"class {number}" for number in range(1000)]


def test_a_page_can_be_read_without_its_script(open_page):
    opened = open_page("full", java_script_enabled=False)
    assert opened.page.locator("th button").count() == 0
    assert opened.page.get_by_text("95.4% of 90 validation images").is_visible()
    opened.page.get_by_text("Right, for comparison").click()
    assert opened.page.get_by_text("Images that it was surest of, and right").is_visible()


@pytest.mark.parametrize("kind", ["hostile", "hostile-comparison"])
def test_hostile_names_show_as_text_and_do_nothing(open_page, kind):
    opened = open_page(kind)
    opened.page.wait_for_timeout(100)
    assert opened.dialogs == []
    assert opened.errors == []
    assert opened.ask("() => document.querySelectorAll('[onerror], img[src=x]').length") == 0
    assert opened.ask("() => document.scripts.length") == 1
    shown = opened.ask("() => document.querySelector('main').innerText")
    for name in made.HOSTILE:
        assert name in re.sub("[\u2068\u2069\u200e]", "", shown)


def test_only_the_pages_own_script_may_run(open_page):
    opened = open_page("full")
    opened.ask(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.intruder = true";
          document.body.append(script);
          const image = document.createElement("img");
          image.setAttribute("onerror", "window.intruder = true");
          image.src = "https://example.org/x.png";
          document.body.append(image);
        }"""
    )
    opened.page.wait_for_timeout(200)
    assert opened.ask("() => window.intruder") is None
    # The browser names what it would have asked for, and that it was refused.
    assert opened.refused == ["csp"]
    assert any("Content Security Policy" in error for error in opened.errors)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["full", "hostile", "comparison"])
def test_every_text_stands_out_from_what_is_behind_it(open_page, kind, scheme):
    opened = open_page(kind, color_scheme=scheme)
    opened.ask("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    found = opened.ask(CONTRASTS)
    assert any(tag == "text" for _, _, tag in found)
    assert [entry for entry in found if entry[0] < 4.5] == []


def test_dark_mode_changes_the_page_and_its_charts(open_page):
    seen = {}
    for scheme in ("light", "dark"):
        opened = open_page("full", color_scheme=scheme)
        seen[scheme] = opened.ask(
            """() => [getComputedStyle(document.documentElement).backgroundColor,
              getComputedStyle(document.querySelector("svg text")).fill,
              getComputedStyle(document.querySelector("svg path[style*=series-1]")).stroke]"""
        )
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"], strict=True))


def test_paper_shows_what_is_folded_away_and_the_screen_folds_it_again(open_page):
    opened = open_page("full")
    spec = opened.page.locator("pre", has_text="image-folder")
    assert not spec.is_visible()
    opened.page.emulate_media(media="print")
    assert spec.is_visible()
    assert not opened.page.locator("nav").is_visible()
    # Where the style sheet alone cannot unfold them, the script does.
    opened.page.wait_for_function("() => !document.querySelector('details:not([open])')")
    opened.page.emulate_media(media="screen")
    opened.page.wait_for_function("() => !document.querySelector('details[open]')")
    assert not spec.is_visible()


def test_paper_shows_what_is_folded_away_without_the_script_too(open_page):
    opened = open_page("full", java_script_enabled=False)
    opened.page.emulate_media(media="print")
    assert opened.page.locator("pre", has_text="image-folder").is_visible()


def test_paper_is_white_in_dark_mode(open_page):
    opened = open_page("full", color_scheme="dark")
    opened.page.emulate_media(media="print")
    background = "() => getComputedStyle(document.documentElement).backgroundColor"
    assert opened.ask(background) == "rgb(255, 255, 255)"
    assert [entry for entry in opened.ask(CONTRASTS) if entry[0] < 4.5] == []


@pytest.mark.parametrize("kind", ["full", "many", "comparison"])
def test_a_page_can_be_printed(open_page, kind):
    assert open_page(kind).page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("kind", KINDS)
def test_a_screen_reader_finds_its_way(open_page, kind):
    opened = open_page(kind, width=390)
    levels = opened.ask(
        "() => [...document.querySelectorAll('h1, h2, h3, h4')].map((one) => +one.tagName[1])"
    )
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert opened.ask("() => document.documentElement.lang") == "en"
    for landmark in ("header", "main", "nav"):
        assert opened.page.locator(landmark).count() == 1
    nameless = """() => [...document.querySelectorAll("img, svg, button, [role=region], table")]
      .filter((one) => !(one.alt || one.getAttribute("aria-label") || one.textContent.trim()))
      .map((one) => one.outerHTML.slice(0, 80))"""
    assert opened.ask(nameless) == []
    unnamed = """() => [...document.querySelectorAll("[aria-labelledby]")].filter((one) =>
      one.getAttribute("aria-labelledby").split(" ").some((id) => !document.getElementById(id)))
      .map((one) => one.outerHTML.slice(0, 80))"""
    assert opened.ask(unnamed) == []
    # What scrolls can be reached by keyboard.
    stuck = """() => [...document.querySelectorAll(".scroll")].filter((one) =>
      one.scrollWidth > one.clientWidth && one.tabIndex !== 0).length"""
    assert opened.ask(stuck) == 0


def test_the_first_key_leads_past_the_navigation(open_page):
    opened = open_page("full")
    opened.page.keyboard.press("Tab")
    assert opened.ask("() => document.activeElement.textContent") == "Skip to the content"
    opened.page.keyboard.press("Enter")
    assert opened.ask("() => document.activeElement.id") == "main"


def test_links_within_the_page_lead_somewhere(open_page):
    opened = open_page("full")
    lost = """() => [...document.querySelectorAll("a[href^='#']")].filter((one) =>
      !document.getElementById(one.getAttribute("href").slice(1))).length"""
    assert opened.ask(lost) == 0


def test_a_run_is_linked_from_its_comparison(open_page):
    opened = open_page("comparison")
    opened.page.get_by_role("link", name="full-fine-tuning, shots 3").click()
    assert opened.page.url.endswith("/run-0-0-0/report.html")
