"""The rules' findings in Chinese, said again from their figures (share, evidence), one entry a rule by its name.

A rule that is not listed here (a team's own) keeps its own words; a test names rules of ours that are missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from edgewright.core.profile import Finding
from edgewright.report.numbers import percent

_SIMULATED = " (simulated)"

RULES: Mapping[str, tuple[str, str, str]] = {
    "convolutions": (
        "卷积占 {share} 的时间",
        "卷积算子占全部算子时间的 {share}。证据中列出相对屋顶线效率最低者。",
        "以更低精度运行卷积：先试 INT8，再试半精度。",
    ),
    "matmuls": (
        "矩阵乘占 {share} 的时间",
        "矩阵乘占全部算子时间的 {share}。",
        "先试无需校准数据的动态 INT8，再试半精度。",
    ),
    "copies": (
        "拷贝与布局转换占 {share} 的时间",
        "只搬运数据的算子占 {share} 的时间，主要是 {type}。",
        "简化计算图，从输入到输出保持同一内存布局，并把检测头的解码移出计算图。",
    ),
    "decoded_head": (
        "在图内解码所有候选框占 {share} 的时间",
        "计算图末尾的算子解码了所有候选框，无论是否需要，占 {share} 的时间。",
        "在解码之前切断计算图，只解码超过阈值的候选。",
    ),
    "input_preparation": (
        "输入准备占一次请求的 {share}",
        "前处理占一次请求（从解码后的像素到预测结果）的 {share}。",
        "把颜色顺序、缩放系数和布局并入计算图，让它直接接收 uint8 像素。",
    ),
    "output_processing": (
        "输出处理占一次请求的 {share}",
        "后处理占一次请求的 {share}。",
        "先按得分过滤再解码，只处理留下的候选。",
    ),
    "transfers": (
        "主机与设备间的传输占一次请求的 {share}",
        "数据在主机与设备之间的传输占一次请求的 {share}。",
        "传 uint8 而非 float32，只取回用到的输出，并让拷贝与计算重叠。",
    ),
    "gaps": (
        "有 {share} 的时间没有任何计算",
        "算子之间的空隙合计占时间线的 {share}。证据中列出最大的空隙。",
        "让设备每次做更多工作（更大的批量、多个流），或使用更少更大的算子。",
    ),
    "reference_kernels": (
        "运行在参考内核上的算子占 {share} 的时间",
        "这些算子没有找到优化内核，退回到参考内核，占 {share} 的时间。",
        "改变算子的布局、形状或数据类型以便使用优化内核，或把它移出计算图。",
    ),
    "float_in_int8": (
        "INT8 图中有 {n0} 个重算子以浮点运行，占 {share} 的时间",
        "这些卷积或矩阵乘以浮点执行，占 {share} 的时间。",
        "查明它们是否为保精度而保留；若不是，也量化其输入与权重。",
    ),
    "cpu_fallback": (
        "{n0} 个算子退回到 CPU，占 {share} 的时间",
        "这些算子在 CPU 而非加速器上运行，占 {share} 的时间（不含传输）。",
        "换成加速器支持的算子，或把它们移出计算图。",
    ),
    "memory_bound": (
        "受访存限制的算子占 {share} 的时间",
        "按屋顶线模型，{share} 的算子时间受访存限制。",
        "减少搬运的字节：更低精度、融合算子、更小的输入。",
    ),
    "quantisation_potential": (
        "INT8 可使网络提速到 {gain} 倍",
        "{share} 的时间在 INT8 可承接的算子上，设备实测 INT8 峰值是当前精度的 {ratio} 倍；"
        "按阿姆达尔定律最多 {gain} 倍。",
        "构建一个 INT8 候选；精度是否保得住，由检查阶段测定。",
    ),
    "int8_tolerance": (
        "{n1} 个卷积中有 {n0} 个通常能承受 INT8，占 {share} 的时间",
        "{n1} 个卷积中有 {n0} 个既非首层、末层，也非深度卷积（后几类易在 INT8 下损失精度）。其余列于证据。",
        "先全部量化；若精度受损，让所列的卷积保持浮点。",
    ),
    "activations": (
        "独立的激活函数占 {share} 的时间",
        "激活函数未融合进前一个算子，占 {share} 的时间。",
        "使用能融合它们的运行时，或采用激活更廉价的网络（ReLU、hard-swish）。",
    ),
    "utilisation": (
        "重算子只达到设备能力的 {n0} %",
        "受算力限制的算子占 {share} 的时间，但远低于实测峰值。",
        "使用全部核心、多个流，或在延迟允许时加大批量。",
    ),
}

HEALTH: Mapping[str, tuple[str, str, str]] = {
    "calibration-size": (
        "校准样本只有 {n0} 个",
        "样本太少时，新样本更容易超出校准所见的范围。",
        "在 `data.calibration` 中增加样本；无需标注。",
    ),
    "calibration-duplicates": (
        "{n1} 张校准图像中有 {n0} 张与其他图像重复",
        "重复的图像会被计两次，却不带来新内容。",
        "去掉重复的图像。",
    ),
    "calibration-overlap": (
        "{n1} 张验证图像中有 {n0} 张也用于校准",
        "在校准过的图像上测指标，会高估量化模型。",
        "让两个数据集互不重叠。",
    ),
    "calibration-classes": (
        "{n1} 个类别中有 {n0} 个未出现在校准图像中",
        "验证集中有这些类别，校准集中没有。",
        "在 `data.calibration` 中加入这些类别的图像。",
    ),
    "calibration-brightness": (
        "{share} 的验证图像比所有校准图像更暗或更亮",
        "验证集的亮度超出了校准集的范围。",
        "用设备会遇到的各种光照下的图像校准。",
    ),
}
"""The tasks' findings on calibration data."""


def translate(finding: Finding) -> Finding | None:
    """The finding in Chinese; None where its rule has no entry."""
    entry = RULES.get(finding.rule) or HEALTH.get(finding.rule)
    if entry is None:
        return None
    figures = _figures(finding)
    title, detail, remedy = (text.format_map(figures) for text in entry)
    mark = "（模拟）" if finding.title.endswith(_SIMULATED) else ""
    return replace(finding, title=title + mark, detail=detail, remedy=remedy)


def _figures(finding: Finding) -> Mapping[str, str]:
    """What the texts may cite: the share, the first evidence row, and the numbers of the title (n0, n1)."""
    numbers = re.findall(r"\d+(?:\.\d+)?", finding.title)
    row = finding.evidence[0] if finding.evidence else {}
    return {
        "share": percent(finding.share),
        "type": str(row.get("type", "?")),
        "gain": _figure(row.get("predicted_gain")),
        "ratio": _figure(row.get("peak_ratio")),
        "n0": numbers[0] if numbers else "?",
        "n1": numbers[1] if len(numbers) > 1 else "?",
    }


def _figure(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else "?"
