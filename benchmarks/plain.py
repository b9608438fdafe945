"""The plain estimator of the excess entropy, which the posterior pass is compared with.

Law: f(t) = s^sep - s with s = E[-log P_t(x_t)] / d, estimated by fresh noised samples x_t at every
time and all n distances |x_t - e^{-t} a_nu|^2 for each of them. Returned is f/alpha with
alpha = (log n)/d, that is

    f/alpha = (log n + d/2 + (d/2) log(2 pi D) - E[-log P_t(x_t)]) / log n,    D = 1 - e^{-2t},

and its standard error. The per-draw spread is about sqrt(d/2) nats at every time, since the norm
of the noise stays in -log P: it is this, more than the arithmetic, that the plain form pays for.

`plain_batched` is the estimator written with care (matrix products, norms once, buffers kept);
`plain_loop` has the form of the scripts in circulation, one draw at a time. Both keep their large
arrays, so that the cost measured is that of the estimator and not of the memory allocator.
"""

import math

import torch


def _summary(minus_log_p: torch.Tensor, n: int, d: int, variance: float) -> tuple[float, float]:
    """Mean and standard error of f/alpha from -log P of every draw (draws,)."""
    values = minus_log_p.double()
    separated = math.log(n) + 0.5 * d * (1.0 + math.log(2.0 * math.pi * variance))
    error = values.std().item() / math.sqrt(len(values))
    return (separated - values.mean().item()) / math.log(n), error / math.log(n)


def _log_normaliser(n: int, d: int, variance: float) -> float:
    """log n + (d/2) log(2 pi D): what -log P adds to -logsumexp(-distance / 2D)."""
    return math.log(n) + 0.5 * d * math.log(2.0 * math.pi * variance)


def logsumexp_(exponents: torch.Tensor) -> torch.Tensor:
    """log sum exp of every row (m, n) -> (m,), overwriting it: no fresh m x n array."""
    top = exponents.amax(1, keepdim=True)
    return exponents.sub_(top).exp_().sum(1).log_().add_(top[:, 0])


def minus_log_p_batched(
    points: torch.Tensor, t: float, draws: int, generator: torch.Generator, batch: int = 512
) -> torch.Tensor:
    """-log P_t(x_t) for fresh draws at one time: points (n, d) float32 -> (draws,).

    The exponents -|x - e^{-t} a|^2 / 2D come from one `addmm` a batch; |x|^2 is added to the
    result, being common to a row.
    """
    n, d = points.shape
    signal, variance = math.exp(-t), -math.expm1(-2.0 * t)
    norms = points.square().sum(1)
    buffer, noise = points.new_empty(batch, n), points.new_empty(batch, d)
    out = points.new_empty(draws)
    for start in range(0, draws, batch):
        m = min(batch, draws - start)
        index = torch.randint(n, (m,), generator=generator, device=points.device)
        x = noise[:m].normal_(generator=generator).mul_(math.sqrt(variance))
        x.add_(points[index], alpha=signal)
        beta, alpha = -0.5 * signal**2 / variance, signal / variance
        exponents = torch.addmm(norms, x, points.T, beta=beta, alpha=alpha, out=buffer[:m])
        rows = logsumexp_(exponents).sub_(x.square().sum(1), alpha=0.5 / variance)
        out[start : start + m] = rows
    return out.neg_().add_(_log_normaliser(n, d, variance))


def minus_log_p_loop(
    points: torch.Tensor, t: float, draws: int, generator: torch.Generator
) -> torch.Tensor:
    """-log P_t(x_t) for fresh draws at one time, one draw after the other -> (draws,).

    The n x d differences go to one kept array: `((x - scaled) ** 2).sum(1)`, which asks for two
    fresh ones a draw, is the same sum at up to six times the cost where the allocator gives large
    arrays back to the system.
    """
    n, d = points.shape
    signal, variance = math.exp(-t), -math.expm1(-2.0 * t)
    scaled = signal * points
    out, differences = points.new_empty(draws), torch.empty_like(points)
    for i in range(draws):
        index = int(torch.randint(n, (1,), generator=generator, device=points.device))
        z = torch.randn(d, generator=generator, device=points.device)
        x = scaled[index] + math.sqrt(variance) * z
        distances = torch.sub(x, scaled, out=differences).square_().sum(1)
        out[i] = -torch.logsumexp(-distances / (2.0 * variance), 0)
    return out.add_(_log_normaliser(n, d, variance))


def plain_batched(
    points: torch.Tensor, times: torch.Tensor, draws: int, seed: int, batch: int = 512
) -> tuple[torch.Tensor, torch.Tensor]:
    """f/alpha and its standard error at every time: points (n, d), times (T,) -> (T,), (T,)."""
    generator = torch.Generator(points.device).manual_seed(seed)
    n, d = points.shape
    results = []
    for t in torch.as_tensor(times).tolist():
        values = minus_log_p_batched(points, t, draws, generator, batch)
        results.append(_summary(values, n, d, -math.expm1(-2.0 * t)))
    mean, error = torch.tensor(results, dtype=torch.float64).T
    return mean, error


def plain_loop(
    points: torch.Tensor, times: torch.Tensor, draws: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same by a loop over draws: points (n, d), times (T,) -> (T,), (T,)."""
    generator = torch.Generator(points.device).manual_seed(seed)
    n, d = points.shape
    results = []
    for t in torch.as_tensor(times).tolist():
        values = minus_log_p_loop(points, t, draws, generator)
        results.append(_summary(values, n, d, -math.expm1(-2.0 * t)))
    mean, error = torch.tensor(results, dtype=torch.float64).T
    return mean, error
