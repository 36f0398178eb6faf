from tlf.testing import PluginContract


class TestContract(PluginContract):
    plugin = "freezeout"
