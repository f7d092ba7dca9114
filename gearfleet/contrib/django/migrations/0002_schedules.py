"""The tables of schedules, and of their occurrences that schedulers have claimed."""

import django.utils.timezone
from django.db import migrations, models

import gearfleet.contrib.django.schedules.models


class Migration(migrations.Migration):
    dependencies = [
        ("gearfleet", "0001_results"),
    ]

    operations = [
        migrations.CreateModel(
            name="Occurrence",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("schedule", models.CharField(max_length=32)),
                ("intended", models.DateTimeField()),
                ("name", models.CharField(max_length=255)),
                ("job", models.CharField(max_length=32)),
                ("plan", models.TextField()),
                ("owner", models.CharField(max_length=255)),
                ("lease_until", models.FloatField()),
                ("state", models.CharField(default="claimed", max_length=9)),
                ("failure", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["state", "lease_until"], name="gearfleet_occurrence_left")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("schedule", "intended"), name="gearfleet_occurrence_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Schedule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "uid",
                    models.CharField(
                        default=gearfleet.contrib.django.schedules.models.new_uid,
                        editable=False,
                        max_length=32,
                        unique=True,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=255, unique=True)),
                (
                    "func",
                    models.CharField(help_text="the task, such as shop.report", max_length=255),
                ),
                ("hook", models.CharField(blank=True, max_length=255, null=True)),
                ("args", models.TextField(blank=True, help_text="such as 1, 'a text'", null=True)),
                (
                    "kwargs",
                    models.TextField(blank=True, help_text="such as x=1, y='a text'", null=True),
                ),
                (
                    "schedule_type",
                    models.CharField(
                        choices=[
                            ("O", "once"),
                            ("I", "minutes"),
                            ("H", "hourly"),
                            ("D", "daily"),
                            ("W", "weekly"),
                            ("BW", "biweekly"),
                            ("M", "monthly"),
                            ("BM", "bimonthly"),
                            ("Q", "quarterly"),
                            ("Y", "yearly"),
                            ("C", "cron"),
                        ],
                        default="O",
                        max_length=2,
                    ),
                ),
                ("minutes", models.PositiveIntegerField(blank=True, null=True)),
                ("cron", models.CharField(blank=True, max_length=100, null=True)),
                (
                    "repeats",
                    models.IntegerField(default=-1, help_text="-1 for any number, n counts down"),
                ),
                ("next_run", models.DateTimeField(default=django.utils.timezone.now, null=True)),
                ("task", models.CharField(editable=False, max_length=100, null=True)),
                ("intended_date_kwarg", models.CharField(blank=True, max_length=100, null=True)),
                (
                    "time_zone",
                    models.CharField(
                        blank=True, help_text="empty for the project's", max_length=64
                    ),
                ),
                ("catch_up", models.BooleanField(default=False)),
                ("paused", models.BooleanField(default=False)),
                ("origin", models.CharField(default="made", editable=False, max_length=8)),
                ("digest", models.CharField(blank=True, editable=False, max_length=32)),
                ("options", models.TextField(blank=True, editable=False)),
                ("start", models.DateTimeField(editable=False, null=True)),
                ("last_run", models.DateTimeField(editable=False, null=True)),
                ("missed", models.PositiveIntegerField(default=0, editable=False)),
                ("missed_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "ordering": ("next_run",),
                "indexes": [models.Index(fields=["next_run"], name="gearfleet_schedule_next")],
            },
        ),
    ]
