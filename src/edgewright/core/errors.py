"""Everything that can go wrong and is not a bug of ours, with its exit code.

EdgewrightError            message + remedy                        exit code
├── ConfigError            the configuration is wrong                  2
├── InputError             a model, a dataset or an argument is wrong  2
│   └── UnsafeModelError   a file would run code and trust is not set  2
├── PromiseError           a goal is missed; names the nearest result  1
├── DeviceError            a device cannot be reached or misbehaves    3
│   └── RejectedRelease    the device refused a release, and says why  3
└── ToolError              a vendor tool failed                        4

A bug is never an EdgewrightError: it keeps its traceback and exits with 70.
"""

from __future__ import annotations


class EdgewrightError(Exception):
    """One sentence of what is wrong (`message`) and one of what to do (`remedy`)."""

    exit_code = 70

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}"


class ConfigError(EdgewrightError):
    exit_code = 2


class InputError(EdgewrightError):
    exit_code = 2


class UnsafeModelError(InputError):
    """A model file names code that would have to be run to read it."""


class PromiseError(EdgewrightError):
    exit_code = 1


class DeviceError(EdgewrightError):
    exit_code = 3


class RejectedRelease(DeviceError):
    """The device refused a release (golden replay, latency, memory, preconditions)."""


class ToolError(EdgewrightError):
    """A vendor tool failed. `code` is the tool's own code, `log` the path of its log."""

    exit_code = 4

    def __init__(self, message: str, remedy: str, *, code: str = "", log: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code
        self.log = log


__all__ = [
    "ConfigError",
    "DeviceError",
    "EdgewrightError",
    "InputError",
    "PromiseError",
    "RejectedRelease",
    "ToolError",
    "UnsafeModelError",
]
