"""The machine: errors, files, the console, signals, processes, devices and optional libraries. Knows no model."""
