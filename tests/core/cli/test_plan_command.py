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
