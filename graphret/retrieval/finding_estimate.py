"""Which findings a query probably has: a vote of its nearest films, calibrated on films of the archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphret._threads import borrow_threads
from graphret.retrieval._finding_kernels import _vote

if TYPE_CHECKING:
    from graphret._types import BoolArray, Float32Array, Float64Array, Int32Array
    from graphret.retrieval.findings import Findings
    from graphret.retrieval.protocol import Archive

__all__ = ["Calibration", "estimate_findings", "fit_calibration"]

SAMPLE = 2000
"""Films of the archive that a calibration is fitted on, at most."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Platt scaling of every finding: ``logit p' = logit prevalence + offset + slope (logit p - logit prevalence)``.

    Slope 1 and offset 0 leave p as it is; a slope below 1 says that the votes were too sure, 0 that they say nothing.

    Parameters
    ----------
    slopes, offsets
        float64 (L,).
    """

    slopes: Float64Array
    offsets: Float64Array

    @classmethod
    def identity(cls, n_labels: int) -> Calibration:
        """Make the calibration that changes nothing."""
        return cls(np.ones(n_labels), np.zeros(n_labels))

    @classmethod
    def fit(cls, estimates: Float64Array, labels: Any, prevalence: Float64Array) -> Calibration:
        """Fit slope >= 0 and offset of every finding by penalised maximum likelihood (Platt, 1999).

        The penalty ``((slope - 1)^2 + offset^2) / 2`` pulls findings that few films have towards leaving p as it is. It
        is convex, so there is one minimum. Unknown labels are left out.

        Parameters
        ----------
        estimates
            float64 (r, L), between 0 and 1.
        labels
            int8 (r, L): 1, 0, -1 unknown.
        prevalence
            float64 (L,), between 0 and 1.

        Examples
        --------
        >>> truth = np.tile([[1], [1], [1], [0]], (100, 1))
        >>> shy = Calibration.fit(np.where(truth == 1, 0.6, 0.4), truth, np.array([0.5]))
        >>> bool(shy.slopes[0] > 3)  # votes for what is there and against what is not deserve more trust
        True
        """
        fitted = cls.identity(len(prevalence))
        usual = _logit(prevalence)
        evidence = _logit(estimates) - usual
        for label in range(len(prevalence)):
            known = labels[:, label] >= 0
            fitted.slopes[label], fitted.offsets[label] = _fit_one(
                evidence[known, label], labels[known, label] == 1, usual[label]
            )
        return fitted


def estimate_findings(
    findings: Findings,
    neighbors: Int32Array,
    similarities: Float32Array,
    *,
    sharpness: float,
    prior: float,
    calibration: Calibration | None = None,
    n_threads: int | None = None,
) -> Float64Array:
    """Estimate the probability of every finding of every query from its nearest films.

    ``p_l = (sum_i w_i y_il + prior pi_l) / (sum_i w_i + prior)`` over the neighbours i whose label l is known, with the
    prevalence pi_l and weights ``w_i`` proportional to ``exp(sharpness z_i)`` with mean 1, z_i being the similarities
    of the query's neighbours, standardised; then calibrated.

    Parameters
    ----------
    findings
        Of the archive.
    neighbors, similarities
        int32 and float32 (q, m), best first, -1 pads.
    sharpness
        >= 0; 0 gives every neighbour the same vote.
    prior
        Votes for the prevalence, > 0.
    calibration
        ``None`` to leave the estimates as they are.
    n_threads
        ``None`` for all processors.

    Returns
    -------
    numpy.ndarray
        float64 (q, L), between 0 and 1. O(q m L).

    Examples
    --------
    >>> from graphret.retrieval import Findings
    >>> findings = Findings(np.array([[1], [1], [0], [0]]), ("Mass",))
    >>> nearest = np.array([[0, 1, -1]], np.int32)
    >>> estimate_findings(findings, nearest, np.ones((1, 3), np.float32), sharpness=0.0, prior=2.0).round(3).tolist()
    [[0.75]]
    """
    use = Calibration.identity(len(findings.names)) if calibration is None else calibration
    out = np.empty((len(neighbors), len(findings.names)))
    with borrow_threads(n_threads, at_most=max(1, len(neighbors))):
        _vote(
            np.ascontiguousarray(neighbors),
            np.ascontiguousarray(similarities),
            findings.labels,
            findings.prevalence,
            sharpness,
            prior,
            use.slopes,
            use.offsets,
            out,
        )
    return out


def fit_calibration(
    archive: Archive,
    findings: Findings,
    *,
    voters: int,
    sharpness: float,
    prior: float,
    n_threads: int | None = None,
) -> Calibration:
    """Fit the calibration on at most 2,000 films of the archive, each asked without the films of its patient.

    The same films for every archive of that size, the same result with any number of threads. It knows the labels of
    queries from inside the archive: two numbers for each finding, from all of the sample together.
    """
    known = np.flatnonzero((findings.labels >= 0).any(axis=1))
    films = np.sort(np.random.default_rng(0).permutation(known)[:SAMPLE])
    table = archive.search.search(
        archive.search.read_codes(films),
        voters,
        forbidden=findings.films_of_the_same_patient(films),
        n_threads=n_threads,
    )
    estimates = estimate_findings(
        findings, table.neighbors, table.similarities, sharpness=sharpness, prior=prior, n_threads=n_threads
    )
    return Calibration.fit(estimates, findings.labels[films], findings.prevalence)


def _logit(p: Float64Array) -> Float64Array:
    odds: Float64Array = np.log(p / (1.0 - p))
    return odds


def _fit_one(evidence: Float64Array, present: BoolArray, usual: float) -> tuple[float, float]:
    """Minimise the penalised negative log-likelihood of one finding; (slope, offset)."""
    from scipy.optimize import minimize

    sign = np.where(present, -1.0, 1.0)

    def loss(at: Float64Array) -> tuple[float, Float64Array]:
        slope, offset = at
        against = sign * (usual + offset + slope * evidence)
        slack = sign / (1.0 + np.exp(-against))
        value = float(np.logaddexp(0.0, against).sum()) + ((slope - 1.0) ** 2 + offset**2) / 2
        return value, np.array([(slack * evidence).sum() + slope - 1.0, slack.sum() + offset])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    return float(found.x[0]), float(found.x[1])
