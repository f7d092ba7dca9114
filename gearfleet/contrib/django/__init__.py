"""gearfleet in a Django project: add ``"gearfleet.contrib.django"`` to INSTALLED_APPS."""
