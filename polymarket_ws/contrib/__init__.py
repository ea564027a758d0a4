"""Integrations, each for one host; nothing imports them but their users."""
