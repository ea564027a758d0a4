"""Each file is a command of its name."""
