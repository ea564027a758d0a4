"""The project: its settings, its addresses and its WSGI application."""
