"""Whether two predictions of the same sample say the same, as far as two processors can agree.

Integer kernels differ between instruction sets in the last place of a sum, so equal bits are not
asked: scores within 0.05, boxes overlapping by 0.9, fractions within 2 % of their scale; whole numbers are exact.
"""

from __future__ import annotations

from typing import Any, Iterable, List, Sequence

SCORE = 0.05
OVERLAP = 0.9
NUMBER = 0.02


def difference(kind: str, expected: Any, seen: Any, threshold: float = 0.0) -> str:
    """What differs, in words; "" where the predictions agree. `kind` is the task's kind and
    `threshold` the confidence in force: a box that near it may be there or not."""
    if kind == "detection":
        return _boxes(expected, seen, threshold)
    if kind == "classification":
        return _classes(expected, seen)
    return _values(expected, seen, "the prediction")


def _boxes(expected: Sequence[Sequence[float]], seen: Sequence[Sequence[float]], threshold: float) -> str:
    left = [list(box) for box in seen]
    for box in expected:
        near = [other for other in left if other[0] == box[0] and overlap(box, other) >= OVERLAP]
        best = min(near, key=lambda other: abs(other[1] - box[1]), default=None)
        if best is None:
            if box[1] > threshold + SCORE:
                return "a box of class %d with score %.3f is missing" % (box[0], box[1])
            continue
        if abs(best[1] - box[1]) > SCORE:
            return "a box of class %d has score %.3f, not %.3f" % (box[0], best[1], box[1])
        left.remove(best)
    strange = [box for box in left if box[1] > threshold + SCORE]
    return "a box of class %d with score %.3f is new" % (strange[0][0], strange[0][1]) if strange else ""


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two [class, score, x1, y1, x2, y2]; 1 for two equal empty boxes."""
    width = min(a[4], b[4]) - max(a[2], b[2])
    height = min(a[5], b[5]) - max(a[3], b[3])
    both = max(width, 0.0) * max(height, 0.0)
    either = (a[4] - a[2]) * (a[5] - a[3]) + (b[4] - b[2]) * (b[5] - b[3]) - both
    return both / either if either > 0 else float(list(a[2:6]) == list(b[2:6]))


def _classes(expected: Sequence[Sequence[float]], seen: Sequence[Sequence[float]]) -> str:
    found = {int(entry[0]): float(entry[1]) for entry in seen}
    lowest = min(found.values(), default=0.0)
    for entry in expected:
        # A class just beyond the last place shown has at most the probability of that place.
        probability = found.get(int(entry[0]), lowest if len(found) >= len(expected) else 0.0)
        if not abs(probability - float(entry[1])) <= SCORE:
            return "class %d has probability %.3f, not %.3f" % (entry[0], probability, entry[1])
    return ""


def _values(expected: Any, seen: Any, where: str, scale: float = 0.0) -> str:
    if isinstance(expected, dict) and isinstance(seen, dict):
        if set(expected) != set(seen):
            return "%s has other entries" % where
        # The numbers of one object describe one thing (an array's mean, extremes): they share a scale.
        scale = _scale(expected.values())
        said = (_values(expected[key], seen[key], "%s.%s" % (where, key), scale) for key in sorted(expected))
        return next((text for text in said if text), "")
    if isinstance(expected, list) and isinstance(seen, list):
        return _lists(expected, seen, where)
    if _number(expected) and _number(seen):
        return "" if _near(expected, seen, max(scale, abs(expected))) else _other(where, expected, seen)
    return "" if expected == seen else _other(where, expected, seen)


def _lists(expected: List[Any], seen: List[Any], where: str) -> str:
    if len(expected) != len(seen):
        return "%s has %d entries, not %d" % (where, len(seen), len(expected))
    # Within a vector what matters is its largest value: a small one carries the noise of the others.
    scale = _scale(expected)
    for index, (left, right) in enumerate(zip(expected, seen)):
        place = "%s[%d]" % (where, index)
        if _number(left) and _number(right):
            if not _near(left, right, scale):
                return _other(place, left, right)
        else:
            said = _values(left, right, place)
            if said:
                return said
    return ""


def _near(expected: Any, seen: Any, scale: float) -> bool:
    if isinstance(expected, int) and isinstance(seen, int):
        return expected == seen  # a shape, a class, a token
    both_nan = expected != expected and seen != seen
    return bool(both_nan or abs(expected - seen) <= NUMBER * scale + 1e-6)


def _scale(values: Iterable[Any]) -> float:
    return max((abs(float(v)) for v in values if _number(v) and v == v), default=0.0)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _other(where: str, expected: Any, seen: Any) -> str:
    return "%s is %.60s, not %.60s" % (where, seen, expected)
