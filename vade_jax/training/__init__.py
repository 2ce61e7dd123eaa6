"""A training step: its objective, its optimizer, an epoch as one device call, and signs of collapse.

It knows arrays and pytrees. It reads no files and no settings.
"""
