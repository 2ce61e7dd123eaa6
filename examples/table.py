"""Clusters of a table: python examples/table.py.

178 Italian wines, 13 measurements of each, from three cultivars that are not told to the model. Cells as in a notebook
begin with `# %%`.
"""

# %% A table without labels, as a .csv
import tempfile
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_wine

from vade_jax import VaDE

folder = Path(tempfile.mkdtemp())
wines = load_wine(as_frame=True)
wines.data.to_csv(folder / "wines.csv", index=False)

# %% Clusters, and how sure they are
table = pd.read_csv(folder / "wines.csv")
model = VaDE(n_clusters=3, hidden=(128, 128), verbose=True)
table["cluster"] = model.fit_predict(table)
table["confidence"] = model.predict_proba(table[wines.feature_names]).max(axis=1)
print(table.groupby("cluster")[["alcohol", "flavanoids", "color_intensity", "confidence"]].mean().round(2))

# %% What a typical member of each looks like, and which rows are unlike all others
samples, clusters = model.sample(300)
print(pd.DataFrame(samples, columns=wines.feature_names).groupby(clusters).mean().round(2))
likelihoods = model.score_samples(table[wines.feature_names])
print("least likely rows:", likelihoods.argsort()[:5].tolist())

# %% The model is kept in a folder: the command line reads it, and so does VaDE.load
model.save(folder / "model")
again = VaDE.load(folder / "model")
print("same clusters after loading:", (again.predict(table[wines.feature_names]) == table["cluster"]).all())
print(
    f"python main.py --mode=predict --workdir={folder}/model --config.data.path=NEW.csv --config.predict.output=OUT.csv"
)

# %% The cultivars, which nothing above has read
print(pd.crosstab(table["cluster"], wines.target_names[wines.target]))
