#!/bin/sh
# System packages that some tests need: a Chromium and a Chinese font for the report, a compiler for cannsim, an SSH
# server. Installed where that may be done unasked (apt, and root or a password-less sudo); elsewhere the tests that
# need them say so and are skipped.
set -u

command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="chromium"
if command -v fc-list >/dev/null; then
    fc-list :lang=zh 2>/dev/null | grep -q . || missing="${missing:-} fonts-noto-cjk"
else
    missing="${missing:-} fontconfig fonts-noto-cjk"
fi
command -v g++ >/dev/null || missing="${missing:-} g++"   # cannsim is C++
command -v cmake >/dev/null || missing="${missing:-} cmake"
[ -x /usr/sbin/sshd ] || command -v sshd >/dev/null || missing="${missing:-} openssh-server"   # the devices of the tests
command -v ssh >/dev/null || missing="${missing:-} openssh-client"
command -v aarch64-linux-gnu-g++ >/dev/null || missing="${missing:-} g++-aarch64-linux-gnu"   # programs for boards
[ -f /usr/include/opencv4/opencv2/core.hpp ] || missing="${missing:-} libopencv-dev"          # programs that read photos
command -v docker-registry >/dev/null || missing="${missing:-} docker-registry"   # where bundles are pushed in the tests
command -v skopeo >/dev/null || missing="${missing:-} skopeo"                     # the other reader of our image layout
command -v systemd-analyze >/dev/null || missing="${missing:-} systemd"           # reads the units that we write
[ -z "${missing:-}" ] && exit 0
[ "$(uname)" = Linux ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "Not installed: ${missing}. Tests that need them will say so."
    exit 0
fi
if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    echo "Not installed: ${missing}. Run: sudo apt-get install ${missing}"
    exit 0
fi
echo "Installing system packages for the tests: ${missing}"
# Debian starts a server that it installs, now and at every boot. The tests start their own: this machine gets none.
policy=/usr/sbin/policy-rc.d
case "$missing" in *openssh-server*)
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null && $as_root chmod 755 "$policy" && ours=yes; } ;;
esac
$as_root apt-get -qq update && DEBIAN_FRONTEND=noninteractive $as_root apt-get -qq install -y --no-install-recommends $missing >/dev/null ||
    echo "That failed. Tests that need ${missing} will say so."
[ -z "${ours:-}" ] || $as_root rm -f "$policy"
case "$missing" in *openssh-server*)
    command -v systemctl >/dev/null && $as_root systemctl --quiet disable ssh.service ssh.socket 2>/dev/null ;;
esac
exit 0
