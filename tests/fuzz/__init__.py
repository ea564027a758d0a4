"""Fuzzing of all that takes bytes of the network. `make fuzz`."""
