"""Trains runs: their stages, checkpoints, metrics, starting clusters, and the cures of a collapse.

This folder calls the numerical work in order, saves it and resumes it. The work itself is in the folders below.
"""
