"""The addresses of the project."""

from django.urls import path
from prices import views

urlpatterns = [path("", views.show), path("healthz", views.tell_health)]
