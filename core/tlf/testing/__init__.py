"""The contract kit: the tests that every plugin must pass, tlf's own and everybody else's.

An author of a plugin writes three lines in a test file:

    from tlf.testing import PluginContract

    class TestContract(PluginContract):
        plugin = "acme"

Each promise is one plain function `check_…` that raises `ContractError` with a sentence saying what
to change, so the checks also run without pytest.
"""

from tlf.testing.contract import BoundCheck, PluginContract, checks_of
from tlf.testing.promises import ContractError

__all__ = ["BoundCheck", "ContractError", "PluginContract", "checks_of"]
