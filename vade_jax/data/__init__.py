"""Data sets by name, file formats, scaling and output files. Nothing here trains a model."""
