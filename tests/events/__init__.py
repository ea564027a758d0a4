"""The tests of events/: a package, since tests/whole/ has a test_lifecycle.py too."""
