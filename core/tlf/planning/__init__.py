"""From a valid spec to a resolved plan. Pure: no torch, no files, no clock."""

from tlf.planning.planner import PlannedStep, RunPlan, check_steps, plan_steps
from tlf.planning.schedule import rate_factor

__all__ = ["PlannedStep", "RunPlan", "check_steps", "plan_steps", "rate_factor"]
