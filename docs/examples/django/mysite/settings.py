"""Settings of a project that follows Polymarket."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-this-example")
DEBUG = "DEBUG" in os.environ
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "mysite.urls"
WSGI_APPLICATION = "mysite.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

INSTALLED_APPS = ["polymarket_ws.contrib.django", "prices"]

POLYMARKET_WS = {
    "ASSET_IDS": [asset_id for asset_id in os.environ.get("ASSET_IDS", "").split(",") if asset_id],
    "NAME": "prices",
}
if "MARKET_URL" in os.environ:  # a server on this machine, as in tests and the demo
    POLYMARKET_WS["OPTIONS"] = {"market_url": os.environ["MARKET_URL"], "trust_env": False}

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SQLITE_FILE", BASE_DIR / "db.sqlite3"),
    }
}
if "PGHOST" in os.environ:
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ.get("PGPORT", "5432"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "CONN_MAX_AGE": None,  # one connection for the handlers, not one for each event
        "CONN_HEALTH_CHECKS": True,
    }

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"polymarket_ws": {"handlers": ["console"], "level": "INFO"}},
}
