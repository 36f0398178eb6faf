"""The rules of what a step may ask for beside what it trains, each broken one a sentence."""

import pytest

from tlf.planning import check_steps
from tlf.plugin import HEAD, Budget, Combine, Plateau, Solve, TopStages, Train


def trained(name="s", *trainable, epochs=3, **more):
    return Train(name=name, trainable=trainable or (HEAD,), epochs=epochs, **more)


def picking(count=1, among=("stem", "top"), **more):
    return trained("s", TopStages(count=count, among=among, **more), HEAD)


def after_two(**combine):
    """Two steps of one and two epochs, and an average."""
    combined = {"snapshots": ("a", "b"), **combine}
    first = [trained("a", epochs=1), trained("b", epochs=2)]
    return [*first, Combine(name="mix", **combined)]


def after_three(**combine):
    first = [trained(name, epochs=1) for name in "abc"]
    return [*first, Combine(name="mix", snapshots=("a", "b", "c"), **combine)]


@pytest.mark.parametrize(
    "steps",
    [
        [trained(until=Plateau(patience=2), on_no_gain="undo", pull=3)],
        [picking(count=100)],
        [picking(among=["top:bias"])],
        after_two(),
        after_two(weights=[0, 0.5, 1]),
        after_two(weights="greedy"),
        after_three(weights="greedy"),
        [trained("a", epochs=1), trained("b", epochs=2, begin="a")],
        [trained("a", epochs=1), trained("b", epochs=2, begin="a", until=Plateau())],
        [Solve(name="a"), trained("b", begin="a")],
        [Solve(name="a"), trained("b"), Combine(name="c", snapshots=("b", "a"))],
        [trained("a", epochs=1, until=Plateau()), trained("b", epochs=2)],
        [
            trained("a", epochs=1, until=Plateau()),
            trained("b", epochs=1),
            trained("c", epochs=1, begin="a"),
        ],
    ],
)
def test_a_plan_that_keeps_the_rules_has_no_problem(outline, steps):
    assert list(check_steps(steps, outline, Budget(3))) == []


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([trained(until=2)], "step 1 lasts until `2`, which is no `Plateau`"),
        ([trained(until="plateau")], "step 1 lasts until `'plateau'`, which is no `Plateau`"),
        *(
            (
                [trained(until=Plateau(patience=bad))],
                f"step 1 has the patience `{bad!r}`; there must",
            )
            for bad in (0, -1, 1.0, True, "2", None)
        ),
        *(
            (
                [trained(on_no_gain=bad)],
                f"step 1 has `{bad!r}` on no gain; there are `keep` and `undo`",
            )
            for bad in ("stop", None, True)
        ),
        *(
            (
                [trained(pull=bad)],
                f"step 1 has the pull `{bad!r}`; it must be finite and at least 0",
            )
            for bad in (-0.1, float("nan"), float("inf"), True, "strong", None)
        ),
        ([trained(begin=3)], "step 1 begins from `3`, which is no name"),
        ([trained(begin=["a"])], "step 1 begins from `['a']`, which is no name"),
        ([trained(begin="before")], "step 1 begins from `before`, which is no step before it"),
        ([trained(begin="s")], "step 1 begins from `s`, which is no step before it"),
        (
            [trained("a", epochs=1, begin="b"), trained("b", epochs=2)],
            "step 1 begins from `b`, which is no step before it",
        ),
        (
            [trained("s", *(TopStages(count=1, among=(name,)) for name in ("stem", "top")))],
            "step 1 has more than one selector",
        ),
        (
            [trained("s", TopStages(count=1, among=("stem", "top")), "top", HEAD)],
            "step 1 trains `top:weight` and lets its selector pick it",
        ),
        *(
            ([picking(count=bad)], f"step 1 selects `{bad!r}` stages; there must be a whole number")
            for bad in (0, -1, 1.0, True, None)
        ),
        (
            [picking(by="size")],
            "step 1 selects by `'size'`; there is `relative-gradient-norm`",
        ),
        ([picking(among=("tip",))], "step 1 names `tip`, which is no stage or group"),
        ([picking(among="top")], "step 1 names `'top'`, which is no stage or group"),
        ([picking(among=None)], "step 1 names `None`, which is no stage or group"),
        ([picking(among=(3,))], "step 1 names `(3,)`, which is no stage or group"),
        ([picking(among=("top", HEAD))], "step 1 selects among stages with the head"),
        ([picking(among=("head:bias",))], "step 1 selects among stages with the head"),
        ([trained("s", TopStages(count=1, among=("pool",)))], "step 1 trains nothing"),
        ([trained("s", TopStages(count=1, among=()))], "step 1 trains nothing"),
        (
            [trained("s", HEAD, rates={"top": 0.5})],
            "step 1 gives a rate to `top`, which does not train in it",
        ),
        (after_two(snapshots=("a", "z")), "step 3 combines `z`, which is no step before it"),
        (after_two(snapshots=("a", "mix")), "step 3 combines `mix`, which is no step before it"),
        (
            [Combine(name="mix", snapshots=("a", "b")), trained("a", epochs=3)],
            "step 1 combines `a`, which is no step before it",
        ),
        (after_two(snapshots=()), "step 3 combines `()`; at least two different steps are needed"),
        (after_two(snapshots=("a",)), "step 3 combines `('a',)`; at least two different steps"),
        (after_two(snapshots=("a", "a")), "step 3 combines `('a', 'a')`; at least two different"),
        (after_two(snapshots=("a", "b", "a")), "('a', 'b', 'a')`; at least two different steps"),
        (after_two(snapshots="ab"), "step 3 combines `'ab'`, which is no tuple of names"),
        (after_two(snapshots=(1, 2)), "step 3 combines `(1, 2)`, which is no tuple of names"),
        (after_two(snapshots=None), "step 3 combines `None`, which is no tuple of names"),
        *(
            (after_two(weights=bad), f"step 3 combines by `{bad!r}`; there are `uniform`, `greedy`")
            for bad in ("median", (), 0.5, None)
        ),
        *(
            (after_two(weights=(0.5, bad)), f"step 3 has the share `{bad}`; it must lie between")
            for bad in (-0.1, 1.5, float("nan"), True, "half")
        ),
        (after_three(weights=(0.5,)), "step 4 has shares for two snapshots, and combines 3"),
        ([Combine(name="", snapshots=("a", "b"))], "step 1 is called `''`, which is no text"),
        (
            [*after_two(), Combine(name="mix", snapshots=("a", "b"))],
            "step 4 is called `mix`, as one before it is",
        ),
        (
            [
                trained("a", epochs=1),
                trained("b", epochs=1, until=Plateau()),
                Combine(name="mix", snapshots=("a", "b")),
                trained("c", epochs=1, begin="a"),
            ],
            "`b` may end early, and `c`, which begins elsewhere, cannot take the epochs",
        ),
    ],
)
def test_a_plan_that_breaks_a_rule_is_told_so_in_a_sentence(outline, steps, sentence):
    problems = list(check_steps(steps, outline, Budget(3)))
    assert any(sentence in problem for problem in problems), problems
