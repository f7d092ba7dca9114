"""What the admin needs: names, permissions, and a page of the fleet, which is no table."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("gearfleet", "0002_schedules")]

    operations = [
        migrations.CreateModel(
            name="Fleet",
            fields=[],
            options={
                "verbose_name": "fleet",
                "verbose_name_plural": "fleet: queues and workers",
                "proxy": True,
                "default_permissions": ("view",),
                "indexes": [],
                "constraints": [],
            },
            bases=("gearfleet.record",),
        ),
        migrations.AlterModelOptions(
            name="failure",
            options={
                "permissions": [("run_again_failure", "Can run failed jobs again")],
                "verbose_name": "failed job",
                "verbose_name_plural": "failed jobs",
            },
        ),
        migrations.AlterModelOptions(
            name="success",
            options={
                "permissions": [("run_again_success", "Can run successful jobs again")],
                "verbose_name": "successful job",
                "verbose_name_plural": "successful jobs",
            },
        ),
    ]
