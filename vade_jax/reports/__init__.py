"""The results of a run: numbers, scores, results.json, the HTML report, charts and images.

Only `label_scores` scores labels. No code that trains imports this folder.
"""
