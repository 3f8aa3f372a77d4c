"""The systemd unit of a device folder, as data: what it may reach, who it is, when it is started again.

Directives are those of systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.resource-control(5). A user's
own manager has no right to most of the hardening (it cannot mount, and gives no device); its unit carries what it can
keep.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple
from zlib import crc32

from edgewright.device.release import ReleaseError

Lines = List[Tuple[str, str]]

USER = "edgewright"
"""The system user that the service is, where root installs it."""
NODES = (
    "/dev/davinci[0-9]*", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc",  # Ascend (CANN installation guide)
    # Ascend boards whose own processor runs the program (RC). 310B: ascend-docker-runtime, addAscend310BManagerDevice.
    "/dev/svm0", "/dev/ts_aisle", "/dev/upgrade", "/dev/sys", "/dev/vdec", "/dev/vpc", "/dev/pngd", "/dev/venc",
    "/dev/dvpp_cmdlist", "/dev/log_drv", "/dev/acodec", "/dev/ai", "/dev/ao", "/dev/vo", "/dev/hdmi",
    # Others: ascend-device-plugin, the constants HiAi200RC* and Atlas200ISoc*.
    "/dev/event_sched", "/dev/hi_dvpp", "/dev/memory_bandwidth", "/dev/xsmem_dev", "/dev/user_config",
    "/dev/dri/card[0-9]*", "/dev/dri/renderD[0-9]*",  # GPUs
    "/dev/video[0-9]*", "/dev/media[0-9]*",  # cameras
)  # fmt: skip
"""Device nodes that a service may need; those that a device has are allowed by name."""
CLASSES = ("char-video4linux", "char-media", "char-drm")
"""Groups of /proc/devices that are allowed as a whole: a camera may be plugged in later."""
SOCKETS = ("/home/HwHiAiUser/hdc_ppc", "/home/user/hdc_ppc", "/home/drv/hdc_ppc")
"""Folders where the driver of an RC board keeps its sockets: the last two are in its source (hicann/driver, HDC,
`g_ppc_dirs`), the first is what users of a DK A2 write; that a program needs them is not confirmed on a board."""
GROUPS = ("HwHiAiUser", "video", "render")
"""Groups that own those nodes; those that a device has are joined."""
START_LIMIT_S, STARTS = 120, 5
"""How often systemd starts a supervisor that keeps dying, at least; the boot counter's turn comes before that."""
WATCHDOG_MARGIN_S = 30.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Host(NamedTuple):
    """What a device is, as far as its unit depends on it. `nodes` and `groups` are those of NODES and GROUPS that it
    has; `homes` are the folders under /home or /root that the service must read, `sockets` those of SOCKETS."""

    manager: str  # "systemd", "systemd-user" or "supervisor"
    python: str
    nodes: Tuple[str, ...] = ()
    groups: Tuple[str, ...] = ()
    homes: Tuple[str, ...] = ()
    home: str = ""  # of the user who installs
    sockets: Tuple[str, ...] = ()


def name_of(root: str) -> str:
    """The unit of a device folder; several folders of one device do not meet."""
    return "edgewright-%08x.service" % crc32(root.encode("utf-8"))


def unit(root: str, host: Host, serve: Mapping[str, Any]) -> str:
    """The text of the unit for a release's `serve` settings. ReleaseError for what a unit cannot say."""
    system = host.manager == "systemd"
    service = _service(root, host, serve) + (_own_user(host) if system else []) + _everywhere()
    if system:
        service += _hardening(root, host, serve)
    head = [("Description", "Edgewright service in %s" % _text(root)), ("After", "network.target")]
    starts = max(STARTS, int(serve.get("tries") or 0) + 2)
    limit = [("StartLimitIntervalSec", "%d" % START_LIMIT_S), ("StartLimitBurst", "%d" % starts)]
    wanted_by = "multi-user.target" if system else "default.target"
    sections = [
        ("Unit", head + limit),
        ("Service", service),
        ("Install", [("WantedBy", wanted_by)]),
    ]
    return "\n".join("[%s]\n%s" % (name, "".join("%s=%s\n" % line for line in lines)) for name, lines in sections)


def _service(root: str, host: Host, serve: Mapping[str, Any]) -> Lines:
    watchdog = float(serve.get("watchdog_s") or 60.0) + WATCHDOG_MARGIN_S
    return [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        # In a command "$" begins a variable, and nowhere else.
        ("ExecStart", "%s -m edgewright.device.supervise %s" % (word(host.python), word(root).replace("$", "$$"))),
        ("WorkingDirectory", "/"),
        *[("Environment", assignment(key, value)) for key, value in sorted(environment(root, serve).items())],
        ("Restart", "on-failure"),
        ("RestartSec", "2"),
        ("WatchdogSec", "%g" % watchdog),
        ("TimeoutStartSec", "900"),  # a large model may take minutes to load, and the release before has its turn after
        ("TimeoutStopSec", "30"),
        ("KillMode", "mixed"),  # the supervisor lets its agent answer what it has begun
        ("OOMPolicy", "continue"),  # an agent that is killed for memory is started again by the supervisor
    ]


def environment(root: str, serve: Mapping[str, Any]) -> Dict[str, str]:
    """The variables of the service: the runtime's, as the release asks for them, and where our programs are."""
    found = {str(name): str(value) for name, value in (serve.get("environment") or {}).items()}
    theirs = found.get("PYTHONPATH")
    found["PYTHONPATH"] = root + "/program" + (":" + theirs if theirs else "")
    found["PYTHONNOUSERSITE"] = "1"
    return found


def _own_user(host: Host) -> Lines:
    groups = [("SupplementaryGroups", " ".join(host.groups))] if host.groups else []
    return [("User", USER), ("Group", USER), *groups]


def _everywhere() -> Lines:
    """Hardening that a user's manager can give too: filters, nothing mounted. Machine code is made at run time by
    OpenVINO and others, so memory may be both written and executed; @resources holds sched_setaffinity, which sets up
    their threads."""
    return [
        ("NoNewPrivileges", "yes"),
        ("LockPersonality", "yes"),
        ("RestrictRealtime", "yes"),
        ("RestrictSUIDSGID", "yes"),
        ("RestrictNamespaces", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX AF_NETLINK"),
        ("SystemCallArchitectures", "native"),
        ("SystemCallFilter", "@system-service"),
        ("SystemCallFilter", "~@privileged"),
        ("SystemCallErrorNumber", "EPERM"),
        ("UMask", "0027"),
    ]


def _hardening(root: str, host: Host, serve: Mapping[str, Any]) -> Lines:
    if ":" in root:
        raise ReleaseError("The device folder %s has a colon in its name." % root, "Give `root` another one.")
    # "-": a folder that is gone, or that the driver makes later at boot, is no reason not to start.
    reach = [("BindReadOnlyPaths", word("-" + path)) for path in host.homes if ":" not in path]
    sockets = [(name, word("-" + path)) for path in host.sockets for name in ("BindPaths", "ReadWritePaths")]
    # /proc stays whole: who asked something of the supervisor is known by process, and may be root.
    return [
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "tmpfs"),
        *reach,
        ("BindPaths", word(root)),
        ("ReadWritePaths", word(root)),
        *sockets,
        ("PrivateTmp", "yes"),
        ("PrivateMounts", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectKernelLogs", "yes"),
        ("ProtectControlGroups", "yes"),
        ("ProtectClock", "yes"),
        ("ProtectHostname", "yes"),
        ("RemoveIPC", "yes"),
        ("KeyringMode", "private"),
        ("DevicePolicy", "closed"),
        *[("DeviceAllow", "%s rw" % node) for node in (*host.nodes, *CLASSES)],
        *_network(serve),
    ]


def _network(serve: Mapping[str, Any]) -> Lines:
    """A service that binds to the loopback and reads from nowhere else has no business with any other address."""
    source = str(serve.get("source") or "")
    if str(serve.get("host") or "127.0.0.1") not in LOOPBACK or "://" in source:
        return []
    return [("IPAddressDeny", "any"), ("IPAddressAllow", "localhost")]


def assignment(name: str, value: str) -> str:
    """What follows `Environment=`. ReleaseError for what is no name of a variable."""
    if not re.match(r"[A-Za-z_][A-Za-z0-9_]*\Z", name):
        raise ReleaseError("%.60r is no name of a variable." % name, "Mend the target's environment.")
    return '"%s=%s"' % (name, _escaped(value))


def word(path: str) -> str:
    """One word of a setting. In a command `$` must be doubled beside."""
    return '"%s"' % _escaped(path) if re.search(r"[^A-Za-z0-9_./+-]", path) else path


def _escaped(text: str) -> str:
    """As systemd.syntax(7) and the specifiers of systemd.unit(5) need it, inside double quotes."""
    return _text(text).replace("\\", "\\\\").replace('"', '\\"')


def _text(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ReleaseError("A unit cannot hold %.60r." % text, "Take the control characters out of it.")
    return text.replace("%", "%%")


def sysusers() -> str:
    """The system user, for systemd-sysusers (sysusers.d(5)): made once, never twice."""
    return 'u %s - "Edgewright service" / /usr/sbin/nologin\n' % USER


def nodes_of(found: Sequence[str]) -> Tuple[str, ...]:
    """Those of the paths that are plain names of device nodes, sorted."""
    return tuple(sorted(path for path in found if re.match(r"/dev/[A-Za-z0-9_/]+\Z", path)))
