"""What a run leaves to be read: scores, results.json, the HTML report, its charts and images.

Labels are read here alone, by `label_scores`. Nothing that trains imports this folder.
"""
