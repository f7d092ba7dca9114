"""The command line: one argparse builder, one thin module for each family of verbs."""

from gearfleet.cli.main import main

__all__ = ["main"]
