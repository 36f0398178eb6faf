"""Heads that are solved for on frozen features, with no gradient steps through the network."""

from tlf.engine.solve.blocks import Blocks
from tlf.engine.solve.logistic import LinearFit, fit_logistic, path
from tlf.engine.solve.neighbours import KnnHead
from tlf.engine.solve.selection import (
    Candidate,
    choose_k,
    choose_strength,
    hold_out,
    hold_out_items,
)
from tlf.engine.solve.solve import KS, STRENGTHS, solve_logistic, solve_neighbours

__all__ = [
    "KS",
    "STRENGTHS",
    "Blocks",
    "Candidate",
    "KnnHead",
    "LinearFit",
    "choose_k",
    "choose_strength",
    "fit_logistic",
    "hold_out",
    "hold_out_items",
    "path",
    "solve_logistic",
    "solve_neighbours",
]
