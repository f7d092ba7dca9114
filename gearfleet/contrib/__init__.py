"""What other projects need to work with gearfleet; each part imports only its own."""
