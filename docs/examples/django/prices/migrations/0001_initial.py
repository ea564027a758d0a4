"""The table of public trades."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """As `makemigrations` wrote it."""

    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Print",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asset_id", models.CharField(db_index=True, max_length=80)),
                ("side", models.CharField(max_length=4)),
                ("price", models.DecimalField(decimal_places=6, max_digits=8)),
                ("size", models.DecimalField(decimal_places=6, max_digits=20)),
                ("timestamp_ms", models.BigIntegerField()),
            ],
        ),
    )
