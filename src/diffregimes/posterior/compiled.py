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
_PIECE = 1024
_EVERY = 4  # times between looks at who may leave

_fast = njit(fastmath=True, nogil=True)


@_fast
def _sums(row, start, stop, a, b, out):
    """Of w, w^2, w l and w square, relative to the reference."""
    out[0] = out[1] = out[2] = out[3] = 0.0
    while start < stop:  # float32 within, float64 beyond
        end = min(start + _PIECE, stop)
        u, v = row[2, start:end], row[3, start:end]
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
        start = end


@_fast
def _largest(along, square, skip, a, b):
    """The place of the largest l but that of `skip`; -1 of none."""
    best, place = -_ENDLESS, -1
    for j in range(along.size):
        x = a * along[j] + b * square[j]
        if x > best and j != skip:
            best, place = x, j
    return place


@_fast
def _moved(row, start, stop, a, b, reference):
    """Takes the point of a stretch with the largest l for the reference."""
    along, square = row[0, start:stop], row[1, start:stop]
    u, v = row[2, start:stop], row[3, start:stop]
    j = max(_largest(along, square, -1, a, b), 0)
    reference[0], reference[1] = along[j], square[j]
    z, d = along[j], square[j]
    for k in range(u.size):  # from what came, for near points are small differences
        u[k] = along[k] - z
        v[k] = square[k] - d


@_fast
def _row(along, square, own, sign, ends, row, first):
    """The stretches without the own point, one after the other; where each begins."""
    m = 0
    for s in range(first.size - 1):
        first[s] = m
        for j in range(ends[s], ends[s + 1]):
            row[0, m] = sign * along[j]
            row[1, m] = square[j]
            m += np.int64(j != own)
    first[first.size - 1] = m


@_fast
def _thinned(row, a, b, least, first, tried):
    """Lets points leave where many may; returns how many might have stayed."""
    last = first.size - 1
    u, v = row[2, : first[last]], row[3, : first[last]]
    inside = 0
    for j in range(u.size):
        inside += np.int64(a * u[j] + b * v[j] > least)
    if inside > 0.7 * tried:
        return tried
    m = j = 0
    for s in range(last):
        first[s] = m
        while j < first[s + 1]:
            stays = np.int64(a * u[j] + b * v[j] > least) | np.int64(v[j] < _ZERO)
            for k in range(4):
                row[k, m] = row[k, j]  # m <= j
            m += stays
            j += 1
    first[last] = m
    return inside


@_fast
def _merged(a, b, sums, reference, group, of_stretch, of_group):
    """From sums relative to the reference of each stretch to those in units of 2^top; top."""
    top, none = -np.float64(_ENDLESS), True
    for s in range(group.size):
        if sums[s, 0] > 0:
            none = False
            top = max(top, a * reference[s, 0] + b * reference[s, 1])
    for g in range(of_group.shape[0]):
        of_group[g, 0] = of_group[g, 1] = of_group[g, 2] = 0.0
    for s in range(group.size):
        of_stretch[s] = 0
        if sums[s, 0] > 0:
            gap = a * reference[s, 0] + b * reference[s, 1] - top
            unit = np.exp2(gap)
            total = unit * sums[s, 0]
            of_stretch[s] = total
            g = group[s]
            of_group[g, 0] += unit * unit * sums[s, 1]
            of_group[g, 1] += unit * sums[s, 2] + gap * total
            of_group[g, 2] += unit * sums[s, 3] + reference[s, 1] * total
    if none:  # as if one point were there, endlessly far
        of_stretch[0] = 1
        of_group[0, 0] = 1.0
    return top


@njit(
    "void(f4[:,:],f4[:,:],i8[::1],f4[::1],f4[::1],i8[::1],i8[::1],f4,"
    "f8[:,:,::1],f4[:,:,:,::1],f8[:,:,:,:,::1])",
    fastmath=True, nogil=True, cache=True,
)  # fmt: skip
def row_sums(square, along, own, a, b, ends, group, least, top, of_stretch, of_group):
    """See `fused.row_sums`. `least`: l below the reference at which points leave; -1e37 for no."""
    row = np.empty((4, square.shape[1]), np.float32)  # along, square; both less the reference's
    first = np.empty(group.size + 1, np.int64)
    reference, sums = np.zeros((group.size, 2)), np.zeros((group.size, 4))
    for i in range(len(square)):
        for sign in range(2):
            _row(along[i], square[i], own[i], np.float32(1 - 2 * sign), ends, row, first)
            tried = first[group.size]
            for k in range(a.size):
                if k % _EVERY == 1 and least > -_ENDLESS:
                    tried = _thinned(row, a[k - 1], b[k - 1], least, first, tried)
                for s in range(group.size):
                    start, stop = first[s], first[s + 1]
                    if start == stop:
                        sums[s, 0] = 0.0
                        continue
                    if k > 0:
                        _sums(row, start, stop, a[k], b[k], sums[s])
                    if k == 0 or sums[s, 1] > _FAR:
                        _moved(row, start, stop, a[k], b[k], reference[s])
                        _sums(row, start, stop, a[k], b[k], sums[s])
                top[k, sign, i] = _merged(
                    np.float64(a[k]), np.float64(b[k]), sums, reference, group,
                    of_stretch[k, sign, i], of_group[k, sign, i],
                )  # fmt: skip


@_fast
def _marked(along, square, own, a, b, least, margin, marked):
    """Marks the points of a stretch that are less than `least` below its largest l, or nearer."""
    place = _largest(along, square, own, a, b)
    if place >= 0:
        near = square[place] + margin
        top = a * along[place] + b * square[place] + least
        for j in range(along.size):
            marked[j] |= (a * along[j] + b * square[j] > top) | (square[j] < near)


@_fast
def _apart(one, two):
    """|one - two|^2."""
    total = 0.0
    for k in range(one.size):
        gap = one[k] - two[k]
        total += np.float64(gap * gap)
    return total


@njit(
    "i8(f4[:,::1],f4[:,::1],i8[::1],i8,f4[:,::1],f4[:,:],f4[::1],f4[::1],f4[::1],i8[::1],f4,i8)",
    fastmath=True, nogil=True, cache=True,
)  # fmt: skip
def refine(points, rows, chosen, first, square, along, a, b, margin, ends, least, most):
    """See `fused.distances`. In `square` (p, c), of the points from `first` on. Returns how many
    distances were computed again, or -1 where these would be more than `most`."""
    done = 0
    for i in range(len(square)):
        if b[i] == 0:
            continue
        marked = np.zeros(square.shape[1], np.bool_)
        for s in range(ends.size - 1):
            start, stop = ends[s], ends[s + 1]
            u, v, into = along[i, start:stop], square[i, start:stop], marked[start:stop]
            own = chosen[i] - first - start
            _marked(u, v, own, a[i], b[i], least, margin[i], into)
            _marked(u, v, own, -a[i], b[i], least, margin[i], into)
        for j in range(marked.size):
            done += np.int64(marked[j])
        if done > most:
            return -1
        for j in range(marked.size):
            if marked[j]:
                square[i, j] = _apart(rows[i], points[first + j])
    return done
