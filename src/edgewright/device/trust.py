"""Which releases a device lets in: the signers it was told of, the newest number and the newest signed time it saw.

trust/allowed_signers   who may sign; where it is absent, unsigned releases are let in
trust/floor.json        {"number", "digest", "time"}: release numbers and signed times below it are of the past

A release statement is a JSON object {"format": 1, "name", "manifest": "sha256:…", "number", "signed", "expires"?}, and
its signature an SSHSIG over those very bytes. Boards may have no clock: here time is the newest signed time that was
verified. Before one is known, expiry is reported and not enforced.
"""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from edgewright.device import durable, signature, signers
from edgewright.device.release import Layout, Rejected, ReleaseError, is_digest
from edgewright.device.signers import Signer, utc

STATEMENT_LIMIT = 16 << 10
REMEDY = "Sign it with a key of a signer that the device knows: `edgewright bundle sign`."


class Statement(NamedTuple):
    """What a signer says of a release; times are seconds since 1970."""

    name: str
    digest: str
    number: int
    signed: int
    expires: Optional[int]


def enrol(layout: Layout, text: str, forget: bool = False) -> Dict[str, Any]:
    """Makes `text` (an allowed_signers file) what the device holds to; `forget` also drops the floor, for a device that
    was shown a number or a time from far in the future. ReleaseError for a file it could not hold to."""
    try:
        signers.parse(text)
    except signers.BadSigners as error:
        raise ReleaseError("The file of allowed signers is refused: %s." % error, "Mend it and enrol again.") from None
    os.makedirs(_folder(layout), exist_ok=True)
    if forget:
        durable.remove(_floor_file(layout))
    durable.write_text(_signers_file(layout), text)
    durable.sync_folder(layout.root)
    return describe(layout)


def describe(layout: Layout) -> Dict[str, Any]:
    """Whom the device trusts, and its floor. `problem` says why it lets nothing in, "" where all is well."""
    problem, known = "", None
    try:
        known = _enrolled(layout)
    except ReleaseError as error:
        problem = error.message
    listed = [
        {
            "identity": signer.identity,
            "fingerprint": signature.fingerprint(signer.public),
            "valid_after": utc(signer.after),
            "valid_before": utc(signer.before),
        }
        for signer in known or ()
    ]
    return {
        "signers": listed,
        "unsigned_allowed": known is None and not problem,
        "floor": durable.read_json(_floor_file(layout)),
        "problem": problem,
    }


def admit(layout: Layout, digest: str, release: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """What was verified of the release whose manifest has `digest`, with `notes` on what was not enforced; None where
    the device knows no signers. Rejected where it is unsigned, wrongly signed, expired or of the past. Changes nothing.

    `release` is {"statement": text, "signature": armoured text}, None where the release is not signed."""
    known = _enrolled(layout)
    if known is None:
        return None
    if not release:
        raise Rejected("The release is not signed, and this device takes signed releases alone.", REMEDY)
    text, armour = release.get("statement"), release.get("signature")
    if not isinstance(text, str) or not isinstance(armour, str):
        raise Rejected("The release's signature is not in a form that is known.", REMEDY)
    lines, public = signers_of(known, text, armour)
    statement = parse_statement(text)
    if statement.digest != digest:
        raise Rejected("The signature is of another release (%s)." % statement.digest[:12], REMEDY)
    floor = _floor(layout)
    late, signer = min(((out_of_time(line, statement, floor), line) for line in lines), key=lambda pair: len(pair[0]))
    if late and floor["time"] is not None:
        raise Rejected(late[0], REMEDY)
    _refuse_older(layout, statement, floor)
    return {
        "number": statement.number,
        "digest": statement.digest,
        "time": utc(statement.signed),
        "by": signer.identity,
        "fingerprint": signature.fingerprint(public),
        "notes": [note.rstrip(".") + "; not enforced, as no signed time is known here yet." for note in late],
    }


def raise_time(layout: Layout, admitted: Optional[Mapping[str, Any]]) -> None:
    """The signed time of a verified release becomes the floor of time, if it is the newest."""
    if admitted and str(admitted["time"]) > utc(_floor(layout)["time"]):
        _write_floor(layout, {"time": admitted["time"]})


def raise_number(layout: Layout, admitted: Optional[Mapping[str, Any]]) -> None:
    """The number of a release that goes live becomes the floor of numbers. Before the commit: cut in between, the
    device refuses what is older than a release that it nearly took, and never the other way round."""
    if admitted and int(admitted["number"]) > _floor(layout)["number"]:
        _write_floor(layout, {"number": admitted["number"], "digest": admitted["digest"]})


def parse_statement(text: str) -> Statement:
    """The statement in a text that was verified or is about to be made. Rejected for anything of another form."""
    try:
        found = json.loads(text) if len(text) <= STATEMENT_LIMIT else None
        if not isinstance(found, dict) or found.get("format") != 1:
            raise ValueError("it is of another form")
        if not set(found) <= {"format", "name", "manifest", "number", "signed", "expires"}:
            raise ValueError("it says something that is not understood")
        manifest, number = str(found.get("manifest")), found.get("number")
        if not manifest.startswith("sha256:") or not is_digest(manifest[7:]):
            raise ValueError("it names no manifest")
        if type(number) is not int or not 0 < number < 1 << 53:
            raise ValueError("its number is not a positive whole one")
        expires = seconds(found["expires"]) if "expires" in found else None
        return Statement(str(found.get("name", ""))[:200], manifest[7:], number, seconds(found.get("signed")), expires)
    except (ValueError, RecursionError) as error:
        raise Rejected("The release statement is refused: %s." % str(error)[:200], REMEDY) from None


def seconds(text: Any) -> int:
    """The seconds since 1970 of `2026-11-22T10:00:00Z`. ValueError for another form."""
    if not isinstance(text, str) or not re.match(r"[2-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", text):
        raise ValueError("a time of it is not of the form 2026-11-22T10:00:00Z")
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def signers_of(known: Tuple[Signer, ...], text: str, armour: str) -> Tuple[List[Signer], bytes]:
    """The lines of the key that signed (rotation may give it several), and the key. Their times are not looked at."""
    try:
        made = signature.read(armour)
    except signature.BadSignature as error:
        raise Rejected("The release's signature cannot be read: %s." % error, REMEDY) from None
    if made.namespace != signers.NAMESPACE:
        raise Rejected("The signature was made for %.60r, not for a release." % made.namespace, REMEDY)
    theirs = [signer for signer in known if signer.public == made.public and signer.serves(made.namespace)]
    if not theirs:
        who = signature.fingerprint(made.public)
        raise Rejected("The release is signed by %s, whom this device does not know." % who, REMEDY)
    if not signature.verifies(made, text.encode("utf-8")):
        raise Rejected("The signature does not fit the release: one of the two was changed.", REMEDY)
    return theirs, made.public


def out_of_time(signer: Signer, statement: Statement, floor: Mapping[str, Any]) -> List[str]:
    """Sentences on what the limits of time forbid: at the moment of signing, and by the time that is known here."""
    now = max(statement.signed, floor["time"] or 0)
    found = []
    if signer.before is not None and now >= signer.before:
        found.append("The key of %s was valid until %s, and it is later." % (signer.identity, utc(signer.before)))
    if signer.after is not None and statement.signed < signer.after:
        found.append("The key of %s is valid from %s on." % (signer.identity, utc(signer.after)))
    if statement.expires is not None and now >= statement.expires:
        found.append("The release expired on %s." % utc(statement.expires))
    return found


def _refuse_older(layout: Layout, statement: Statement, floor: Mapping[str, Any]) -> None:
    """Numbers only go up. What serves now may be installed again: with other settings, or after a local rollback."""
    serving = (layout.describe(layout.linked(layout.current)) or {}).get("digest")
    again = (statement.number, statement.digest) == (floor["number"], floor["digest"])
    if statement.number <= floor["number"] and not again and statement.digest != serving:
        raise Rejected(
            "The release has the number %d, and this device has had %d." % (statement.number, floor["number"]),
            "Sign it with a greater number, or go back with a rollback on the device.",
        )


def _enrolled(layout: Layout) -> Optional[Tuple[Signer, ...]]:
    """The signers; None where there is no file of them. A damaged file lets nothing in."""
    try:
        with open(_signers_file(layout), "rb") as file:
            return signers.parse(file.read(signers.LIMIT + 1).decode("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        message = "The device's file of allowed signers cannot be used: %s." % error
        raise Rejected(message, "Enrol the signers again: `edgewright bundle trust`.") from None


def _floor(layout: Layout) -> Dict[str, Any]:
    """`number` (0 before any), `digest`, and `time` in seconds (None before any)."""
    path = _floor_file(layout)
    found = durable.read_json(path)
    if found is None and os.path.exists(path):
        raise Rejected("The device's floor.json is damaged.", "Enrol the signers again with --forget-floor.")
    found = found or {}
    try:
        at = seconds(found["time"]) if found.get("time") else None
        return {"number": int(found.get("number") or 0), "digest": found.get("digest"), "time": at}
    except (ValueError, TypeError):
        raise Rejected("The device's floor.json is damaged.", "Enrol the signers again with --forget-floor.") from None


def _write_floor(layout: Layout, change: Mapping[str, Any]) -> None:
    os.makedirs(_folder(layout), exist_ok=True)
    durable.write_json(_floor_file(layout), dict(durable.read_json(_floor_file(layout)) or {}, **change))


def _folder(layout: Layout) -> str:
    return os.path.join(layout.root, "trust")


def _signers_file(layout: Layout) -> str:
    return os.path.join(_folder(layout), "allowed_signers")


def _floor_file(layout: Layout) -> str:
    return os.path.join(_folder(layout), "floor.json")
