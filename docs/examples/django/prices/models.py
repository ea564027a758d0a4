"""What is stored."""

from django.db import models


class Print(models.Model):
    """A public trade."""

    asset_id = models.CharField(max_length=80, db_index=True)
    side = models.CharField(max_length=4)
    price = models.DecimalField(max_digits=8, decimal_places=6)
    size = models.DecimalField(max_digits=20, decimal_places=6)
    timestamp_ms = models.BigIntegerField()
