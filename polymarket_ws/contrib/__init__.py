"""What joins this package to others, a module for each: nothing of it is imported by the rest."""
