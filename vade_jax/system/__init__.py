"""Errors, files, the console, signals, processes, devices and optional libraries. Nothing here knows the model."""
