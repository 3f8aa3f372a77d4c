"""The vendor's error codes: titles and templates of those the stand-in can raise, and how a block is printed.

Templates as in the published table of CANN 8.1; 9.x prints them without the brackets round values.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from .installation import installation

TEMPLATES = {
    "E10001": ("Invalid Argument", "Value [{0}] for parameter [{1}] is invalid. Reason: {2}"),
    "E10002": (
        "Invalid --input_shape Argument",
        "Value [{0}] for parameter [--input_shape] is invalid. Reason: {1} The value must be formatted as [{2}].",
    ),
    "E10003": ("Invalid Argument", "Value [{0}] for parameter [--{1}] is invalid. Reason: {2}"),
    "E10004": ("Invalid Argument", "Value for [--{0}] is empty."),
    "E10005": (
        "Invalid Argument",
        "Value [{0}] for parameter [--{1}] is invalid. The value must be either [true] or [false].",
    ),
    "E10006": ("Invalid Argument", "Value [{0}] for parameter [--{1}] is invalid. The value must be either 1 or 0."),
    "E10007": ("Invalid Argument", "[--{0}] is required. The value must be [{1}]."),
    "E10008": ("Invalid Argument", "[--weight] must not be empty when [--framework] is set to 0 (Caffe)."),
    "E10009": (
        "Invalid Dynamic Shape Argument",
        "[--dynamic_batch_size], [--dynamic_image_size], [--input_shape_range], and [--dynamic_dims] are mutually "
        "exclusive.",
    ),
    "E10010": ("Invalid --log Argument", "Value [{0}] for parameter [--log] is invalid."),
    "E10011": (
        "Invalid --input_shape Argument",
        "Value [{0}] for parameter [--input_shape] is invalid. Shape values must be positive integers. The error value "
        "in the shape is {1}",
    ),
    "E10012": (
        "Invalid --input_shape Argument",
        "[--dynamic_batch_size] is included, but the dimension count of the dynamic-shape input configured in "
        "[--input_shape] is less than 1.",
    ),
    "E10016": (
        "Invalid Node Name",
        "Opname [{0}] specified in [--{1}] is not found in the model, confirm whether this node name exists, or node "
        "is not split with the specified delimiter ';'",
    ),
    "E10018": (
        "Invalid Dynamic Shape Argument",
        "Value [{0}] for shape [{1}] is invalid. When [--dynamic_batch_size] is included, only batch size N can be -1 "
        "in [--input_shape].",
    ),
    "E10019": (
        "Invalid --input_shape Argument",
        "When [--dynamic_image_size] is included, only the height and width axes can be -1 in [--input_shape].",
    ),
    "E10020": (
        "Invalid --dynamic_image_size Argument",
        "Value [{0}] for parameter [--dynamic_image_size] is invalid. ",
    ),
    "E10021": ("Invalid Argument", "Path for parameter [--{0}] is too long. Keep the length within {1}"),
    "E10022": ("Invalid Argument", "Path [{0}] for parameter [--{1}] does not include the file name."),
    "E10031": (
        "Invalid --input_shape Argument",
        "[--dynamic_batch_size] is included, but none of the nodes specified in [--input_shape] have a batch size "
        "equaling -1.",
    ),
    "E10034": (
        "Invalid --input_fp16_nodes Argument",
        "Nodes (for example, [{0}]) connected to AIPP must not be of type fp16.",
    ),
    "E10035": (
        "Invalid Dynamic Shape Argument",
        "[--dynamic_batch_size], [--dynamic_image_size], or [--dynamic_dims] has [{0}] profiles, which is less than "
        "the minimum ([{1}]).",
    ),
    "E10036": (
        "Invalid Dynamic Shape Argument",
        "[--dynamic_batch_size], [--dynamic_image_size], or [--dynamic_dims] has [{0}] profiles, which is greater than "
        "the maximum ([{1}]).",
    ),
    "E10037": (
        "Invalid Dynamic Shape Argument",
        "The profiles configured in [--dynamic_batch_size], [--dynamic_image_size], or [--dynamic_dims] have "
        "inconsistent dimension counts. A profile has {0} dimensions while another has {1} dimensions.",
    ),
    "E10038": ("Invalid Dynamic Shape Argument", "Dimension size [{0}] is invalid. The value must be greater than 0."),
    "E10039": (
        "Invalid Dynamic Shape Argument",
        "The [--dynamic_batch_size], [--dynamic_image_size], or [--dynamic_dims] argument have duplicate profiles.",
    ),
    "E10040": (
        "Invalid --input_shape Argument",
        "As the [--dynamic_batch_size], [--dynamic_image_size], or [--dynamic_dims] argument is included, the "
        "corresponding nodes specified in [--input_shape] must have -1 axes and can not have '~'.",
    ),
    "E10041": ("Invalid --framework or --model Argument", "Failed to load the model from [{0}]."),
    "E10045": (
        "Invalid Dynamic Shape Argument",
        "The number of -1 axes in the [--input_shape] argument exceeds the dimension count per profile in "
        "[--dynamic_dims].",
    ),
    "E10046": (
        "Invalid Dynamic Shape Argument",
        "The total number of -1 axes in the [--input_shape] argument is greater than the dimension count per profile "
        "in [--dynamic_dims].",
    ),
    "E10047": ("Invalid Argument", "[--{0}] and [--{1}] are mutually exclusive."),
    "E10049": (
        "Invalid --input_shape Argument",
        "Dimension count [{0}] configured in [--input_shape] does not match dimension count [{1}] of the node.",
    ),
    "E10050": (
        "Invalid --input_shape Argument",
        "Current dimension size [{0}] is not in the range of [{1}–{2}] specified by [--input_shape].",
    ),
    "E10052": ("Invalid AIPP Configuration", "AIPP configuration is invalid. Reason: {0}"),
    "E10054": (
        "Invalid Argument",
        "The requied parameter [{0}] for ATC is empty. Another possible reason is that the value of some parameters is "
        'not enclosed by quotation marks ("").',
    ),
    "E10055": ("Unsupported Feature", "The operation is not supported. Reason: {0}"),
    "E10056": ("Invalid Argument", "Cannot config both parameters [{0}] and [{1}] simultaneously."),
    "E10057": ("Invalid Argument", "[--{0}] and [--{1}] can only be used together"),
    "E10410": ("Invalid Argument", "File [{0}] does not exist."),
    "E10501": ("Unsupported Operator", "IR for Op [{0}, optype [{1}]], is not registered."),
    "E11017": ("Invalid --out_nodes Argument", "Failed to find node [{0}] specified by [--out_nodes]."),
    "E13010": ("Invalid Argument", "Value [{0}] for parameter [{1}] is invalid. Reason: {2}"),
    "E16001": ("ONNX Model Data Error", "Model has no [{0}] node."),
    "E16002": ("ONNX Model Data Error", "No ONNX parser is registered for optype [{0}]."),
    "E16004": ("ONNX Model Data Error", "ONNX model has no graph."),
    "E16005": ("ONNX Model Data Error", "The model has [{0}] [--domain_version] fields, but only one is allowed."),
    "E19010": ("Unsupported Operator", "No parser is registered for Op [{0}, optype [{1}]]."),
    "E19004": ("Failure to Write File", "Failed to write file [{0}]. Reason: {1}."),
    "E19005": ("Failure to Parse File", "Failed to parse file [{0}]."),
    "E19018": (
        "Failure to Parse File",
        "Failed to parse file [{0}] through [google::protobuf::TextFormat::Parse].",
    ),
    "E19999": ("Internal Error!", "An unknown error occurred. Please check the log."),
    "E20003": (
        "Invalid Content",
        "Configuration file [{0}] for parameter [{1}] has invalid content. Reason: [{2}]",
    ),
    "E20101": ("Invalid CANN Initialization Argument", "Value [{0}] for parameter [{1}] is invalid. Reason: {2}."),
    "EZ3003": ("Unsupported Operator", "No supported Ops kernel and engine are found for [{0}], optype [{1}]."),
}


class VendorError(Exception):
    """One failure with the vendor's code; `advice` holds (possible cause, solution) where the text is known."""

    def __init__(self, code: str, *values: object, advice: tuple[str, str] | None = None) -> None:
        self.code = code
        title, template = TEMPLATES[code]
        if installation().major >= 9:
            template = template.replace("[{", "{").replace("}]", "}")
            template = template.replace("[--{", "--{")
        self.title = title
        self.advice = advice
        super().__init__(template.format(*values))

    def block(self) -> str:
        """The error as the tool prints it: with process and time since 9.x, code first before."""
        lines = [f"{self.code}: {self}"]
        if installation().major >= 9:
            now = datetime.now(UTC)
            stamp = now.strftime("%Y-%m-%d-%H:%M:%S.") + f"{now.microsecond // 1000:03d}.{now.microsecond % 1000:03d}"
            lines = [f"[PID: {os.getpid()}] {stamp} {self.title.replace(' ', '_')}({self.code}): {self}"]
        if self.advice:
            lines += [f"        Possible Cause: {self.advice[0]}", f"        Solution: {self.advice[1]}"]
        lines.append("        TraceBack (most recent call last):")
        return "\n".join(lines)
