"""One file for each mode of the program: train, evaluate, predict, generate and select_k.

A command reads settings and rows, calls the folders below, and writes what the user asked for. Only `main.py` and the
estimator import from here.
"""
