import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tlf.engine.solve.selection import Candidate, choose_k, choose_strength, hold_out


@given(
    st.lists(st.integers(0, 5), max_size=60),
    st.floats(0, 1),
    st.integers(0, 2**63 - 1),
)
def test_every_class_is_on_both_sides_where_it_can_be(labels, share, seed):
    fit, selection = hold_out(labels, share=share, seed=seed)
    assert sorted([*fit.tolist(), *selection.tolist()]) == list(range(len(labels)))
    assert fit.tolist() == sorted(fit.tolist())
    assert selection.tolist() == sorted(selection.tolist())
    for label in set(labels):
        held = sum(labels[index] == label for index in selection.tolist())
        count = labels.count(label)
        assert held <= count - 1
        assert held >= (count > 1 and share > 0)
        assert abs(held - share * count) <= 1


def test_a_fifth_of_each_class_is_held_out():
    labels = torch.tensor([0] * 50 + [1] * 10 + [2])
    fit, selection = hold_out(labels, seed=0)
    assert labels[selection].bincount(minlength=3).tolist() == [10, 2, 0]
    assert labels[fit].bincount(minlength=3).tolist() == [40, 8, 1]
    assert fit.dtype == selection.dtype == torch.int64


def test_nothing_is_held_out_for_a_share_of_0():
    fit, selection = hold_out([0, 0, 1, 1], share=0.0, seed=0)
    assert fit.tolist() == [0, 1, 2, 3]
    assert selection.tolist() == []


def test_the_seed_decides_and_the_global_generator_does_not():
    labels = [0, 1] * 50
    state = torch.get_rng_state()
    first = hold_out(labels, seed=3)[1]
    assert torch.get_rng_state().equal(state)
    assert hold_out(labels, seed=3)[1].equal(first)
    assert not hold_out(labels, seed=4)[1].equal(first)


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ({10.0: 0.9, 1.0: 0.5, 0.1: 0.7}, 1.0),
        ({0.1: 0.5, 10.0: 0.5 + 4e-7, 1.0: 0.5 + 1e-7}, 10.0),
        ({10.0: 0.5 + 1e-6, 1.0: 0.5}, 1.0),
        ({10.0: 0.0, 1.0: 0.0}, 10.0),
    ],
)
def test_the_strength_with_the_lowest_loss_is_chosen_or_the_strongest_of_those(losses, chosen):
    candidates = [Candidate(value, loss, 0.5) for value, loss in losses.items()]
    assert choose_strength(candidates).value == chosen


def test_accuracy_does_not_choose_a_strength():
    assert choose_strength([Candidate(1.0, 0.5, 0.9), Candidate(0.1, 0.4, 0.8)]).value == 0.1


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([Candidate(1, 3.0, 0.9), Candidate(5, 0.1, 0.8)], 1),
        ([Candidate(1, 3.0, 0.9), Candidate(5, 0.2, 0.9), Candidate(20, 0.3, 0.9)], 5),
        ([Candidate(20, 0.3, 0.9), Candidate(5, 0.3, 0.9), Candidate(50, 0.1, 0.8)], 20),
    ],
)
def test_k_is_chosen_by_accuracy_then_by_loss_then_the_larger_one(candidates, chosen):
    assert choose_k(candidates).value == chosen
