"""Clusters the rows of a table: python examples/table.py.

The table has 178 Italian wines with 13 measurements each. They are from three cultivars, which the model does not know.
Notebook cells begin with `# %%`.
"""

# %% Write a table without labels as a .csv file
import tempfile
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_wine

from vade_jax import VaDE

folder = Path(tempfile.mkdtemp())
wines = load_wine(as_frame=True)
wines.data.to_csv(folder / "wines.csv", index=False)

# %% Find clusters and their probabilities
table = pd.read_csv(folder / "wines.csv")
model = VaDE(n_clusters=3, verbose=True)
table["cluster"] = model.fit_predict(table)
table["confidence"] = model.predict_proba(table[wines.feature_names]).max(axis=1)
print(table.groupby("cluster")[["alcohol", "flavanoids", "color_intensity", "confidence"]].mean().round(2))

# %% Draw new rows, and find outliers
samples, clusters = model.sample(300)
print(pd.DataFrame(samples, columns=wines.feature_names).groupby(clusters).mean().round(2))
likelihoods = model.score_samples(table[wines.feature_names])
print("least likely rows:", likelihoods.argsort()[:5].tolist())

# %% Save the model in a folder, which VaDE.load and the command line can read
model.save(folder / "model")
again = VaDE.load(folder / "model")
print("same clusters after loading:", (again.predict(table[wines.feature_names]) == table["cluster"]).all())
print(
    f"python main.py --mode=predict --workdir={folder}/model --config.data.path=NEW.csv --config.predict.output=OUT.csv"
)

# %% Compare the clusters with the cultivars
print(pd.crosstab(table["cluster"], wines.target_names[wines.target]))
