"""From a valid spec to a resolved plan. Pure: no torch, no files, no clock."""

from tlf.planning.caching import AHEAD_VIEWS, Costs, StepCache, Usage, decide_cache
from tlf.planning.planner import (
    PlannedStep,
    RunPlan,
    plan_steps,
    with_stopping,
    with_trainable,
)
from tlf.planning.rules import check_steps
from tlf.planning.schedule import rate_factor

__all__ = [
    "AHEAD_VIEWS",
    "Costs",
    "PlannedStep",
    "RunPlan",
    "StepCache",
    "Usage",
    "check_steps",
    "decide_cache",
    "plan_steps",
    "rate_factor",
    "with_stopping",
    "with_trainable",
]
