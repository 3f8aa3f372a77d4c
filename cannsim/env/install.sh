#!/bin/sh
# install.sh SOURCE BUILD PREFIX LAYOUT SOC PYTHON: lays the stand-in out as a toolkit of CANN 8.x, 9.x or both.
set -eu
source=$1 build=$2 prefix=$3 layout=$4 soc=$5 python=$6
arch=$(uname -m)
case $layout in 8 | 9 | both) ;; *) echo "LAYOUT is 8, 9 or both, not $layout" >&2; exit 2 ;; esac

# One copy of everything; the layouts are made of links to it.
mkdir -p "$prefix/cannsim/bin" "$prefix/cannsim/lib/stub"
rm -rf "$prefix/cannsim/include" "$prefix/cannsim/python"
cp -R "$source/include" "$prefix/cannsim/include"
cp -R "$source/python" "$prefix/cannsim/python"
find "$prefix/cannsim/python" -name __pycache__ -prune -exec rm -rf {} +
# A library in use keeps its old file: the new one takes its name.
for pair in libascendcl.so:libascendcl.so stub/libascendcl.so:stub/libascendcl.so; do
  cp "$build/${pair%%:*}" "$prefix/cannsim/lib/${pair##*:}.new"
  mv "$prefix/cannsim/lib/${pair##*:}.new" "$prefix/cannsim/lib/${pair##*:}"
done
for folder in "$prefix/cannsim/lib" "$prefix/cannsim/lib/stub"; do
  # 9.x splits the interface in two libraries; here both are the one.
  for name in libacl_rt.so libacl_mdl.so; do ln -sfn libascendcl.so "$folder/$name"; done
done
for tool in atc amct_onnx msprof npu-smi; do
  cat >"$prefix/cannsim/bin/$tool" <<WRAPPER
#!/bin/sh
exec "$python" -I "$prefix/cannsim/python/cannsim_tools/launch.py" $tool "\$@"
WRAPPER
  chmod 755 "$prefix/cannsim/bin/$tool"
done

toolkit() { # folder, CANN version
  mkdir -p "$1/bin" "$1/tools/profiler/bin" "$1/opp" "$1/runtime" "$1/$arch-linux" "$1/compiler"
  printf 'cann_version=%s\nsoc=%s\n' "$2" "$soc" >"$1/cannsim.cfg"
  printf 'Version=%s\nsimulated=cannsim\n' "$2" >"$1/version.cfg"
  for link in lib64 runtime/lib64 "$arch-linux/lib64" devlib; do ln -sfn "$prefix/cannsim/lib" "$1/$link"; done
  for link in include runtime/include "$arch-linux/include"; do ln -sfn "$prefix/cannsim/include" "$1/$link"; done
  for tool in atc amct_onnx msprof; do ln -sfn "$prefix/cannsim/bin/$tool" "$1/bin/$tool"; done
  ln -sfn "$prefix/cannsim/bin/msprof" "$1/tools/profiler/bin/msprof"
  ln -sfn "$1/bin" "$1/compiler/bin"
  sed "s|@HOME@|$1|g; s|@PREFIX@|$prefix|g" "$source/env/set_env.sh.in" >"$1/set_env.sh"
}

default=
if [ "$layout" != 9 ]; then
  toolkit "$prefix/ascend-toolkit/8.1.RC1" 8.1.RC1
  ln -sfn 8.1.RC1 "$prefix/ascend-toolkit/latest"
  sed "s|@HOME@|$prefix/ascend-toolkit/latest|g; s|@PREFIX@|$prefix|g" "$source/env/set_env.sh.in" >"$prefix/ascend-toolkit/set_env.sh"
  default=$prefix/ascend-toolkit/set_env.sh
fi
if [ "$layout" != 8 ]; then
  toolkit "$prefix/cann" 9.1.0
  [ -n "$default" ] || default=$prefix/cann/set_env.sh
fi
# npu-smi and the driver's libraries belong to no toolkit.
mkdir -p "$prefix/driver/lib64" "$prefix/driver/bin"
ln -sfn "$prefix/cannsim/bin/npu-smi" "$prefix/driver/bin/npu-smi"
printf '. "%s"\n' "$default" >"$prefix/set_env.sh"
echo "cannsim is in $prefix (simulated $soc); next: . $prefix/set_env.sh"
