"""The tests of books/: a package, since tests/whole/ has a test_verification.py too."""
