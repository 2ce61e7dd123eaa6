"""Rows in and answers out: data sets by name, file formats, scaling, and output files. Nothing here trains."""
