"""Which cluster runs the jobs of a schedule."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("gearfleet", "0004_translations")]

    operations = [
        migrations.AddField(
            model_name="schedule",
            name="cluster",
            field=models.CharField(blank=True, max_length=100, null=True, verbose_name="cluster"),
        ),
    ]
