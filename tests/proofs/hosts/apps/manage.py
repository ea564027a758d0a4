"""A Django site that looks."""

import os
import sys

import feed
from django.conf import settings

settings.configure(
    DEBUG=True, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[]
)
from django.http import HttpResponse
from django.urls import re_path

urlpatterns = [
    re_path("^(.*)$", lambda request, path: HttpResponse(feed.look(*path.strip("/").split("/"))))
]

if os.environ.get("RUN_MAIN") == "true":  # the reloader's child, which serves
    feed.sub.start()

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
