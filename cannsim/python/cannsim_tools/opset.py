"""Which ONNX opsets an emulated CANN version parses.

Only 5.x (11) and 9.x (11 to 18) are documented; the values between are approximations that never exceed what users
report to work.
"""

from __future__ import annotations

OLDEST = 11
NEWEST_BY_MAJOR = {5: 11, 6: 13, 7: 15, 8: 17, 9: 18}
CONFIRMED = {5, 9}


def newest_opset(cann: str) -> int:
    major = int(cann.split(".")[0])
    return NEWEST_BY_MAJOR.get(major, NEWEST_BY_MAJOR[max(NEWEST_BY_MAJOR)])
