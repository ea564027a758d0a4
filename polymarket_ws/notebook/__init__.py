"""What a Jupyter notebook shows: values as HTML, and an output that is updated in place.

It renders what it is given, knows no class of this package, and is not imported before it is used.
"""
