"""`atc`: the words on the command line to an exit status."""

from __future__ import annotations

import sys
import time

from ..vendor_error import VendorError
from .flags import CommandLineError, Options, parse, usage
from .option_checks import check_options

FAILED = 255


def main(arguments: list[str]) -> int:
    print("ATC start working now, please wait for a moment.", flush=True)
    started = time.monotonic()
    try:
        options = parse(arguments)
    except CommandLineError as problem:
        print(f"ERROR: {problem}", file=sys.stderr)
        return _failed(VendorError("E19999"))
    except VendorError as error:
        return _failed(error)
    if options["help"].lower() not in ("false", "0", "f", "n", "no"):
        print(usage())
        return 0
    try:
        _run(options, arguments)
    except VendorError as error:
        print("...", flush=True)
        return _failed(error)
    print("...")
    if options["log"] in ("info", "debug"):
        print(f"[INFO] cannsim: simulated conversion took {time.monotonic() - started:.3f} s")
    print("ATC run success, welcome to the next use.", flush=True)
    return 0


def _run(options: Options, arguments: list[str]) -> None:
    mode = options["mode"]
    if options["singleop"]:
        raise VendorError("E10055", "--singleop is absent from the stand-in")
    if mode == "6" or (mode == "0" and options["display_model_info"] == "1" and options["om"]):
        from .inspect_modes import display_model_info

        if not options["om"]:
            raise VendorError("E10004", "om")
        print(display_model_info(options["om"]))
    elif mode == "1":
        from .inspect_modes import model_to_json

        model_to_json(options)
    elif mode == "5":
        from .inspect_modes import text_to_json

        text_to_json(options)
    elif mode in ("7", "30"):
        raise VendorError("E10055", f"--mode={mode} is absent from the stand-in")
    else:
        check_options(options)
        from .convert import convert, precheck

        if mode == "3":
            precheck(options)
            return
        path = convert(options, arguments)
        if options["display_model_info"] == "1":
            from .inspect_modes import display_model_info

            print(display_model_info(str(path)))


def _failed(error: VendorError) -> int:
    print("ATC run failed, Please check the detail log, Try 'atc --help' for more information")
    print(error.block(), flush=True)
    return FAILED
