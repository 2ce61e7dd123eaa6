"""What a report says about the clusters of a run. It is small, and kept beside the model, since the rows may go."""

import base64
import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.dataset import Dataset, sample_row_indices
from vade_jax.inference.answers import make_embed
from vade_jax.reports.cluster_cards import Card, RowLine, cluster_cards, headline, marks_of_cluster, row_name
from vade_jax.reports.cluster_images import ClusterImages, ImageRenderer, cluster_images, interpolations
from vade_jax.reports.cluster_rows import Clusters, clusters_of
from vade_jax.reports.distinguishing_features import ClusterMeans, cluster_means
from vade_jax.reports.evaluate_state import Evaluation
from vade_jax.reports.label_scores import Confusion, num_labelled
from vade_jax.reports.layout_2d import layout_2d
from vade_jax.reports.palette import style_of
from vade_jax.runs.run import KeyUse, Run
from vade_jax.system.atomic_files import atomic_write, exists
from vade_jax.system.errors import damaged_file_errors
from vade_jax.system.large_arrays import row_slices
from vade_jax.training.train_state import TrainState

FINDINGS = "findings.npz"

_MAX_DRAWN_ROWS = 2000  # on the maps of the latent space
_MAX_SHOWN_CLUSTERS = 30  # with a card each


@dataclass(frozen=True)
class DrawnRows:
    """Random rows, which stand for all of them on a map.

    Attributes:
      rows: [n], their indices, ascending.
      z_mean: [n, J], the means of q(z|x).
      names: [n], their ids, or 'row' and their numbers.
      labels: [n], indices into label_names, -1 for an unlabelled row; None without labels.
      label_names: the names of the labels.
    """

    rows: np.ndarray
    z_mean: np.ndarray
    names: Sequence[str]
    labels: np.ndarray | None
    label_names: Sequence[str]


@dataclass(frozen=True)
class Findings:
    """What a report says about clusters.

    Attributes:
      clusters: of the N rows.
      drawn: rows for a map.
      centres: [K, J], the prior's means.
      headline: the first sentence of the report.
      marks: for each of the K clusters what sets it apart, in words; [] if nothing does, and for images.
      cards: of the largest clusters, in descending order of size.
      images: cluster -> its images; {} if rows are not images.
      lines: (cluster, nearest other cluster, PNG of E[x|z] between their means); [] if rows are not images.
      confusion: of labels and clusters; None without labels.
      some_unlabelled: whether some rows have a label and others have none.
    """

    clusters: Clusters
    drawn: DrawnRows
    centres: np.ndarray
    headline: str
    marks: list[list[str]]
    cards: list[Card]
    images: dict[int, ClusterImages]
    lines: list[tuple[int, int, bytes]]
    confusion: Confusion | None
    some_unlabelled: bool

    def table(self) -> list[dict[str, Any]]:
        """For each of the K clusters its 'size', its 'share' of all rows, their mean 'probability', and its 'marks'."""
        sizes = self.clusters.sizes
        return [
            {
                "size": int(sizes[cluster]),
                "share": float(sizes[cluster] / sizes.sum()),
                "probability": float(self.clusters.confidence[cluster]),
                "marks": "; ".join(marks),
            }
            for cluster, marks in enumerate(self.marks)
        ]

    @functools.cached_property
    def layout(self) -> tuple[np.ndarray, np.ndarray]:
        """The places [n, 2] of the drawn rows and [K, 2] of the centres on a map. It takes seconds."""
        points = layout_2d(np.concatenate([self.drawn.z_mean, self.centres]), seed=0)
        return points[: len(self.drawn.rows)], points[len(self.drawn.rows) :]


def find(run: Run, state: TrainState, train: Dataset, evaluation: Evaluation) -> Findings:
    """What a report says about the clusters of a trained run.

    Args:
      run: trained.
      state: the trained state.
      train: the rows that were clustered; their labels are kept for the colours of a map.
      evaluation: of the state.
    """
    batch_size = run.config.evaluate.batch_size
    clusters = clusters_of(evaluation.posterior.clusters, evaluation.probabilities)
    shown = clusters.largest(_MAX_SHOWN_CLUSTERS)
    x = train.inputs
    nearness = _nearness(run, state, x, clusters, batch_size)
    rows = sample_row_indices(len(train.x), run.key(KeyUse.REPORT), _MAX_DRAWN_ROWS)
    z_mean, _ = make_embed(run.model, batch_size)(state, x[rows])
    centres = np.asarray(state.params["prior"].means)
    means: ClusterMeans | None = None
    images: dict[int, ClusterImages] = {}
    lines: list[tuple[int, int, bytes]] = []
    if evaluation.samples is not None and run.image_shape:
        renderer = ImageRenderer.of_rows(train.x[rows], state.scaling, run.image_shape)
        images = cluster_images(train.x, evaluation.samples, clusters, shown, nearness, renderer)
        lines = list(interpolations(run, state, np.sort(shown), renderer))
    else:
        means = cluster_means(train.x, clusters.of_rows, len(centres), train.names, train.offset, train.levels)
    return Findings(
        clusters=clusters,
        drawn=DrawnRows(
            rows=rows,
            z_mean=z_mean,
            names=[row_name(train.ids, row) for row in rows.tolist()],
            labels=None if train.labels is None else train.labels[rows],
            label_names=train.label_names,
        ),
        centres=centres,
        headline=headline(clusters, means),
        marks=[marks_of_cluster(means, cluster) for cluster in range(len(centres))],
        cards=cluster_cards(clusters, shown, nearness, train, means),
        images=images,
        lines=lines,
        confusion=evaluation.confusion,
        some_unlabelled=train.labels is not None and num_labelled(train.labels) < len(train.labels),
    )


def _nearness(run: Run, state: TrainState, x: np.ndarray, clusters: Clusters, batch_size: int) -> np.ndarray:
    """log p(z|c) of rows x [N, D + S] at z = z_mean and their own cluster c, up to a constant of the cluster: [N]."""
    embed, prior = make_embed(run.model, batch_size), state.params["prior"]
    means, variances = np.asarray(prior.means), np.exp(np.asarray(prior.log_vars))
    nearness = np.empty(len(x), np.float32)
    for rows in row_slices(x):
        z_mean, own = embed(state, x[rows])[0], clusters.of_rows[rows]
        nearness[rows] = -(np.square(z_mean - means[own]) / variances[own]).sum(axis=1)
    return np.nan_to_num(nearness, nan=-np.inf)


def write(path: Path, findings: Findings) -> None:
    """Writes findings as an .npz, which has no pickles."""
    drawn, confusion = findings.drawn, findings.confusion
    text: dict[str, Any] = {
        "headline": findings.headline,
        "marks": findings.marks,
        "cards": [asdict(card) for card in findings.cards],
        "images": {c: [*map(_encoded, asdict(images).values())] for c, images in findings.images.items()},
        "lines": [[int(start), int(end), _encoded(line)] for start, end, line in findings.lines],
        "names": [*drawn.names],
        "label_names": [*drawn.label_names],
        "confusion": confusion and [array.tolist() for array in confusion],
        "some_unlabelled": findings.some_unlabelled,
    }
    arrays = {f"clusters_{name}": values for name, values in asdict(findings.clusters).items()} | {
        "rows": drawn.rows,
        "z_mean": drawn.z_mean,
        "centres": findings.centres,
        "text": np.frombuffer(json.dumps(text).encode(), np.uint8),
        **({} if drawn.labels is None else {"labels": drawn.labels}),
    }
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def read(path: Path) -> Findings | None:
    """Returns the findings that `write` wrote; None if the run is of an older version, which wrote none.

    Raises:
      StorageError: the file is damaged.
    """
    if not exists(path):
        return None
    with damaged_file_errors(path), np.load(path) as file:
        arrays = dict(file)
        text = json.loads(arrays.pop("text").tobytes())
        clusters = {name.removeprefix("clusters_"): arrays[name] for name in arrays if name.startswith("clusters_")}
        return Findings(
            clusters=Clusters(**clusters),
            drawn=DrawnRows(
                rows=arrays["rows"],
                z_mean=arrays["z_mean"],
                names=text["names"],
                labels=arrays.get("labels"),
                label_names=text["label_names"],
            ),
            centres=arrays["centres"],
            headline=text["headline"],
            marks=text["marks"],
            cards=[*map(_card, text["cards"])],
            images={int(c): ClusterImages(*map(base64.b64decode, images)) for c, images in text["images"].items()},
            lines=[(start, end, base64.b64decode(line)) for start, end, line in text["lines"]],
            confusion=text["confusion"] and Confusion(*map(np.array, text["confusion"])),
            some_unlabelled=text["some_unlabelled"],
        )


def _encoded(png: bytes) -> str:
    return base64.b64encode(png).decode()


def _card(fields: dict[str, Any]) -> Card:
    lines = {name: [RowLine(**line) for line in fields[name]] for name in ("typical", "borderline")}
    return Card(
        **fields | lines | {"style": style_of(fields["cluster"]), "least_certain": RowLine(**fields["least_certain"])}
    )
