"""How options name stages."""

import pytest

from tlf.plugin import Outline, PlanError, StageOutline

NAMES = ("stem", "layer1.0", "layer1.1", "layer2.0", "pool")


@pytest.fixture
def outline():
    stages = [StageOutline(name, {"weight": 1}, 1, (2,)) for name in (*NAMES, "head")]
    return Outline(tuple(stages), image_size=32)


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (["stem"], ["stem"]),
        (["pool", "stem"], ["stem", "pool"]),
        (["layer1.*"], ["layer1.0", "layer1.1"]),
        (["layer?.0"], ["layer1.0", "layer2.0"]),
        (["layer1.0..layer2.0"], ["layer1.0", "layer1.1", "layer2.0"]),
        (["..layer1.0"], ["stem", "layer1.0"]),
        (["layer2.0.."], ["layer2.0", "pool"]),
        ([".."], list(NAMES)),
        (["*"], list(NAMES)),
        (["*", "stem"], list(NAMES)),
        ([], []),
    ],
)
def test_names_ranges_and_patterns_mean_stages_of_the_backbone_in_its_order(
    outline, patterns, wanted
):
    assert [stage.name for stage in outline.select(patterns)] == wanted


@pytest.mark.parametrize(
    ("patterns", "message", "hint"),
    [
        (["layr1.0"], "`layr1.0` is no stage of this network", "did you mean `layer1.0`?"),
        (["head"], "`head` is no stage", "its stages are `stem`, `layer1.0`"),
        (["zzz*"], "`zzz*` matches no stage of this network", "its stages are `stem`"),
        (["stem..pol"], "`pol` is no stage", "did you mean `pool`?"),
        (["pool..stem"], "`stem` comes before `pool`", "write it as `stem..pool`"),
    ],
)
def test_what_means_no_stage_is_refused_with_the_nearest_that_does(
    outline, patterns, message, hint
):
    with pytest.raises(PlanError) as caught:
        outline.select(["stem", *patterns], option="stages")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.option == "stages[1]"


def test_many_stages_are_not_all_listed():
    stages = [StageOutline(f"s{i}", {"weight": 1}, 1, (2,)) for i in range(30)]
    with pytest.raises(PlanError) as caught:
        Outline((*stages, stages[0]), image_size=32).select(["x"])
    assert caught.value.hint.endswith("and 18 more")
