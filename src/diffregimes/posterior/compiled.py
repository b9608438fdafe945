"""Sums over a row of points in one go, compiled by numba: w = 2^l without a stored l.

A row has l_nu = a along_nu + b square_nu at every (a, b). What is asked of it are the sums over
stretches of points of w, w^2, w l and w square. All are taken relative to one point of the stretch,
the reference, which need not have the largest l: float32 holds 2^l up to 2^50 above it, and the
reference moves where the sums come near. So a time costs one go over the row.

At the times of a pass a = sqrt(gamma) and b = -gamma/2. Then (l_nu - l_ref)/a is a line in a, and
falls where nu is farther than the reference: once `bits` below the reference, nu stays so at every
larger gamma, and it leaves the row for good.

2^x is 2^i times a polynomial on [-1/2, 1/2] that is right to 8e-8. This module is imported where
it is used, for numba takes half a second to load; `fused` is the door to it.
"""
# mypy: ignore-errors

import numpy as np
from numba import njit

_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(x) for x in (1.00000007, 0.69314695, 0.24022122, 0.05550743, 0.00967546, 0.0013267)
)
_HALF, _LOW, _HIGH, _ZERO = np.float32(0.5), np.float32(-126), np.float32(50), np.float32(0)
_MANTISSA = np.int32(23)  # bits of a float32
_FAR = 2.0**40  # a sum of squares from which the reference moves
_ENDLESS = np.float32(1e37)  # fastmath knows no infinity
_EVERY = 4  # times between looks at who may leave

_fast = njit(fastmath=True, nogil=True)


@_fast
def _sums(along, square, a, b, out):
    out[:] = 0
    for start in range(0, along.size, 1024):  # float32 within, float64 beyond
        u, v = along[start : start + 1024], square[start : start + 1024]
        total = squares = logs = distance = _ZERO
        for j in range(u.size):
            x = a * u[j] + b * v[j]
            x = x if x > _LOW else _LOW
            x = x if x < _HIGH else _HIGH
            whole = np.floor(x + _HALF)
            f = x - whole
            q = _P0 + f * (_P1 + f * (_P2 + f * (_P3 + f * (_P4 + f * _P5))))
            bits = np.float32(q).view(np.int32) + (np.int32(whole) << _MANTISSA)
            w = np.int32(bits).view(np.float32)
            total += w
            squares += w * w
            logs += w * x
            distance += w * v[j]
        out[0] += total
        out[1] += squares
        out[2] += logs
        out[3] += distance


@_fast
def _largest(along, square, a, b):
    top = a * along[0] + b * square[0]
    for j in range(along.size):
        x = a * along[j] + b * square[j]
        top = x if x > top else top
    best, place = -_ENDLESS, 0
    for j in range(along.size):
        x = a * along[j] + b * square[j]
        if x > best:
            best, place = x, j
            if x >= top:
                break
    return place


@_fast
def _count(along, square, a, b, least):
    inside = np.int32(0)
    for j in range(along.size):
        inside += np.int32(a * along[j] + b * square[j] > least)
    return np.int64(inside)


@_fast
def _moved(row, here, a, b, reference):
    """Takes the point of a stretch with the largest l for the reference."""
    along, square = row[0, here], row[1, here]
    j = _largest(along, square, a, b)
    u, v = along[j], square[j]
    for k in range(along.size):  # from what came, for near points are small differences
        row[2, here][k] = along[k] - u
        row[3, here][k] = square[k] - v
    reference[0], reference[1] = u, v


@_fast
def _copied(along, square, sign, row, m):
    for j in range(along.size):
        row[0, m + j] = sign * along[j]
        row[1, m + j] = square[j]
    return m + along.size


@_fast
def _row(along, square, own, sign, ends, row, first):
    """The stretches without the own point, one after the other; where each begins."""
    m = 0
    for s in range(ends.size - 1):
        first[s] = m
        start, stop = ends[s], ends[s + 1]
        cut = own if start <= own < stop else stop
        m = _copied(along[start:cut], square[start:cut], sign, row, m)
        m = _copied(along[cut + 1 : stop], square[cut + 1 : stop], sign, row, m)
    first[-1] = m


@_fast
def _thinned(row, a, b, least, first, tried):
    """Lets points leave where many may; returns how many might have stayed."""
    u, v = row[2, : first[-1]], row[3, : first[-1]]
    inside = _count(u, v, a, b, least)
    if inside > 0.7 * tried:
        return tried
    m = 0
    for s in range(first.size - 1):
        here = range(first[s], first[s + 1])
        first[s] = m
        for j in here:
            stays = np.int64(a * row[2, j] + b * row[3, j] > least) | np.int64(row[3, j] < _ZERO)
            for k in range(4):
                row[k, m] = row[k, j]  # m <= j
            m += stays
    first[-1] = m
    return inside


@_fast
def _merged(a, b, sums, reference, group, top, of_stretch, of_group):
    """From sums relative to the reference of each stretch to those in units of 2^top."""
    best = -np.float64(_ENDLESS)
    for s in range(group.size):
        if sums[s, 0] > 0:
            best = max(best, a * reference[s, 0] + b * reference[s, 1])
    top[0] = best
    of_group[:] = 0
    if sums[:, 0].max() == 0:  # without the own point none is there: as if one were, endlessly far
        of_stretch[:] = 0
        of_stretch[0] = 1
        of_group[0] = 1, 0, 0
        return
    for s in range(group.size):
        of_stretch[s] = 0
        if sums[s, 0] > 0:
            gap = a * reference[s, 0] + b * reference[s, 1] - best
            unit = np.exp2(gap)
            total = unit * sums[s, 0]
            of_stretch[s] = total
            out = of_group[group[s]]
            out[0] += unit * unit * sums[s, 1]
            out[1] += unit * sums[s, 2] + gap * total
            out[2] += unit * sums[s, 3] + reference[s, 1] * total


@njit(
    "void(f4[:,:],f4[:,:],i8[::1],f4[::1],f4[::1],i8[::1],i8[::1],f4,"
    "f8[:,:,:,::1],f4[:,:,:,::1],f8[:,:,:,:,::1])",
    fastmath=True, nogil=True, cache=True,
)  # fmt: skip
def row_sums(square, along, own, a, b, ends, group, least, top, of_stretch, of_group):
    """See `fused.row_sums`. `least`: l below the reference at which points leave, or -inf."""
    stretches = group.size
    row = np.empty((4, square.shape[1]), np.float32)  # along, square; both less the reference's
    first = np.empty(stretches + 1, np.int64)
    reference, sums = np.zeros((stretches, 2)), np.zeros((stretches, 4))
    for i in range(len(square)):
        for sign in range(2):
            _row(along[i], square[i], own[i], np.float32(1 - 2 * sign), ends, row, first)
            tried = first[-1]
            for k in range(a.size):
                if k % _EVERY == 1 and least > -_ENDLESS:
                    tried = _thinned(row, a[k - 1], b[k - 1], least, first, tried)
                for s in range(stretches):
                    here = slice(first[s], first[s + 1])
                    if first[s] == first[s + 1]:
                        sums[s, 0] = 0
                        continue
                    if k == 0:
                        _moved(row, here, a[k], b[k], reference[s])
                    _sums(row[2, here], row[3, here], a[k], b[k], sums[s])
                    if sums[s, 1] > _FAR:
                        _moved(row, here, a[k], b[k], reference[s])
                        _sums(row[2, here], row[3, here], a[k], b[k], sums[s])
                _merged(
                    np.float64(a[k]), np.float64(b[k]), sums, reference, group,
                    top[k, sign, i], of_stretch[k, sign, i], of_group[k, sign, i],
                )  # fmt: skip


@_fast
def _competing(along, square, own, a, b, least, margin, marked):
    """Marks the points of a stretch that are less than `least` below its largest l, for z or -z,
    or nearer than those."""
    top = near = -_ENDLESS
    for sign in range(2):
        flip = np.float32(1 - 2 * sign)
        best, place = -_ENDLESS, -1
        for j in range(along.size):
            x = flip * a * along[j] + b * square[j]
            if x > best and j != own:
                best, place = x, j
        if place < 0:
            return
        near = square[place] + margin
        top = best + least
        for j in range(along.size):
            x = flip * a * along[j] + b * square[j]
            marked[j] |= (x > top) | (square[j] < near)


@njit(
    "i8(f4[:,::1],i8[::1],i8,f4[:,::1],f4[:,:],f4[::1],f4[::1],f4[::1],i8[::1],f4,i8)",
    fastmath=True, nogil=True, cache=True,
)  # fmt: skip
def refine(points, chosen, start, square, along, a, b, margin, ends, least, most):
    """See `fused.products`. In `square` (p, c), of the points from `start` on. Returns how many
    distances were computed again, or -1 where these would be more than `most`."""
    marked = np.empty(square.shape[1], np.bool_)
    done = 0
    for i in range(len(square)):
        marked[:] = False
        for s in range(ends.size - 1):
            here = slice(ends[s], ends[s + 1])
            if b[i] < 0 and ends[s] < ends[s + 1]:
                own = chosen[i] - start - ends[s]
                _competing(
                    along[i, here], square[i, here], own, a[i], b[i], least, margin[i], marked[here]
                )
        for j in range(marked.size):
            done += np.int64(marked[j])
        if done > most:
            return -1
        one = points[chosen[i]]
        for j in range(marked.size):
            if marked[j]:
                two = points[start + j]
                total = 0.0
                for k in range(one.size):
                    gap = np.float64(one[k]) - np.float64(two[k])
                    total += gap * gap
                square[i, j] = total
    return done
