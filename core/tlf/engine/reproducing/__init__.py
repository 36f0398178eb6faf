"""The parts of a reproduction: what two runs differ in, and what may have made them differ."""
