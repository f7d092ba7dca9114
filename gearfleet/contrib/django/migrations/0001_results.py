"""The tables of the setting `results = "django"`."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Part",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("whole", models.CharField(max_length=255)),
                ("place", models.PositiveIntegerField()),
                ("sealed", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("whole", "place"), name="gearfleet_part_place")
                ],
            },
        ),
        migrations.CreateModel(
            name="Record",
            fields=[
                ("seq", models.BigAutoField(primary_key=True, serialize=False)),
                ("job", models.CharField(max_length=255)),
                ("name", models.CharField(max_length=255)),
                ("task", models.CharField(max_length=255)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("success", "success"),
                            ("failure", "failure"),
                            ("expired", "expired"),
                            ("retry", "retry"),
                        ],
                        max_length=8,
                    ),
                ),
                ("limited_as", models.CharField(blank=True, editable=False, max_length=8)),
                ("function", models.CharField(blank=True, max_length=255)),
                ("queue", models.CharField(blank=True, max_length=255)),
                ("group", models.CharField(blank=True, max_length=255)),
                ("hook", models.TextField(blank=True)),
                ("enqueued_at", models.FloatField(default=0.0)),
                ("started", models.FloatField(default=0.0)),
                ("stopped", models.FloatField(default=0.0)),
                ("stopped_at", models.DateTimeField(editable=False)),
                ("attempt", models.PositiveIntegerField(default=1)),
                ("server", models.CharField(blank=True, max_length=255)),
                ("handle", models.CharField(blank=True, max_length=255)),
                ("keep_until", models.FloatField(default=0.0)),
                ("arguments", models.TextField()),
                ("result", models.TextField()),
                ("failure", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["limited_as", "seq"], name="gearfleet_record_limited"),
                    models.Index(fields=["group", "seq"], name="gearfleet_record_group"),
                    models.Index(fields=["name", "seq"], name="gearfleet_record_name"),
                    models.Index(fields=["function", "seq"], name="gearfleet_record_function"),
                    models.Index(fields=["keep_until"], name="gearfleet_record_until"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("job",), name="gearfleet_record_job")
                ],
            },
        ),
        migrations.CreateModel(
            name="Failure",
            fields=[],
            options={
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("gearfleet.record",),
        ),
        migrations.CreateModel(
            name="Success",
            fields=[],
            options={
                "verbose_name_plural": "successes",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("gearfleet.record",),
        ),
    ]
