"""A release that installs itself from one file, as from a USB stick: what `edgewright bundle save` writes.

    python3 release.pyz --root DIR [--source S] [--host H] [--port N] [--dry-run] [--json]

The file is a zip that Python runs. In it: these device programs, stick.json ({"tools", "manifest", "sizes", "needs",
"serve", "release"}) and blobs/<digest>. Nothing is fetched. The installer is the one that a host would use, and it runs
out of the device folder, so that the stick can be pulled out afterwards. Exit status: 0, 2 for wrong words, 3 for a
refusal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import zipfile
from typing import Any, Dict, List, Mapping

from edgewright.device import durable, needs
from edgewright.device.release import Rejected, ReleaseError

CARRIED = ("LD_LIBRARY_PATH", "PYTHONPATH")
"""Variables of the calling shell that the service gets too, beside those that begin with ASCEND."""


def main(argv: List[str], archive: str) -> int:
    words = _words().parse_args(argv)
    root = os.path.abspath(words.root)
    try:
        with zipfile.ZipFile(archive) as stick:
            answer = install(stick, root, _serve(words), words.dry_run)
    except ReleaseError as error:
        return _tell(words.json, {"error": {"message": error.message, "remedy": error.remedy}}, 3)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        said = {"message": "The archive cannot be installed: %s." % error, "remedy": "Copy it again; look at the disk."}
        return _tell(words.json, {"error": said}, 3)
    return _tell(words.json, answer, 0)


def install(stick: zipfile.ZipFile, root: str, serve: Mapping[str, Any], dry_run: bool) -> Dict[str, Any]:
    """The release of the archive, live in the device folder `root`; with `dry_run`, what is sent. ReleaseError where
    the device is not what it needs, where its signature does not let it in, and where the installer says no."""
    plan = json.loads(stick.read("stick.json").decode("utf-8"))
    tools = _unpack_tools(stick, root, str(plan["tools"]))
    asked = {"runtimes": sorted(plan["needs"].get("runtimes") or {}), "chip": bool(plan["needs"].get("soc_version"))}
    status = _operate(tools, root, "status", asked)
    unfit = needs.difference(plan["needs"], status)
    if unfit:
        raise Rejected(*unfit)
    release = {"release": plan["release"]} if plan.get("release") else {}
    _operate(tools, root, "admit", dict(release, manifest=plan["manifest"]))
    missing = _operate(tools, root, "missing", {"sizes": plan["sizes"]})
    wanted = [digest for digest in missing["missing"] if digest in plan["sizes"]]
    size = sum(plan["sizes"][digest] for digest in wanted)
    full = needs.too_full(size, status)
    if full:
        raise Rejected(*full)
    if dry_run:
        return {"dry_run": True, "manifest": plan["manifest"], "files": len(wanted), "bytes": size}
    for digest in wanted:
        _extract(stick, "blobs/" + digest, os.path.join(missing["incoming"], digest))
    settings = dict(plan["serve"], **serve)
    return _operate(tools, root, "install", dict(release, manifest=plan["manifest"], serve=settings))


def _unpack_tools(stick: zipfile.ZipFile, root: str, digest: str) -> str:
    """The device programs where a host would have put them; `complete` comes last."""
    folder = os.path.join(root, "tools", digest)
    if not os.path.exists(os.path.join(folder, "complete")):
        for name in stick.namelist():
            if name.startswith("edgewright/") and ".." not in name:
                _extract(stick, name, os.path.join(folder, *name.split("/")))
        durable.write_text(os.path.join(folder, "complete"), "")
    return folder


def _extract(stick: zipfile.ZipFile, name: str, path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = path + ".part"
    with stick.open(name) as source, open(partial, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())
    os.replace(partial, path)


def _operate(tools: str, root: str, op: str, request: Mapping[str, Any]) -> Dict[str, Any]:
    """One operation of the installer. Its standard error is ours."""
    own = os.environ.get("PYTHONPATH")
    environment = dict(os.environ, PYTHONPATH=tools + (os.pathsep + own if own else ""), PYTHONNOUSERSITE="1")
    argv = [sys.executable, "-m", "edgewright.device.install", root, op]
    done = subprocess.run(
        argv, input=json.dumps(request).encode("utf-8"), stdout=subprocess.PIPE, env=environment, check=False
    )
    try:
        answer = json.loads(done.stdout.decode("utf-8"))
    except ValueError:
        raise ReleaseError("The installer ended without an answer.", "See what it wrote above.") from None
    if answer.get("error"):
        raise ReleaseError(str(answer["error"]["message"]), str(answer["error"]["remedy"]))
    return dict(answer)


def _serve(words: argparse.Namespace) -> Dict[str, Any]:
    source = words.source
    if source and "://" not in source and not source.startswith("camera:"):
        kind, path = ("loop:", source[5:]) if source.startswith("loop:") else ("", source)
        if not os.path.exists(path):
            raise ReleaseError("There is no %s." % path, "Give --source a path of this device.")
        source = kind + os.path.abspath(path)
    found = {name: value for name, value in os.environ.items() if name in CARRIED or name.startswith("ASCEND")}
    settings = {"source": source, "host": words.host, "port": words.port}
    return dict(settings, environment=found) if found else settings


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Installs this release on this device, without a network.")
    parser.add_argument("--root", required=True, help="the device folder")
    parser.add_argument("--source", help="camera:0, a folder, a video file or rtsp://…")
    parser.add_argument("--host", default="127.0.0.1", help="the address that the service binds to")
    parser.add_argument("--port", type=int, help="its port; the first free one from 8080 on if not said")
    parser.add_argument("--dry-run", action="store_true", help="check everything, and install nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _tell(as_json: bool, answer: Mapping[str, Any], code: int) -> int:
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    elif "error" in answer:
        sys.stderr.write("%s\n%s\n" % (answer["error"]["message"], answer["error"]["remedy"]))
    elif answer.get("dry_run"):
        sys.stdout.write("It would install %d files, %.1f MB.\n" % (answer["files"], answer["bytes"] / 1e6))
    else:
        sys.stdout.write("Release %s serves at %s.\n" % (answer.get("name"), answer.get("url")))
    return code
