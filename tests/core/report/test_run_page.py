"""The page of a run: what it shows, what it leaves out, and what it must not do."""

import json
import re
import subprocess
import sys
import threading
from itertools import pairwise

import matplotlib as mpl
import pytest

from tests.core.report import made
from tests.core.report.parsed import headings, parse, table
from tlf.errors import OutputError
from tlf.report import run_page


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return run_page(made.run_folder(tmp_path_factory.mktemp("full")))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = made.run_folder(tmp_path_factory.mktemp("hostile"), classes=made.HOSTILE, never=1)
    return run_page(folder)


def test_a_full_page_has_every_section(full):
    assert headings(parse(full)) == [
        "Result", "Training", "What learned", "Classes", "Calibration", "Mistakes", "Embedding",
        "Data", "Do it again",
    ]  # fmt: skip


def test_the_result_is_said_in_one_sentence(full):
    lead = next(node for node in parse(full).all("p") if node["class"] == "lead")
    assert lead.text == (
        "95.4% of 90 validation images are classified correctly (95% interval 90.9% to 97.8%)."
    )


def test_the_result_has_what_one_needs_to_judge_it(full):
    facts = dict(table(parse(full), "What was measured"))
    assert facts["Measured on"] == "90 images of validation"
    assert facts["Weights from"] == "last epoch"
    assert facts["Time"] == "1 min 38 s"
    assert facts["Peak memory"] == "1.2 GB"


def test_the_same_files_give_the_same_bytes(full, tmp_path):
    made.run_folder(tmp_path / "again")
    script = (
        "import sys; from pathlib import Path; from tlf.report import run_page;"
        "sys.stdout.buffer.write(run_page(Path(sys.argv[1])).encode())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "again")]
    # Another process has other hashes and addresses.
    done = subprocess.run(command, check=True, capture_output=True)
    assert done.stdout.decode() == full


def test_a_users_own_settings_of_matplotlib_change_nothing_and_stay(full, tmp_path):
    folder = made.run_folder(tmp_path)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert run_page(folder) == full
        assert mpl.rcParams["font.size"] == 30


def test_torch_is_not_imported_for_a_page(tmp_path):
    folder = made.run_folder(tmp_path)
    script = (
        "import sys; from pathlib import Path; from tlf.report import run_page;"
        "run_page(Path(sys.argv[1]));"
        "bad = {'torch', 'matplotlib.pyplot', 'tlf.engine'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True)


def test_a_page_can_be_made_in_a_thread(tmp_path):
    folder, pages = made.run_folder(tmp_path, full=False), []
    thread = threading.Thread(target=lambda: pages.append(run_page(folder)))
    thread.start()
    thread.join()
    assert "</html>" in pages[0]


def test_without_an_analysis_its_sections_are_left_out_and_the_command_is_named(tmp_path):
    root = parse(run_page(made.run_folder(tmp_path, full=False)))
    assert headings(root) == [
        "Result", "Training", "What learned", "Classes", "Calibration", "Data", "Do it again",
    ]  # fmt: skip
    assert any(node.text == "tlf report RUN" for node in root.all("code"))


def test_what_has_changed_since_the_run_is_said(tmp_path):
    folder = made.run_folder(tmp_path)
    analysis = json.loads((folder / "analysis.json").read_text())
    analysis["disagreements"] = 2
    analysis["mistakes"][0]["largest_change"] = 0.43
    environment = json.loads((folder / "environment.json").read_text())
    made.write_json(folder, analysis=analysis, environment={**environment, "folder": "/a/place"})
    page = run_page(folder)
    assert "2 images are classified otherwise now than in the run." in page
    assert "covering changes up to 43.0%" in page
    assert "Save the spec in <code>/a/place</code>" in page


def test_a_report_alone_is_enough(tmp_path):
    report = made.report_of()
    for key in ("steps", "cache", "timings", "images", "skipped", "accuracy_interval", "strategy"):
        del report[key]
    made.write_json(tmp_path, report=report)
    root = parse(run_page(tmp_path))
    assert headings(root) == ["Result"]
    assert not list(root.all("nav"))


def test_values_that_are_null_are_left_out(tmp_path):
    report = dict.fromkeys(made.report_of()) | {"name": "x", "classification": None}
    made.write_json(tmp_path, report=report, analysis=dict.fromkeys(made.analysis_of("ab")))
    assert "None" not in run_page(tmp_path)


def test_keys_that_are_not_known_yet_do_no_harm(tmp_path):
    folder = made.run_folder(tmp_path)
    report = json.loads((folder / "report.json").read_text())
    made.write_json(folder, report={**report, "schema_version": 99, "later": {"a": [1]}})
    assert "95.4% of 90" in run_page(folder)


def test_no_report_is_an_error_with_a_hint(tmp_path):
    with pytest.raises(OutputError, match=r"there is no `report\.json`") as caught:
        run_page(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_damaged_report_is_an_error(tmp_path, text):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(OutputError, match="cannot be read"):
        run_page(tmp_path)


def test_another_file_that_is_damaged_is_named_on_the_page(tmp_path):
    folder = made.run_folder(tmp_path)
    (folder / "analysis.json").write_text("{")
    (folder / "plan.json").write_bytes(b"\xff\xfe")
    root = parse(run_page(folder))
    notes = [node.text for node in root.all("p") if node["class"] == "note"]
    assert [note.split()[0] for note in notes] == ["plan.json", "analysis.json"]


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path, full):
    folder = made.run_folder(tmp_path)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 7, "tra')
    assert run_page(folder) == full


def test_one_epoch_is_no_curve(tmp_path):
    folder = made.run_folder(tmp_path, full=False)
    made.write_lines(folder / "metrics.jsonl", made.metrics_lines(1, ("head",)))
    assert "curve-loss" not in run_page(folder)


def test_two_epochs_are_a_curve_that_says_in_words_what_is_to_be_seen(tmp_path):
    folder = made.run_folder(tmp_path, full=False)
    made.write_lines(folder / "metrics.jsonl", made.metrics_lines(2, ("head",)))
    words = [node.text for node in parse(run_page(folder)).all("desc")]
    assert "validation: 65.4% after epoch 1, 77.2% after epoch 2." in words


def test_a_step_without_epochs_has_its_own_mark(tmp_path):
    folder = made.run_folder(tmp_path, full=False)
    solved = {"epoch": 2, "step": "solve", "validation": {"accuracy": 0.9, "loss": 0.2}}
    made.write_lines(folder / "metrics.jsonl", [*made.metrics_lines(2, ("head",)), solved])
    assert "after a step without epochs" in run_page(folder)


def test_what_learned_when_is_a_row_of_stages_that_are_alike(full):
    assert table(parse(full), "What learns in which step") == [
        ["Stage", "Parameters", "head", "thaw-1"],
        ["stem to layer12 stages", "3,032", "frozen", "frozen"],
        ["layer2", "3,016", "frozen", "norm"],
        ["layer3", "4,016", "frozen", "all"],
        ["head", "2,562", "all", "all"],
    ]


def test_a_frozen_stage_has_moved_by_nothing_and_that_is_said(full):
    rows = table(parse(full), "How far each stage moved")
    assert rows[1] == ["stem to layer12 stages", "3,032", "0 (frozen)", "in no step"]
    assert rows[2] == ["layer2", "3,016", "0.40%", "thaw-1"]


def test_seconds_are_predicted_and_measured_side_by_side(full):
    root = parse(full)
    assert table(root, "Images through what is frozen")[1:] == [
        ["Predicted, if nothing were kept", "45.4 s"],
        ["Predicted", "25.3 s"],
        ["Measured", "27.9 s"],
    ]
    first = table(root, "Seconds of each step")[1]
    assert first[:5] == ["1. head", "0.53 s", "0.60 s", "0.30 s", "0.00 s"]
    assert first[7].startswith("pooled features")


def test_few_classes_have_a_confusion_matrix(full):
    assert table(parse(full), "Confusion matrix") == [
        ["Label", "ants", "bees", "wasps", "Images"],
        ["ants", "9", "1", "0", "10"],
        ["bees", "0", "9", "1", "10"],
        ["wasps", "1", "0", "9", "10"],
    ]


def test_a_class_that_is_never_predicted_has_no_precision(tmp_path):
    folder = made.run_folder(tmp_path, full=False, never=1)
    assert table(parse(run_page(folder)), "Each class; –")[2] == ["bees", "10", "–", "0.0%", "0.0%"]


def test_a_thousand_classes_stay_small_and_have_pairs_instead_of_a_matrix(tmp_path):
    folder = made.run_folder(tmp_path, classes=[f"class {n}" for n in range(1000)], never=7)
    page = run_page(folder)
    root = parse(page)
    assert len(page.encode()) < 2_000_000
    assert "Confusion matrix" not in page
    pairs = table(root, "What is confused most, the first 20 of 1,000 pairs")
    assert pairs[1] == ["class 7", "class 8", "10", "100.0%"]
    # The weakest class comes first.
    assert table(root, "Each class, the weakest first")[1][0] == "class 7"


def test_two_classes_need_no_table_of_pairs(tmp_path):
    page = run_page(made.run_folder(tmp_path, classes=("ants", "bees")))
    assert "What is confused most" not in page


def test_no_mistake_is_said(tmp_path):
    folder = made.run_folder(tmp_path)
    analysis = {**made.analysis_of(("a", "b")), "mistakes": [], "correct": []}
    made.write_json(folder, analysis=analysis)
    assert "No mistake was made." in run_page(folder)


def test_what_could_not_be_done_is_told_with_its_reason(tmp_path):
    folder = made.run_folder(tmp_path)
    why = {
        "temperature": None,
        "temperature_why_not": "there is nothing to choose it on",
        "attribution": None,
        "attribution_why_not": "it was not asked for",
        "movement": None,
        "movement_why_not": "the weights are not here any more",
        "embedding": None,
    }
    made.write_json(folder, analysis={**made.analysis_of(("a", "b")), **why})
    page = run_page(folder)
    assert "No temperature: there is nothing to choose it on" in page
    assert "No attribution: it was not asked for" in page
    assert "No movement: the weights are not here any more" in page
    assert "Embedding" not in headings(parse(page))


def test_images_that_were_left_out_are_named_with_the_reason(full):
    assert table(parse(full), "What was left out")[1] == [
        "train/broken.jpg", "train", "image file is truncated",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "javascript:alert(1)",
        "https://example.org/a.png",
        "data:text/html;base64,AAAA",
        "data:image/svg+xml;base64,AAAA",
        'data:image/png;base64,AAAA" onerror="alert(1)',
        "data:image/png;base64,AAAA\n",
        7,
        None,
    ],
)
def test_only_pictures_within_the_page_become_pictures(tmp_path, source):
    folder = made.run_folder(tmp_path)
    analysis = made.analysis_of(("a", "b"), mistakes=1)
    for one in (*analysis["mistakes"], *analysis["correct"]):
        one.update(thumbnail=source, attribution=source)
    made.write_json(folder, analysis=analysis)
    assert not list(parse(run_page(folder)).all("img"))


def test_every_picture_has_words_for_those_who_do_not_see_it(full):
    root = parse(full)
    assert len(list(root.all("img"))) == 16
    assert all(image["alt"] for image in root.all("img"))
    assert all(svg["role"] == "img" and svg["aria-labelledby"] for svg in root.all("svg"))
    assert all(node.text for name in ("title", "desc") for node in root.all(name))


def test_names_show_as_they_are_and_are_no_markup(hostile):
    root = parse(hostile)
    assert all(image["src"].startswith("data:image/png;base64,") for image in root.all("img"))
    assert len(list(root.all("script"))) == 1
    assert not [node for node in root.all() for name in node.attributes if name.startswith("on")]
    shown = [row[0] for row in table(root, "Images of 6 classes")]
    assert shown[1:] == list(made.HOSTILE)


def test_names_in_charts_are_text_and_no_formulas(hostile):
    svg = "".join(node.text for node in parse(hostile).all("svg"))
    assert "日本語の名前" in svg
    assert "$\\frac{" in svg
    assert not re.search(r"Zz\d+z", svg)


def test_control_characters_and_halves_of_characters_do_not_reach_the_page(tmp_path):
    folder = made.run_folder(tmp_path, classes=("a\x00b", "c\udcff", "d\x1b[31m"))
    page = run_page(folder)
    page.encode()
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f]", page)
    assert "a\ufffdb" in page


def test_ids_are_unique_and_what_refers_to_them_finds_them(hostile):
    ids = [node["id"] for node in parse(hostile).all() if node["id"]]
    assert len(ids) == len(set(ids))
    refers = re.findall(r'(?:url\(#|href="#)([^")]+)', hostile)
    refers += " ".join(re.findall(r'aria-labelledby="([^"]+)"', hostile)).split()
    assert set(refers) <= set(ids)


def test_a_page_needs_nothing_beside_it(full):
    assert not re.search(r'(?:src|href)="(?!data:|#)', full)
    assert "@import" not in full
    assert "http://" not in full.replace("http://www.w3.org/", "")


def test_colours_follow_the_style_sheet(full):
    drawn = " ".join(re.findall(r"<svg.*?</svg>", full, re.DOTALL))
    assert "var(--ink)" in drawn
    assert not re.search(r"#[0-9a-f]{6}\b", drawn)
    assert "font-family" not in drawn


def test_tables_say_what_they_are_and_what_their_headings_head(full):
    for node in parse(full).all("table"):
        assert node.one("caption").text
        assert all(cell["scope"] in {"row", "col"} for cell in node.all("th"))


def test_headings_are_in_order(full):
    levels = [int(node.tag[1]) for node in parse(full).all() if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_no_text_of_any_file_becomes_markup(tmp_path):
    """Whatever it is the name of: a class, a file, a strategy, a plugin, a split, a step, a reason."""
    folder = made.run_folder(tmp_path)
    files = sorted(folder.glob("*.json"))
    lines = sorted(folder.glob("*.jsonl"))
    whole = [json.loads(path.read_text()) for path in files]
    records = [[json.loads(line) for line in path.read_text().splitlines()] for path in lines]
    marked = made.with_markup(*whole, *records)
    for path, value in zip(files, marked, strict=False):
        path.write_text(json.dumps(value))
    for path, values in zip(lines, marked[len(files) :], strict=True):
        made.write_lines(path, values)
    page = run_page(folder)
    root = parse(page)
    assert len(list(root.all("script"))) == 1
    assert all(image["src"].startswith("data:image/png;base64,") for image in root.all("img"))
    assert not [node for node in root.all() for name in node.attributes if name.startswith("on")]
    assert page.count("onerror=alert(1)") > 50
