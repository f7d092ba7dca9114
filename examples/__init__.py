"""Two projects that use gearfleet: ``shop`` with Django, ``plain`` without.

They are installed as ``gearfleet.examples``; ``gearfleet demo`` runs the shop.
"""
