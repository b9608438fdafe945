"""Covariances as a diagonal and a few columns: C = diag(D) + U U^T, with U of shape (d, r).

At time t the law N(m, C) has the covariance C_t = Delta_t I + e^{-2t} C = R (I + W W^T) R with
R = (Delta_t + e^{-2t} D)^{1/2} and W = e^{-t} R^{-1} U. Everything goes through the r x r matrix
I + W^T W = L L^T: for a vector v let y = R^{-1} v and c = (L L^T)^{-1} W^T y; then

    C_t^{-1} v = R^{-1} (y - W c)              (Woodbury)
    v^T C_t^{-1} v = |y - W c|^2 + |c|^2       (no difference of large numbers)
    e^{-t} C C_t^{-1} v = e^{-t} D R^{-1} (y - W c) + U c
    log det C_t = 2 sum log R + 2 sum log diag L
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.checks import InputError
from ..process import signal, variance


def numbers(name: str, value: Any, ndim: int) -> Tensor:
    """`value` as a float64 tensor with `ndim` axes, none empty; `InputError` names what is not."""
    try:
        if isinstance(value, Tensor):
            value = value.detach().cpu()
        out = torch.as_tensor(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is no array of real numbers ({error}); expected one.") from None
    if out.ndim != ndim or out.numel() == 0:
        raise InputError(
            f"{name} has the shape {tuple(out.shape)}; expected {ndim} axes, none of length 0."
        )
    if not bool(torch.isfinite(out).all()):
        raise InputError(f"{name} holds NaN or infinite values; expected finite numbers.")
    return out


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def nonnegative(name: str, value: Any) -> Tensor:
    out = numbers(name, value, 1)
    if bool((out < 0).any()):
        raise InputError(f"{name} holds {float(out.min())!r}; expected variances of 0 or more.")
    return out


@dataclass(frozen=True, eq=False)
class Covariance:
    """diag(`diagonal`) + `factor` @ `factor`.T in float64: `diagonal` (1,) or (d,), variances.

    `diagonal` of length 1 stands for that variance in every dimension; `factor` is (d, r) or
    None. Raises `InputError` for negative variances, NaN and shapes that do not fit.
    """

    diagonal: Tensor
    factor: Tensor | None = None

    def __post_init__(self) -> None:
        diagonal = nonnegative("diagonal", self.diagonal)
        object.__setattr__(self, "diagonal", diagonal)
        if self.factor is None:
            return
        factor = numbers("factor", self.factor, 2)
        if len(diagonal) not in (1, len(factor)):
            raise InputError(
                f"factor has the shape {tuple(factor.shape)} beside a diagonal of {len(diagonal)}; "
                f"expected ({len(diagonal)}, r): one row for each dimension."
            )
        object.__setattr__(self, "factor", factor)

    @classmethod
    def isotropic(cls, variance: float) -> Covariance:
        """variance * I, in any dimension."""
        return cls(nonnegative("variance", [variance]))

    @classmethod
    def diagonal_of(cls, variances: Any) -> Covariance:
        """diag(variances), (d,)."""
        return cls(nonnegative("variances", variances))

    @classmethod
    def low_rank(cls, diagonal: Any, factor: Any) -> Covariance:
        """diag(diagonal) + factor factor^T; `diagonal` a number or (d,), `factor` (d, r)."""
        return cls(nonnegative("diagonal", np.atleast_1d(diagonal)), factor)

    @classmethod
    def full(cls, matrix: Any) -> Covariance:
        """Any covariance (d, d), through its eigenvectors: smallest eigenvalue on the diagonal.

        Asymmetry and negative eigenvalues up to 1e-6 of the largest entry count as rounding.
        """
        given = numbers("matrix", matrix, 2)
        if given.shape[0] != given.shape[1]:
            raise InputError(f"matrix has the shape {tuple(given.shape)}; expected (d, d).")
        skew = float((given - given.T).abs().max())
        if skew > 1e-6 * float(given.abs().max()):
            raise InputError(
                f"matrix is not symmetric: it differs from its transpose by up to {skew:.3g}; "
                "expected a covariance. (matrix + matrix.T) / 2 makes it symmetric."
            )
        values, vectors = torch.linalg.eigh((given + given.T) / 2)
        low, high = float(values[0]), float(values[-1])
        if low < -1e-6 * max(high, -low):
            raise InputError(
                f"matrix is not positive semidefinite: its smallest eigenvalue is {low:.3g}; "
                "expected a covariance, with eigenvalues of 0 or more."
            )
        blur = len(values) * torch.finfo(torch.float64).eps * high
        floor = low if low > blur else 0.0
        kept = values - floor > blur
        factor = vectors[:, kept] * (values[kept] - floor).sqrt()
        return cls(torch.tensor([floor], dtype=torch.float64), factor if kept.any() else None)

    @property
    def dimension(self) -> int | None:
        """d; None where any d will do (isotropic)."""
        if self.factor is not None:
            return len(self.factor)
        return len(self.diagonal) if len(self.diagonal) > 1 else None

    def dense(self, d: int) -> Tensor:
        """The (d, d) matrix."""
        out = torch.diag(self.diagonal.expand(d))
        return out if self.factor is None else out + self.factor @ self.factor.T

    def eigenvalues(self, d: int) -> np.ndarray:
        """All d eigenvalues, largest first; with a constant diagonal at the cost of the factor."""
        if self.factor is None:
            return np.sort(self.diagonal.expand(d).numpy())[::-1].copy()
        if len(self.diagonal) > 1:
            return np.asarray(torch.linalg.eigvalsh(self.dense(d)).flip(0))
        sizes = torch.linalg.svdvals(self.factor)
        out = torch.zeros(d, dtype=torch.float64)
        out[: len(sizes)] = sizes.square()
        return np.asarray(out + self.diagonal)

    def sample(self, n: int, d: int, generator: torch.Generator) -> Tensor:
        """n draws of N(0, C), (n, d)."""
        out = self.diagonal.sqrt() * normal((n, d), generator)
        if self.factor is None:
            return out
        return out + normal((n, self.factor.shape[1]), generator) @ self.factor.T

    def noised(self, t: float, device: torch.device | None = None) -> Noised:
        """C_t. At t = 0 no variance of the diagonal may be zero (the caller says which is)."""
        factor = None if self.factor is None else self.factor.to(device)
        return Noised(self.diagonal.to(device), factor, float(signal(t)), float(variance(t)))


@dataclass(frozen=True, eq=False)
class Noised:
    """C_t = noise I + shrink^2 C, noise = Delta_t and shrink = e^{-t}; vectors are (..., d)."""

    diagonal: Tensor
    factor: Tensor | None
    shrink: float
    noise: float

    @cached_property
    def root(self) -> Tensor:
        """R: (1,) or (d,)."""
        return (self.noise + self.shrink**2 * self.diagonal).sqrt()

    @cached_property
    def _columns(self) -> tuple[Tensor, Tensor] | None:
        """W (d, r) and L (r, r)."""
        if self.factor is None:
            return None
        columns = self.shrink * self.factor / self.root[:, None]
        one = torch.eye(columns.shape[1], dtype=columns.dtype, device=columns.device)
        return columns, torch.linalg.cholesky(one + columns.T @ columns)

    def _split(self, v: Tensor) -> tuple[Tensor, Tensor | None]:
        """y - W c and c."""
        y = v / self.root
        if self._columns is None:
            return y, None
        columns, lower = self._columns
        c = torch.cholesky_solve((y @ columns).mT, lower).mT
        return y - c @ columns.T, c

    def whiten(self, v: Tensor) -> Tensor:
        """(..., d + r), with inner products u^T C_t^{-1} v."""
        rest, c = self._split(v)
        return rest if c is None else torch.cat([rest, c], dim=-1)

    def solve(self, v: Tensor) -> Tensor:
        """C_t^{-1} v."""
        return self._split(v)[0] / self.root

    def gain(self, v: Tensor) -> Tensor:
        """e^{-t} C C_t^{-1} v: how the data follow v = x - e^{-t} m."""
        rest, c = self._split(v)
        out = (self.shrink * self.diagonal / self.root) * rest
        return out if self.factor is None or c is None else out + c @ self.factor.T

    def log_det(self, d: int) -> float:
        """log det C_t."""
        return self._sum(2 * self.root.log(), d) + self._log_det_columns()

    def log_det_ratio(self, d: int) -> float:
        """log det(C_t / Delta_t) = 2 I(a; x_t) for a ~ N(m, C)."""
        gamma = self.shrink**2 / self.noise
        return self._sum((gamma * self.diagonal).log1p(), d) + self._log_det_columns()

    def conditional_variance(self, d: int) -> float:
        """Delta_t tr(C C_t^{-1}) = E|a - E[a|x_t]|^2 for a ~ N(m, C)."""
        share = self.diagonal / self.root**2
        if self.factor is None or self._columns is None:
            return self.noise * self._sum(share, d)
        lower = self._columns[1]
        # diag C_t^{-1} = R^{-2} (1 - |L^{-1} W^T|^2) and U^T C_t^{-1} U = (L^{-1} U^T R^{-1})^2
        half = torch.linalg.solve_triangular(
            lower, (self.factor / self.root[:, None]).T, upper=False
        )
        inside = half.square().sum(dim=0)
        return self.noise * float((share * (1 - self.shrink**2 * inside) + inside).sum())

    def _log_det_columns(self) -> float:
        if self._columns is None:
            return 0.0
        return float(2 * self._columns[1].diagonal().log().sum())

    def _sum(self, values: Tensor, d: int) -> float:
        """Over all d dimensions, values (1,) standing for every one."""
        return float(values.sum()) * (d // len(values))


def listed_covariances(given: Sequence[Any], n: int, d: int) -> tuple[Covariance, ...]:
    """One covariance or n of them in d dimensions; a number is an isotropic one."""
    if len(given) not in (1, n):
        raise InputError(
            f"covariances has {len(given)} entries for {n} means; expected one for all or one "
            "for each."
        )
    out = []
    for k, entry in enumerate(given):
        name = f"covariances[{k}]"
        if not isinstance(entry, Covariance):
            if not isinstance(entry, int | float | np.number):
                raise InputError(
                    f"{name} is of type {type(entry).__name__}; expected a Covariance, or the "
                    "variance of an isotropic one. Covariance.full(matrix) takes a matrix."
                )
            entry = Covariance(nonnegative(name, [entry]))
        if entry.dimension not in (None, d):
            raise InputError(
                f"{name} is of dimension {entry.dimension}, the means of dimension {d}; "
                "expected the same."
            )
        out.append(entry)
    return tuple(out)
