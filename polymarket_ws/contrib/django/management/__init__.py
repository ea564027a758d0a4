"""Management commands; Django finds them here."""
