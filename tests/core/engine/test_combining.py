import pytest

from tlf.engine.choosing import Score
from tlf.engine.combining import choose_shares
from tlf.planning import plan_steps
from tlf.plugin import HEAD, Budget, Combine, Outline, StageOutline, Train

OUTLINE = Outline(
    (StageOutline("body", {"weight": 3}, 1, (2,)), StageOutline(HEAD, {"weight": 2}, 1, (2,))), 8
)


def combining(weights, names="abc"):
    """Return the planned average of some steps."""
    before = [Train(name=name, trainable=(HEAD,), epochs=1) for name in names]
    step = Combine(name="mix", snapshots=tuple(names), weights=weights)
    return plan_steps((*before, step), OUTLINE, Budget(len(names)), 1.0)[-1]


def never(shares):
    raise AssertionError(f"there is nothing to choose, and {shares} was tried")


class Scoring:
    """Scores by which snapshots have a share: accuracy, then gain. Notes what it is asked."""

    def __init__(self, scores):
        self.scores = scores
        self.asked = []

    def __call__(self, shares):
        self.asked.append(list(shares))
        name = "".join(one for one, share in zip("abcd", shares, strict=False) if share)
        return Score(*self.scores[name])


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefg"])
def test_all_count_alike_without_a_look_at_any_image(names):
    shares, told = choose_shares(combining("uniform", names), never)
    assert shares == [1 / len(names)] * len(names)
    assert told == {"snapshots": list(names), "shares": shares, "tried": []}


@pytest.mark.parametrize("grid", [(0.3,), (0.3, 0.3), (0,), (1.0,)])
def test_a_single_share_is_taken_as_it_is(grid):
    shares, told = choose_shares(combining(grid, "ab"), never)
    assert shares == [1 - grid[0], grid[0]]
    assert told["tried"] == []


def test_the_best_of_several_shares_is_chosen_and_of_equal_ones_the_smallest():
    def score(shares):
        assert sum(shares) == pytest.approx(1)
        return Score({0.0: 0.5, 0.2: 0.8, 0.6: 0.8, 1.0: 0.7}[shares[1]], -0.5)

    shares, told = choose_shares(combining((1.0, 0.6, 0.2, 0.0, 0.6), "ab"), score)
    assert shares == [0.8, 0.2]
    assert [one["shares"][1] for one in told["tried"]] == [0.0, 0.2, 0.6, 1.0]
    assert [one["accuracy"] for one in told["tried"]] == [0.5, 0.8, 0.8, 0.7]
    assert {one["loss"] for one in told["tried"]} == {0.5}
    assert told["shares"] == shares


def test_of_shares_with_as_many_images_right_the_lower_loss_is_chosen():
    shares, _ = choose_shares(combining((0.0, 0.5, 1.0), "ab"), lambda s: Score(0.9, s[1]))
    assert shares == [0.0, 1.0]


def recipe_1(names, accuracy_of):
    """Wortsman et al., 2022, recipe 1: begin with nothing, and keep what does not lower accuracy."""
    ingredients = []
    for name in sorted(names, key=accuracy_of, reverse=True):
        if accuracy_of("".join(sorted([*ingredients, name]))) >= (
            accuracy_of("".join(sorted(ingredients))) if ingredients else 0
        ):
            ingredients.append(name)
    return sorted(ingredients)


def test_a_greedy_soup_leaves_out_what_makes_fewer_images_right():
    accuracies = {"a": 0.80, "b": 0.90, "c": 0.85, "d": 0.70}
    accuracies |= {"bc": 0.88, "ab": 0.90, "abd": 0.95}
    scoring = Scoring({name: (accuracy, -0.1) for name, accuracy in accuracies.items()})
    shares, told = choose_shares(combining("greedy", "abcd"), scoring)
    # By accuracy: b, then c, which is rejected, then a, which does no harm, then d, which helps.
    third = 1 / 3
    assert shares == [third, third, 0.0, third]
    assert recipe_1("abcd", accuracies.__getitem__) == ["a", "b", "d"]
    alone = [[float(i == j) for j in range(4)] for i in range(4)]
    soups = [[0.0, 0.5, 0.5, 0.0], [0.5, 0.5, 0.0, 0.0], [third, third, 0.0, third]]
    assert scoring.asked == [one["shares"] for one in told["tried"]] == alone + soups


def test_of_soups_with_as_many_images_right_the_loss_says_nothing():
    scores = {"a": (0.9, -0.1), "b": (0.8, -0.1), "c": (0.7, -0.1), "ab": (0.9, -5.0)}
    scores |= {"abc": (0.9, -9.0)}
    assert choose_shares(combining("greedy"), Scoring(scores))[0] == [1 / 3] * 3


def test_each_soup_has_to_be_as_good_as_the_one_before_and_not_as_the_best_alone():
    scores = {
        "a": (0.8, 0.0),
        "b": (0.7, 0.0),
        "c": (0.6, 0.0),
        "ab": (0.9, 0.0),
        "abc": (0.85, 0.0),
    }
    assert choose_shares(combining("greedy"), Scoring(scores))[0] == [0.5, 0.5, 0.0]


def test_a_soup_begins_with_the_best_alone_and_of_equal_ones_with_the_lower_loss():
    scores = {"a": (0.8, -0.9), "b": (0.8, -0.2), "ab": (0.5, 0.0)}
    assert choose_shares(combining("greedy", "ab"), Scoring(scores))[0] == [0.0, 1.0]
