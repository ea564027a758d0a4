"""The app's entry in the registry of Django."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import setting_changed

from .checks import check_polymarket_ws
from .lazy_subscriber import forget_settings


class PolymarketWsConfig(AppConfig):
    """`INSTALLED_APPS = ["polymarket_ws.contrib.django"]`. Registers checks, and starts nothing."""

    name = "polymarket_ws.contrib.django"
    label = "polymarket_ws"
    verbose_name = "Polymarket streams"

    def ready(self) -> None:
        """Called in every process of the project, `migrate` and the reloader's parent included."""
        register(check_polymarket_ws, "polymarket_ws")
        setting_changed.connect(forget_settings, dispatch_uid="polymarket_ws")
