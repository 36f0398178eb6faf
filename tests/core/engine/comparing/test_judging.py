"""What is said of the runs of a comparison."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tlf.engine.comparing.advice import advise, advise_on_labels
from tlf.engine.comparing.cells import Cell
from tlf.engine.comparing.grid import Axis, Grid, Variant
from tlf.engine.comparing.judging import ONE_SEED, Results
from tlf.engine.metrics import accuracy_interval
from tlf.spec import RawSpec, RunSpec

RAW = RawSpec({}, Path(), None, "{}")
SPEC = RunSpec(data={"name": "x"}, backbone={"name": "x/y"})


def results(outcomes, *, seconds=None, shots=None, seeds=None):
    """Results of made-up runs.

    Args:
        outcomes: By row name, or by row name and shots, what was right: `(S, N)`.
        seconds: Of each row by name.
        shots: Numbers of a learning curve.
    """
    names = list(dict.fromkeys(key[0] if shots else key for key in outcomes))
    count = seeds or len(next(iter(outcomes.values())))
    axes = [Axis("strategy", tuple(names))]
    groups = ("",)
    if shots:
        axes.append(Axis("data.options.shots", tuple(shots)))
        groups = tuple(f"shots {number}" for number in shots)
    variants = [
        Variant(name, group, {"strategy": name}, RAW, SPEC)
        for group in range(len(groups))
        for name in names
    ]
    found = Results(Grid(tuple(axes), groups, tuple(variants), tuple(range(count))))
    for index, variant in enumerate(variants):
        key = (variant.name, shots[variant.group]) if shots else variant.name
        for seed, row in enumerate(outcomes.get(key, ())):
            spent = (seconds or {}).get(variant.name, 1.0)
            cell = Cell(
                index,
                seed,
                f"{index}-{seed}",
                metrics={"accuracy": float(np.mean(row)), "loss": 0.5},
                total_seconds=spent,
                images_through_backbone=100,
                images_measured=len(row),
                peak_memory_bytes=seed,
                trainable_parameters=10,
            )
            found.add(cell, {f"{number}.png": bool(right) for number, right in enumerate(row)})
    return found


def rows(found):
    return found.rows(found.differences())


def right(share, count=200, seeds=3, start=0):
    """Outcomes of which a share is right, a few of them by seed."""
    row = np.zeros((seeds, count))
    row[:, : round(share * count)] = 1
    for seed in range(seeds):
        row[seed, start + seed] = 0
    return row


def test_a_row_holds_means_over_its_seeds():
    (row,) = rows(results({"a": right(0.9)}))
    assert row.accuracy == pytest.approx((180 - 1) / 200)
    assert row.interval[0] < row.accuracy < row.interval[1]
    assert row.metrics == {"accuracy": pytest.approx(179 / 200), "loss": 0.5}
    assert (row.seeds, row.failed, row.not_run, row.rank) == ((0, 1, 2), 0, 0, 1)
    assert (row.seconds, row.images_through_backbone, row.peak_memory_bytes) == (1.0, 100, 2)


@pytest.mark.parametrize("outcomes", [right(0.9, seeds=1), np.ones((3, 40)), np.zeros((2, 40))])
def test_where_seeds_say_nothing_the_interval_is_wilsons_over_the_images(outcomes):
    (row,) = rows(results({"a": outcomes}))
    assert row.interval == accuracy_interval(outcomes.mean(), outcomes.shape[1])


def test_an_interval_stays_between_0_and_1():
    outcomes = np.ones((3, 20))
    outcomes[0, 0] = 0
    (row,) = rows(results({"a": outcomes}))
    assert 0 < row.interval[0] < row.interval[1] <= 1


def test_a_difference_is_that_of_the_same_images_with_the_same_seeds():
    first, second = right(0.9, seeds=1), right(0.8, seeds=1)
    (found,) = results({"a": first, "b": second}).differences()
    wanted = stats.ttest_rel(first[0], second[0])
    assert found.difference == pytest.approx(0.1)
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert found.interval == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert found.better_and_worse() == ("a", "b")


def test_rows_that_cannot_be_told_apart_share_a_rank():
    found = results({"low": right(0.5), "same": right(0.9, start=3), "high": right(0.9)})
    assert {row.name: row.rank for row in rows(found)} == {"low": 3, "same": 1, "high": 1}


def test_a_pair_is_compared_on_the_seeds_that_both_have():
    found = results({"a": right(0.9), "b": right(0.7)[:2]}, seeds=3)
    (difference,) = found.differences()
    alone = results({"a": right(0.9)[:2], "b": right(0.7)[:2]})
    assert difference == alone.differences()[0]
    assert [row.not_run for row in rows(found)] == [0, 1]
    assert any("1 of 6 runs are not there yet" in note for note in found.notes())


def test_a_row_whose_runs_have_failed_has_no_rank():
    found = results({"a": right(0.9), "b": right(0.9)[:0]})
    found.add(Cell(1, 0, error="too large"), None)
    good, failed = rows(found)
    assert (good.rank, failed.rank, failed.accuracy, failed.failed) == (1, None, None, 1)
    assert found.differences() == []


def test_rows_that_were_measured_on_other_images_are_not_compared():
    found = results({"a": right(0.9), "b": right(0.9, count=100)})
    assert found.differences() == []
    assert [row.rank for row in rows(found)] == [None, None]
    assert any("not all rows were measured on the same images" in note for note in found.notes())


def test_a_run_on_other_images_than_the_first_of_its_row_is_left_out():
    found = results({"a": right(0.9), "b": right(0.8)}, seeds=4)
    for variant, share in enumerate((0.9, 0.8)):
        more = right(share, count=204, seeds=1)[0]
        cell = Cell(variant, 3, "more", metrics={"accuracy": share}, total_seconds=1.0)
        found.add(cell, {f"{number}.png": bool(one) for number, one in enumerate(more)})
    alone = results({"a": right(0.9), "b": right(0.8)})
    assert found.differences() == alone.differences()
    assert [row.seeds for row in rows(found)] == [(0, 1, 2)] * 2
    assert any("2 of 8 runs were measured on other images" in note for note in found.notes())


def test_rows_without_a_run_in_common_are_said_to_have_none():
    """Of three rows, two have different seeds so far: one failed, or several were run at once."""
    found = results({"a": right(0.9, seeds=2), "b": right(0.9)[:0], "c": right(0.8)[:1]}, seeds=2)
    row = right(0.95)[0]
    cell = Cell(1, 1, "b", metrics={"accuracy": 0.95}, total_seconds=1.0)
    found.add(cell, {f"{number}.png": bool(one) for number, one in enumerate(row)})
    pairs = {(one.first, one.second) for one in found.differences()}
    assert pairs == {("a", "b"), ("a", "c")}
    assert advise(rows(found), found.differences(), 200)
    lonely = [row for row in rows(found) if row.name != "a"]
    without = [one for one in found.differences() if {one.first, one.second} == {"b", "c"}]
    assert without == []
    assert "have no run with the same seed and images" in advise(lonely, without, 200)


def test_where_two_are_right_about_the_same_images_there_is_room_for_a_difference():
    (found,) = results({"a": np.ones((3, 40)), "b": np.ones((3, 40))}).differences()
    room = 1 - 0.05 ** (1 / 40)
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.interval == pytest.approx((-room, room))


def test_two_images_show_nothing_however_they_differ():
    (found,) = results({"a": np.ones((1, 2)), "b": np.zeros((1, 2))}).differences()
    assert (found.difference, found.p_value, found.is_real) == (1.0, 0.5, False)
    (found,) = results({"a": np.ones((1, 8)), "b": np.zeros((1, 8))}).differences()
    assert found.p_value == pytest.approx(2 ** (1 - 8))


def test_only_numbers_of_labels_make_a_learning_curve():
    outcomes = {("a", 5): right(0.6), ("a", 10): right(0.8)}
    found = results(outcomes, shots=(5, 10))
    assert found.learning_axis().label == "shots"
    other = Axis("data.options.shots_seed", (5, 10))
    found.grid = replace(found.grid, axes=(found.grid.axes[0], other))
    assert found.learning_axis() is None
    assert found.gains() == []


def test_a_single_seed_is_said_to_be_one():
    assert ONE_SEED in list(results({"a": right(0.9, seeds=1)}).notes())
    assert ONE_SEED not in list(results({"a": right(0.9)}).notes())


def test_a_learning_curve_is_a_row_beside_itself_with_fewer_labels():
    outcomes = {("a", 20): right(0.9), ("a", 5): right(0.6), ("a", 10): right(0.8)}
    found = results(outcomes, shots=(20, 5, 10)).gains()
    assert [(one.before, one.after) for one in found] == [("5", "10"), ("10", "20")]
    assert [one.difference for one in found] == pytest.approx([0.2, 0.1])
    assert all(one.is_real for one in found)


def told(outcomes, **more):
    found = results(outcomes, **more)
    images = next(iter(outcomes.values())).shape[1]
    return advise(rows(found), found.differences(), images)


def test_of_two_that_are_equally_good_the_cheaper_one_is_named_and_what_cannot_be_seen():
    advice = told(
        {"slow": right(0.9), "quick": right(0.9, start=3)}, seconds={"slow": 90.0, "quick": 10.0}
    )
    assert advice.startswith(
        "`quick` is as good as `slow` here, as far as can be seen, and 9.0 times cheaper "
        "(10.0 s a run against 90.0 s); with these 200 images and 3 seeds a difference under "
    )
    assert advice.endswith(" points cannot be seen.")


def test_of_two_that_cost_about_the_same_that_is_said():
    advice = told({"a": right(0.9), "b": right(0.9)}, seconds={"a": 10.0, "b": 12.0})
    assert "and costs about the same" in advice


@pytest.mark.parametrize(
    ("seconds", "cost"),
    [
        ({"good": 50.0, "bad": 10.0}, "at 5.0 times the cost"),
        ({"good": 10.0, "bad": 50.0}, "and 5.0 times cheaper"),
        ({"good": 10.0, "bad": 11.0}, "at about the same cost"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_really_better_is_named_with_by_how_much_and_at_what_cost(seconds, cost, turned):
    outcomes = {"good": right(0.9), "bad": right(0.6)}
    advice = told(dict(reversed(outcomes.items())) if turned else outcomes, seconds=seconds)
    assert advice.startswith("`good` is the best here: 30.0 points (2")
    assert cost in advice


def test_what_is_better_than_some_and_not_than_all_is_not_called_the_best():
    found = results({"a": right(0.9), "b": right(0.88, start=3), "c": right(0.5)})
    differences = [replace(one, is_real=(one.first, one.second) != ("a", "c"))
                   for one in found.differences()]  # fmt: skip
    ranked = [replace(row, rank=rank) for row, rank in zip(rows(found), (1, 2, 2), strict=True)]
    advice = advise(ranked, differences, 200)
    assert "`a` is as good as `c`" in advice


def test_of_a_single_row_and_of_none_nothing_is_claimed():
    assert "only one that has finished" in told({"a": right(0.9)})
    found = results({"a": right(0.9)[:0]}, seeds=1)
    assert advise(rows(found), [], 0) == "No run has finished, so nothing can be said."
    apart = results({"a": right(0.9), "b": right(0.9, count=100)})
    assert "no run with the same seed and images" in advise(rows(apart), apart.differences(), 200)


@pytest.mark.parametrize(
    ("more", "words"), [(0.9, "More labels still pay"), (0.6, "More labels bring little")]
)
def test_whether_more_labels_pay_is_said_of_the_last_step_of_the_curve(more, words):
    found = results({("a", 5): right(0.6, start=3), ("a", 10): right(more)}, shots=(5, 10))
    most = [row for row in rows(found) if row.group == 1]
    advice = advise_on_labels(found.gains(), most, "shots")
    assert advice.startswith(f"{words}")
    assert "from 5 to 10 shots `a` gains" in advice
