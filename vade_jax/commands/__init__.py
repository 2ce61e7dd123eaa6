"""One file for each mode of the program: train, evaluate, predict, generate and select_k.

A command reads settings and rows, calls the other folders, and writes the output files. Only `main.py` and the
estimator import this folder.
"""
