"""The pass over low-resolution logits, written so that numba can compile it.

A mask is walked column by column in the order of COCO's run lengths. Of each of the two steps that
bring logits to the size of the image (`interpolate.upsample_logits`) only two columns are kept at
a time, so that nothing of the size of the image is stored. The arithmetic is that of the NumPy
path, operation by operation in float32, so that the logits are equal bit by bit.

These are plain Python functions: they also run, slowly, without being compiled. Indices are
unsigned, because for signed ones numba also asks whether they count from the end.
"""

from typing import TypeAlias

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

__all__ = ["measure"]

Logits: TypeAlias = NDArray[np.float32]
Indices: TypeAlias = NDArray[np.uint32]
Flags: TypeAlias = NDArray[np.uint8]
Words: TypeAlias = NDArray[np.uint64]
Counts: TypeAlias = NDArray[np.int64]

_WORD = 8
_FULL_WORD = np.uint64(0x0101010101010101)


@register_jitable
def _find_active(values: Logits, floor: np.float32, rows: Flags, columns: Flags) -> None:
    """Mark the rows and columns of (h, w) logits in which one is above `floor`."""
    for x in range(len(columns)):
        columns[x] = 0
    for y in range(values.shape[0]):
        some = np.uint8(0)
        row = values[y]
        for x in range(values.shape[1]):
            above = np.uint8(row[x] > floor)
            columns[x] |= above
            some |= above
        rows[y] = some


@register_jitable
def _is_active(active: Flags, sources_in: Indices, sources_out: Indices, at: int) -> bool:
    """Whether a row or column of the window is made from an active one.

    What is interpolated lies between its neighbours, so that nothing else can be above.
    """
    first = sources_in[0, sources_out[0, at]]
    last = sources_in[1, sources_out[1, at]]
    for source in range(first, last + np.uint32(1)):  # noqa: SIM110 (numba knows no generators)
        if active[source]:
            return True
    return False


@register_jitable
def _active_span(active: Flags, sources_in: Indices, sources_out: Indices) -> tuple[int, int]:
    """Half-open range of the window outside of which nothing is active."""
    first, last = 0, sources_out.shape[1]
    while first < last and not _is_active(active, sources_in, sources_out, first):
        first += 1
    while last > first and not _is_active(active, sources_in, sources_out, last - 1):
        last -= 1
    return first, last


@register_jitable
def _stretch(
    values: Logits,
    sources: Indices,
    weights: Logits,
    first: int | np.int64,
    last: int | np.int64,
    out: Logits,
) -> None:
    """Interpolate along a column: ``out[i]`` is row ``first + i`` of the longer column."""
    lows, highs = sources[0][first:last], sources[1][first:last]
    shares, others = weights[0][first:last], weights[1][first:last]
    for i in range(len(lows)):
        out[i] = values[lows[i]] * shares[i] + values[highs[i]] * others[i]


@register_jitable
def _threshold(
    first: Logits,
    second: Logits,
    weight: np.float32,
    other: np.float32,
    levels: Logits,
    flags: Flags,
) -> tuple[np.int32, np.int32, np.int32]:
    """Interpolate between two columns, flag the mask and count it at three thresholds."""
    outer, middle, inner = levels[0], levels[1], levels[2]
    n_outer = n_mask = n_inner = np.int32(0)
    for i in range(len(first)):
        value = first[i] * weight + second[i] * other
        flag = np.uint8(value > middle)
        flags[i] = flag
        n_outer += np.int32(value > outer)
        n_mask += np.int32(flag)
        n_inner += np.int32(value > inner)
    return n_outer, n_mask, n_inner


@register_jitable
def _next(flags: Flags, words: Words, n: int, at: int, wanted: int) -> int:
    """The first position from `at` on whose flag is `wanted`, or n; whole words are skipped."""
    dull = np.uint64(0) if wanted else _FULL_WORD
    while at < n and flags[at] != wanted:
        if at % _WORD == 0 and words[at // _WORD] == dull:
            at += _WORD
        else:
            at += 1
    return min(at, n)


@register_jitable
def _grown(array: Counts, needed: int) -> Counts:
    """A copy with room for at least twice as many."""
    larger = np.zeros(max(2 * len(array), needed), np.int64)
    for i in range(len(array)):
        larger[i] = array[i]
    return larger


@register_jitable
def _input_column(
    values: Logits,
    columns: Indices,
    weights: Logits,
    rows: Indices,
    row_weights: Logits,
    first_row: np.int64,
    column: int,
    low: Logits,
    stretched: Logits,
    known: Counts,
    out: Logits,
) -> None:
    """One column of the model's input, from two low-resolution columns stretched to its height.

    Neighbours share those: `stretched` holds an even and an odd one, and `known` which they are.
    """
    for source in range(2):
        at = columns[source, column]
        if known[at & 1] != at:
            known[at & 1] = at
            for i in range(len(low)):
                low[i] = values[i, at]
            _stretch(low, rows, row_weights, first_row, first_row + len(out), stretched[at & 1])
    first, second = stretched[columns[0, column] & 1], stretched[columns[1, column] & 1]
    weight, other = weights[0, column], weights[1, column]
    for i in range(len(out)):
        out[i] = first[i] * weight + second[i] * other


@register_jitable
def _add_edges(
    flags: Flags, words: Words, n: int, start: int, edges: Counts, n_edges: int
) -> tuple[int, int, int]:
    """Append where the runs of one column begin and end.

    Returns
    -------
    n_edges, first, last
        Edges now, and the column's first flagged position and the end of its last run.
    """
    begin = _next(flags, words, n, 0, 1)
    first, last = begin, begin
    while begin < n:
        end = _next(flags, words, n, begin, 0)
        if n_edges > 0 and edges[n_edges - 1] == start + begin:
            n_edges -= 1  # the mask goes on from the foot of the column before
        else:
            edges[n_edges] = start + begin
            n_edges += 1
        edges[n_edges] = start + end
        n_edges += 1
        last = end
        begin = _next(flags, words, n, end, 1)
    return n_edges, first, last


@register_jitable
def _add_runs(edges: Counts, n_edges: int, pixels: int, runs: Counts, used: int) -> int:
    """Append the run lengths between edges to those of other masks; how many there are now."""
    position = 0
    for i in range(n_edges):
        runs[used + i] = edges[i] - position
        position = edges[i]
    used += n_edges
    if position < pixels:
        runs[used] = pixels - position
        used += 1
    return used


def measure(
    logits: Logits,
    rows_in: Indices,
    row_weights_in: Logits,
    columns_in: Indices,
    column_weights_in: Logits,
    rows_out: Indices,
    row_weights_out: Logits,
    columns_out: Indices,
    column_weights_out: Logits,
    levels: Logits,
    place: Counts,
    counts: Counts,
    boxes: Counts,
    ends: Counts,
) -> Counts:
    """Count, box and run-length encode masks.

    Parameters
    ----------
    logits
        (N, h, w) float32 at low resolution.
    rows_in, row_weights_in
        Rows from low resolution to the model's input: (2, n) uint32, the two source rows of each
        row, and (2, n) float32, what they weigh.
    columns_in, column_weights_in
        The same for columns.
    rows_out, row_weights_out, columns_out, column_weights_out
        The same from the model's input to the window of the image.
    levels
        (5,) float32: outer, mask and inner threshold; the value below which no logit can reach
        the outer one; and the stability below which run lengths are left out.
    place
        (4,) int64: x and y of the window in the image, height and width of the image.
    counts
        (N, 3) int64 zeros, filled with the pixels above the outer, mask and inner threshold.
    boxes
        (N, 4) int64 zeros, filled with xyxy in the image, x1 and y1 exclusive; an empty mask
        leaves its zeros.
    ends
        (N,) int64, filled with where in the result the run lengths of each mask end.

    Returns
    -------
    int64 run lengths of all masks, one mask after the other: columns of the whole image, starting
    with background. There are none for a mask that is not stable enough or is empty.
    """
    n_low_rows, n_low_columns = logits.shape[1], logits.shape[2]
    n_rows, n_columns = rows_out.shape[1], columns_out.shape[1]
    n_input_rows = rows_in.shape[1]
    left, top, height, width = place[0], place[1], place[2], place[3]
    active_rows = np.zeros(n_low_rows, np.uint8)
    active_columns = np.zeros(n_low_columns, np.uint8)
    low = np.zeros(n_low_rows, np.float32)
    stretched = np.zeros((2, n_input_rows), np.float32)
    input_column = np.zeros(n_input_rows, np.float32)
    enlarged = np.zeros((2, n_rows), np.float32)
    words = np.zeros(n_rows // _WORD + 2, np.uint64)
    flags = words.view(np.uint8)
    low_known, known = np.zeros(2, np.int64), np.zeros(2, np.int64)
    edges: Counts = np.zeros(1024, np.int64)
    runs: Counts = np.zeros(4096, np.int64)
    used = 0
    for index in range(logits.shape[0]):
        values = logits[index]
        ends[index] = used
        _find_active(values, levels[3], active_rows, active_columns)
        first, last = _active_span(active_rows, rows_in, rows_out)
        if first >= last:
            continue
        n = last - first
        for i in range(n // _WORD, len(words)):
            words[i] = 0
        input_first, input_last = np.int64(rows_out[0, first]), np.int64(rows_out[1, last - 1] + 1)
        low_known[0] = low_known[1] = known[0] = known[1] = -1
        n_edges = 0
        x0, x1, y0, y1 = n_columns, 0, n_rows, 0
        for x in range(n_columns):
            if not _is_active(active_columns, columns_in, columns_out, x):
                continue
            for side in range(2):
                column = columns_out[side, x]
                if known[column & 1] != column:
                    known[column & 1] = column
                    _input_column(
                        values,
                        columns_in,
                        column_weights_in,
                        rows_in,
                        row_weights_in,
                        input_first,
                        column,
                        low,
                        stretched,
                        low_known,
                        input_column[input_first:input_last],
                    )
                    _stretch(
                        input_column, rows_out, row_weights_out, first, last, enlarged[column & 1]
                    )
            n_outer, n_mask, n_inner = _threshold(
                enlarged[columns_out[0, x] & 1][:n],
                enlarged[columns_out[1, x] & 1][:n],
                column_weights_out[0, x],
                column_weights_out[1, x],
                levels,
                flags,
            )
            counts[index, 0] += n_outer
            counts[index, 1] += n_mask
            counts[index, 2] += n_inner
            if n_mask == 0:
                continue
            x0, x1 = min(x0, x), x + 1
            if n_edges + n + 2 > len(edges):
                edges = _grown(edges, n_edges + n + 2)
            start = (left + x) * height + top + first
            n_edges, highest, lowest = _add_edges(flags, words, n, start, edges, n_edges)
            y0, y1 = min(y0, first + highest), max(y1, first + lowest)
        if n_edges == 0:
            continue
        boxes[index, 0], boxes[index, 1] = left + x0, top + y0
        boxes[index, 2], boxes[index, 3] = left + x1, top + y1
        stability = np.float32(counts[index, 2]) / np.float32(counts[index, 0])
        if stability < levels[4]:
            continue
        if used + n_edges + 2 > len(runs):
            runs = _grown(runs, used + n_edges + 2)
        used = _add_runs(edges, n_edges, height * width, runs, used)
        ends[index] = used
    return runs[:used]
