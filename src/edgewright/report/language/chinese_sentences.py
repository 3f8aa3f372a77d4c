"""The pipeline's sentences (decisions, reasons) in Chinese, recognised by their shape.

A sentence of another shape stays as it was written. Several reasons in one sentence are joined by "; ".
"""

from __future__ import annotations

import re

_N = r"([+\-−]?[\d.,]+)"

_GOALS = {"latency": "延迟", "throughput": "吞吐量", "accuracy": "精度", "size": "体积", "memory": "内存"}

_SENTENCES = tuple(
    (re.compile(pattern + r"\.?"), text)
    for pattern, text in (
        (
            rf"(\S+) is chosen for (\w+): {_N} ms, {_N} \({_N} to {_N}\) times the speed of the baseline"
            rf"(?:, at a drop of {_N} \({_N} to {_N}\) points of ([\w-]+))?"
            r"(; its verdict is undecided and was accepted)?",
            "选用 {0}（优化目标：{1}）：{2} ms，速度是基线的 {3} 倍（{4} 至 {5}）",
        ),
        (r"(\S+) fails: (.+?)", "{0} 未达目标：{1}"),
        (
            r"(\S+) is passed over: it is not measurably faster than (\S+), which is more accurate",
            "{0} 未被选用：测不出它比精度更高的 {1} 更快",
        ),
        (
            r"(\S+) is passed over: it is not measurably faster than (\S+), which is plainer",
            "{0} 未被选用：测不出它比更简单的 {1} 更快",
        ),
        (
            rf"(\S+) keeps the goal too, but (\S+) is better for (\w+) \({_N} times its speed\)",
            "{0} 也达到目标，但就{2}而言 {1} 更好（速度是它的 {3} 倍）",
        ),
        (r"(\S+) could not be measured: (.+?)", "{0} 无法测量：{1}"),
    )
)

_REASONS = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (rf"([\w-]+) drops {_N} points \({_N} to {_N}, limit {_N}\)", "{0} 下降 {1} 个百分点（{2} 至 {3}，上限 {4}）"),
        (rf"{_N} samples cannot decide it, about {_N} samples would decide", "{0} 个样本不足以判定，约需 {1} 个样本"),
        (
            rf"{_N} samples cannot decide it, no number of samples would decide",
            "{0} 个样本不足以判定，再多样本也无法判定",
        ),
        (rf"p95 is {_N} ms \({_N} to {_N}\), limit {_N} ms", "p95 为 {0} ms（{1} 至 {2}），上限 {3} ms"),
        (rf"throughput is {_N}/s \({_N} to {_N}\), wanted {_N}/s", "吞吐量 {0} 次/秒（{1} 至 {2}），要求 {3} 次/秒"),
        (rf"size is {_N} MiB, limit {_N} MiB", "体积 {0} MiB，上限 {1} MiB"),
        (rf"memory is {_N} MiB, limit {_N} MiB", "内存 {0} MiB，上限 {1} MiB"),
        (r"the goal says to fall back when undecided", "目标设定为未判定时回退"),
        (r"and the point estimate misses the limit", "且点估计超出上限"),
        (r"([\w-]+) has no reference to drop from", "{0} 没有可比较的参照"),
        (r"nothing of it executed in INT8 \((.+?)\)", "没有任何部分以 INT8 执行（{0}）"),
        (r"what executed in which precision is not known on this device", "此设备无法得知实际执行的精度"),
    )
)


def translate(sentence: str) -> str | None:
    """The sentence in Chinese; None where its shape is not known."""
    sentence = sentence.replace("map50_95", "mAP50-95").replace("map50 ", "mAP50 ")
    for pattern, text in _SENTENCES:
        match = pattern.fullmatch(sentence)
        if match:
            return _said(text, match)
    return _reasons(sentence.removesuffix("."))


def _said(text: str, match: re.Match[str]) -> str | None:
    groups = [group or "" for group in match.groups()]
    if text.startswith("选用"):
        return _chosen(text, groups)
    if text.endswith("：{1}"):
        inner = _reasons(groups[1])
        return text.format(groups[0], inner or groups[1]) + "。"
    return text.format(*(_GOALS.get(group, group) for group in groups)) + "。"


def _chosen(text: str, groups: list[str]) -> str:
    said = text.format(groups[0], _GOALS.get(groups[1], groups[1]), *groups[2:6])
    if groups[9]:
        said += f"，{groups[9]} 下降 {groups[6]} 个百分点（{groups[7]} 至 {groups[8]}）"
    return said + ("；尚未判定，按设置接受。" if groups[10] else "。")


def _reasons(text: str) -> str | None:
    """Each part between "; " (and after ": " or ", and") by its shape; None where one is not known."""
    said = []
    for part in re.split(r"; |: |, (?=and the point)", text):
        known = next(((pattern.fullmatch(part), form) for pattern, form in _REASONS if pattern.fullmatch(part)), None)
        if known is None or known[0] is None:
            return None
        said.append(known[1].format(*known[0].groups()))
    return "；".join(said)
