"""The build's entry: everything is said in setup.cfg."""

from setuptools import setup

setup()
