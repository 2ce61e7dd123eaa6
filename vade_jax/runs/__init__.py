"""One run in its folder: its stages, checkpoints, metrics, starting clusters, and how a collapse is undone.

The numerical work is done by the folders below; here it is put in order, saved and resumed.
"""
