"""The Supervisor templates; ``gearfleet.fleet.render`` reads them."""
