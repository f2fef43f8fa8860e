"""What others use: standard features and the usual detectors of scikit-learn; higher = more abnormal."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

F64 = NDArray[np.float64]
Scores = Callable[[F64], F64]
Fit = Callable[[F64, int], Scores]

WELCH_BANDS = 16


def standard_features(accel: NDArray[np.float32], rate_hz: float) -> F64:
    """Per axis log RMS, kurtosis, crest factor, 16 log Welch energies: (axes, n) -> (19 * axes,)."""
    x = accel - accel.mean(axis=1, keepdims=True, dtype=np.float64)
    rms = np.sqrt(np.mean(x**2, axis=1)) + 1e-9
    n = x.shape[1]
    _, density = signal.welch(x, rate_hz, nperseg=min(256, n), axis=1)
    energies = [band.sum(axis=1) for band in np.array_split(density[:, 1:], WELCH_BANDS, axis=1)]
    rows = [np.log(rms), stats.kurtosis(x, axis=1), np.abs(x).max(axis=1) / rms]
    return np.concatenate([*rows, *(np.log(energy + 1e-12) for energy in energies)])


def rms(X: F64, _seed: int) -> Scores:
    """The loudest axis over its normal: give it the log RMS columns alone."""
    mean, spread = X.mean(axis=0), X.std(axis=0) + 1e-9
    return lambda Y: ((Y - mean) / spread).max(axis=1)


def isolation_forest(X: F64, seed: int) -> Scores:
    forest = IsolationForest(n_estimators=200, random_state=seed).fit(X)
    return lambda Y: -forest.score_samples(Y)


def pca_spe(X: F64, _seed: int) -> Scores:
    """Squared prediction error outside the components that explain 95 %."""
    pca = PCA(0.95).fit(X)
    return lambda Y: ((Y - pca.inverse_transform(pca.transform(Y))) ** 2).sum(axis=1)


def mahalanobis(X: F64, _seed: int) -> Scores:
    return LedoitWolf().fit(X).mahalanobis


def mlp_autoencoder(X: F64, seed: int) -> Scores:
    hidden = (max(8, X.shape[1] // 2), max(2, X.shape[1] // 8), max(8, X.shape[1] // 2))
    network = MLPRegressor(hidden_layer_sizes=hidden, max_iter=400, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, X)
    return lambda Y: ((Y - network.predict(Y)) ** 2).mean(axis=1)


def knn(X: F64, _seed: int) -> Scores:
    """Mean distance to the 5 nearest windows of training."""
    near = NearestNeighbors(n_neighbors=min(5, len(X))).fit(X)
    return lambda Y: near.kneighbors(Y)[0].mean(axis=1)


PEERS: dict[str, Fit] = {
    "IsolationForest": isolation_forest,
    "PCA-SPE": pca_spe,
    "Mahalanobis": mahalanobis,
    "MLP-AE": mlp_autoencoder,
    "kNN": knn,
}
RANDOM = {"IsolationForest", "MLP-AE"}


def scaled(fit: Fit) -> Fit:
    """The detector behind a standard scaler, as everybody runs it."""

    def fitted(X: F64, seed: int) -> Scores:
        scaler = StandardScaler().fit(X)
        scores = fit(scaler.transform(X), seed)
        return lambda Y: scores(scaler.transform(Y))

    return fitted


def held_out(fit: Fit, X: F64, folds: NDArray[np.intp], seed: int) -> F64:
    """Score of every training window by a detector that had not seen its fold."""
    out = np.empty(len(X))
    for fold in np.unique(folds):
        out[folds == fold] = fit(X[folds != fold], seed)(X[folds == fold])
    return out
