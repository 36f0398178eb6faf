"""The contract kit: the tests that every plugin must pass, tlf's own and everybody else's.

An author of a plugin writes three lines in a test file:

    from tlf.testing import PluginContract

    class TestContract(PluginContract):
        plugin = "acme"

Each promise is one plain function `check_…` that raises `ContractError` with a sentence saying what
to change, so the checks also run without pytest. `toy_run` carries out a whole run on a network of
about a thousand parameters, which is among the toys in `tlf.testing.toys`.
"""

from tlf.testing.checking import CheckResult, run_checks
from tlf.testing.contract import BoundCheck, PluginContract, checks_of
from tlf.testing.promises import ContractError
from tlf.testing.toy_run import ToyRun, toy_run

__all__ = [
    "BoundCheck",
    "CheckResult",
    "ContractError",
    "PluginContract",
    "ToyRun",
    "checks_of",
    "run_checks",
    "toy_run",
]
