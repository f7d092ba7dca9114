"""The names that the admin translates; nothing of it touches a table."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gearfleet", "0003_admin"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="schedule",
            options={
                "ordering": ("next_run",),
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
            },
        ),
        migrations.AlterField(
            model_name="record",
            name="attempt",
            field=models.PositiveIntegerField(default=1, verbose_name="attempt"),
        ),
        migrations.AlterField(
            model_name="record",
            name="function",
            field=models.CharField(blank=True, max_length=255, verbose_name="function"),
        ),
        migrations.AlterField(
            model_name="record",
            name="group",
            field=models.CharField(blank=True, max_length=255, verbose_name="group"),
        ),
        migrations.AlterField(
            model_name="record",
            name="handle",
            field=models.CharField(blank=True, max_length=255, verbose_name="handle"),
        ),
        migrations.AlterField(
            model_name="record",
            name="job",
            field=models.CharField(max_length=255, verbose_name="job"),
        ),
        migrations.AlterField(
            model_name="record",
            name="name",
            field=models.CharField(max_length=255, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="record",
            name="queue",
            field=models.CharField(blank=True, max_length=255, verbose_name="queue"),
        ),
        migrations.AlterField(
            model_name="record",
            name="server",
            field=models.CharField(blank=True, max_length=255, verbose_name="job server"),
        ),
        migrations.AlterField(
            model_name="record",
            name="state",
            field=models.CharField(
                choices=[
                    ("success", "success"),
                    ("failure", "failure"),
                    ("expired", "expired"),
                    ("retry", "tried again"),
                ],
                max_length=8,
                verbose_name="state",
            ),
        ),
        migrations.AlterField(
            model_name="record",
            name="stopped_at",
            field=models.DateTimeField(editable=False, verbose_name="ended"),
        ),
        migrations.AlterField(
            model_name="record",
            name="task",
            field=models.CharField(max_length=255, verbose_name="task"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="args",
            field=models.TextField(
                blank=True, help_text="such as 1, 'a text'", null=True, verbose_name="arguments"
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="catch_up",
            field=models.BooleanField(default=False, verbose_name="catch up"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="cron",
            field=models.CharField(blank=True, max_length=100, null=True, verbose_name="cron"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="func",
            field=models.CharField(
                help_text="the task, such as shop.report", max_length=255, verbose_name="task"
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="hook",
            field=models.CharField(blank=True, max_length=255, null=True, verbose_name="hook"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="intended_date_kwarg",
            field=models.CharField(
                blank=True, max_length=100, null=True, verbose_name="argument for the intended date"
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="kwargs",
            field=models.TextField(
                blank=True,
                help_text="such as x=1, y='a text'",
                null=True,
                verbose_name="named arguments",
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="minutes",
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name="minutes"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="missed",
            field=models.PositiveIntegerField(default=0, editable=False, verbose_name="missed"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="name",
            field=models.CharField(blank=True, max_length=255, unique=True, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="next_run",
            field=models.DateTimeField(
                default=django.utils.timezone.now, null=True, verbose_name="next run"
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="origin",
            field=models.CharField(
                default="made", editable=False, max_length=8, verbose_name="declared in"
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="paused",
            field=models.BooleanField(default=False, verbose_name="paused"),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="repeats",
            field=models.IntegerField(
                default=-1, help_text="-1 for any number, n counts down", verbose_name="repeats"
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="schedule_type",
            field=models.CharField(
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
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="time_zone",
            field=models.CharField(
                blank=True,
                help_text="empty for the project's",
                max_length=64,
                verbose_name="time zone",
            ),
        ),
    ]
