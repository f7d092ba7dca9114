"""A project with one worker module, which has one task."""
