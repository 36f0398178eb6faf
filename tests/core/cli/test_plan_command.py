"""`tlf plan` for people."""


def test_what_a_stage_does_in_several_steps_is_a_sign_below_each_steps_number(tlf, spec_file):
    code, out, _ = tlf(
        "plan", spec_file, "--set", "strategy=gradual-unfreezing", "--set", "training.epochs=4"
    )
    assert code == 0
    lines = out.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("stage "))
    rows = lines[start + 2 : lines.index("", start)]
    first = lines[start].index("steps ") + len("steps ")
    signs = ["".join(row.ljust(80)[first : first + 8 : 2]) for row in rows]
    assert (signs[0], signs[-2], signs[-1]) == ("...+", ".+++", "****")
    assert set(signs) == {"...+", "..++", ".+++", "****"}
    assert ". frozen, + learns in part" in out


def test_a_backbone_that_cannot_be_split_is_said_to_be_one_stage(tlf, spec_file):
    whole = '{"name": "timm/crossvit_tiny_240", "weights": "none"}'
    code, out, _ = tlf(
        "plan", spec_file, "--set", f"backbone={whole}", "--set", "transforms.options={}"
    )
    assert code == 0
    assert "The backbone cannot be split" in out
    assert "The backbone cannot be split" not in tlf("plan", spec_file)[1]


def test_what_each_step_keeps_is_said_with_its_reason(tlf, spec_file):
    settings = ("--set", "strategy=gradual-unfreezing", "--set", "training.epochs=4")
    code, out, _ = tlf("plan", spec_file, *settings)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    table = " ".join(out.partition("keeps")[2].split())
    for step in ("1 head", "2 thaw-1", "3 thaw-2", "4 thaw-3"):
        assert step in table
    _, off, _ = tlf("plan", spec_file, *settings, "--set", "cache.mode=off")
    assert off.count("nothing: ") == 4
    assert "`cache.mode` is `off`" in " ".join(off.split())


def test_what_the_run_picks_and_averages_and_what_it_may_undo_is_said(tlf, spec_file):
    _, out, _ = tlf("plan", spec_file, "--set", "strategy=surgical")
    words = " ".join(out.split())
    assert "? learns if the run picks it" in words
    assert "Step chosen picks 3 stages, by relative-gradient-norm." in words
    assert "at most" in words
    _, out, _ = tlf("plan", spec_file, "--set", "strategy=robust")
    words = " ".join(out.split())
    assert "Step mix averages probe, all: the second's share is one of 0, 0.2, 0.4" in words
    assert "what is chosen is chosen on selection" in words
    assert "selection images" in words
    options = '{"name": "gradual-unfreezing", "options": {"advance": "on-plateau"}}'
    _, out, _ = tlf("plan", spec_file, "--set", f"strategy={options}")
    words = " ".join(out.split())
    assert "Step head ends after 1 epoch without a gain, and is undone if there was none." in words
    assert "best epoch of each step" in words
    assert max(map(len, out.splitlines())) <= 80
