"""The training step: objectives, optimizer, an epoch as one device call, and signs of collapse.

This folder works on arrays and pytrees. It reads no files and no settings.
"""
