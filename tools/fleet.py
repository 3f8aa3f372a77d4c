"""Ten devices on this machine: real OpenSSH servers on loopback ports, each with its own home and host key, three of
them with the Ascend stand-in in reach.

    python tools/fleet.py up [FOLDER]        starts those that do not run, and writes FOLDER/inventory.yaml
    python tools/fleet.py down [FOLDER]      ends their services and the servers, and removes the folder
    python tools/fleet.py show [FOLDER]      what runs

FOLDER is .edgewright/fleet if not said. The stand-in is installed into .cann once, or taken from where EDGEWRIGHT_CANN
says. What was started is known by FOLDER/<name>/pid; nothing else is touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "support")]

import sshd  # noqa: E402
import yaml  # noqa: E402

USUAL = ROOT / ".edgewright" / "fleet"
CANN = Path(os.environ.get("EDGEWRIGHT_CANN") or ROOT / ".cann").absolute()  # one that is installed, or where to
FIRST_PORT = 22100
NAMES = tuple(f"dev-{number:02d}" for number in range(1, 11))
ASCEND = ("dev-08", "dev-09", "dev-10")
CANARIES = ("dev-01", "dev-08")
PATIENCE_S = 10.0


def up(whole: Path) -> int:
    if sshd.SERVER is None:
        print("There is no sshd here. Install it: sh tools/system-packages.sh (Debian: apt install openssh-server).")
        return 1
    bring_stand_in()
    for index, name in enumerate(NAMES):
        folder = whole / name
        running = pid_of(folder)
        if running is None:
            device = start(folder, FIRST_PORT + index + 1, name in ASCEND)
            (folder / "pid").write_text(f"{device._process.pid}\n")
            (folder / "port").write_text(f"{device.port}\n")
        how = "runs already" if running else "started"
        stand_in = ", with the Ascend stand-in" if name in ASCEND else ""
        print(f"{name}: {how} on 127.0.0.1:{port_of(folder)}{stand_in}")
    write_inventory(whole)
    print(f"{whole}/inventory.yaml names them; examples/fleet.yaml deploys to those of {USUAL}.")
    return 0


def bring_stand_in() -> None:
    """Installed once, where it is missing."""
    if (CANN / "set_env.sh").is_file():
        return
    print(f"Installing the Ascend stand-in into {CANN} …", flush=True)
    command = ["make", "-C", str(ROOT / "cannsim"), "install", f"PREFIX={CANN}", f"PYTHON={sys.executable}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def start(folder: Path, port: int, ascend: bool) -> sshd.Sshd:
    """One device. A port that somebody else has is replaced by a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    port = int((folder / "port").read_text()) if (folder / "port").is_file() else port
    home = folder / "home"
    home.mkdir(exist_ok=True)
    if ascend and not (home / "Ascend").exists():
        (home / "Ascend").symlink_to(CANN)  # where CANN lies for a user without root
    variables = {"XDG_RUNTIME_DIR": str(folder / "run")}  # the systemd of whoever runs this is not the device's
    if ascend:
        variables |= {"CANNSIM_STATE_DIR": str(folder / "chip"), "CANNSIM_THREADS": "1"}
        (folder / "chip").mkdir(mode=0o700, exist_ok=True)
    if sshd._listens(port):
        (folder / "known_hosts").unlink(missing_ok=True)
        port = 0
    device = sshd.Sshd(folder, variables=variables, port=port)
    if not device.known_hosts.exists():
        device.trust(device.port)
    return device


def write_inventory(whole: Path) -> None:
    devices, hosts = {}, []
    for name in NAMES:
        place = whole / name
        port = port_of(place)
        user = sshd.getpass.getuser()
        devices[name] = {
            "address": f"ssh://{user}@127.0.0.1:{port}?identity={name}/identity&known_hosts={name}/known_hosts",
            "target": "atlas" if name in ASCEND else "cpu",
            "groups": ["canary"] if name in CANARIES else ["rest"],
            "labels": {"site": "a" if int(name[-2:]) % 2 else "b"},
        }
        hosts.append(
            f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n  IdentityFile {place}/identity\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {place}/known_hosts\n"
        )
    text = "# Written by `make fleet-up`.\n" + yaml.safe_dump({"devices": devices}, sort_keys=False, width=120)
    (whole / "inventory.yaml").write_text(text)
    (whole / "ssh_config").write_text("# Written by `make fleet-up`.\n" + "".join(hosts))


def down(whole: Path) -> int:
    if not whole.is_dir():
        print("No fleet is up.")
        return 0
    for name in NAMES:
        folder = whole / name
        end_service(folder / "home" / ".edgewright")
        pid = pid_of(folder)
        if pid is not None:
            end(pid)
            print(f"{name}: stopped")
    shutil.rmtree(whole)
    return 0


def show(whole: Path) -> int:
    for name in NAMES:
        pid = pid_of(whole / name)
        print(f"{name}: " + (f"127.0.0.1:{port_of(whole / name)}, process {pid}" if pid else "does not run"))
    return 0


def end_service(root: Path) -> None:
    from edgewright.device import install
    from edgewright.device.release import Layout, ReleaseError

    try:
        install.stop(Layout(str(root)), {})
    except ReleaseError as error:
        print(f"{root}: {error.message}")


def end(pid: int) -> None:
    """The server and the connections that it still has."""
    for each in (*sshd._descendants(pid), pid):
        sshd._kill(each, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_S
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    sshd._kill(pid, signal.SIGKILL)


def pid_of(folder: Path) -> int | None:
    """The server's process, None where it does not run: a process of that number that is another one is not it."""
    try:
        pid = int((folder / "pid").read_text())
    except (OSError, ValueError):
        return None
    told = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return pid if str(folder / "sshd_config") in told.stdout else None


def port_of(folder: Path) -> int:
    return int((folder / "port").read_text())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    verbs = {"up": up, "down": down, "show": show}
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in verbs:
        sys.exit("usage: python tools/fleet.py up | down | show [FOLDER]")
    sys.exit(verbs[sys.argv[1]](Path(sys.argv[2]).absolute() if len(sys.argv) == 3 else USUAL))
