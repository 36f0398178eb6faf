"""Features in a plane: which images the network finds alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    import numpy.typing as npt

#: Points that a picture can show.
MOST_POINTS = 2000
#: With fewer images, neighbourhoods say less than distances.
ENOUGH_FOR_TSNE = 50
#: What is left of the features before t-SNE looks for neighbours: less to do, and less noise.
COMPONENTS = 50
SEED = 0


def sample(count: int) -> list[int]:
    """Return the places of the images to show, always the same ones, in order.

    Args:
        count: How many images there are.
    """
    if count <= MOST_POINTS:
        return list(range(count))
    drawn = np.random.default_rng(SEED).choice(count, MOST_POINTS, replace=False)
    return sorted(drawn.tolist())


def embed(features: npt.NDArray[np.float32]) -> tuple[str, Sequence[Sequence[float]]]:
    """Return how features were brought into a plane, in words, and a point for each.

    Args:
        features: `(N, width)`, N at least 3.
    """
    count, width = features.shape
    values = features.astype(np.float64)
    with _one_thread():
        components = min(COMPONENTS if count >= ENOUGH_FOR_TSNE else 2, count, width)
        reduced = PCA(components, svd_solver="full").fit_transform(values)
        if count < ENOUGH_FOR_TSNE or components < 2:
            return _pca(count), _rounded(reduced)
        plane = TSNE(2, init="pca", random_state=SEED, n_jobs=1).fit_transform(reduced)
    return (
        f"t-SNE of scikit-learn (perplexity 30, seed {SEED}) of the first {components} principal "
        "components of the features in front of the head, because it keeps neighbours together: "
        "distances between groups mean nothing"
    ), _rounded(plane)


def _pca(count: int) -> str:
    return (
        "the first two principal components (scikit-learn) of the features in front of the head, "
        f"because {count} images are too few for t-SNE, which needs {ENOUGH_FOR_TSNE}"
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: several would add up in another order each time."""
    with threadpool_limits(1):
        yield


def _rounded(points: npt.NDArray[np.float64]) -> list[list[float]]:
    plane = np.zeros((len(points), 2))
    plane[:, : points.shape[1]] = points[:, :2]
    return [[float(f"{x:.5g}"), float(f"{y:.5g}")] for x, y in plane.tolist()]
