"""Compare our declarations with the vendor's: `python compare_headers.py <our include> <vendor include>… `.

Writes one C++ file that includes the vendor's headers, declares every call of ours again (a different signature is an
error) and asserts the value of every enumerator, constant and structure size; exit status 0 when a compiler takes it.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from make_stub import DECLARATION, HEADERS

CODES = ("error_codes/rt_error_codes.h", "error_codes/ge_error_codes.h")
STRUCTS = ("aclmdlIODims", "aclAippDims", "aclmdlBatch", "aclmdlHW", "aclAippInfo")


def plain(path: Path) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.S)


def assertions(folder: Path) -> list[str]:
    """Lines that hold for our headers, to be compiled with the vendor's."""
    lines = []
    for header in (*HEADERS, *CODES):
        text = plain(folder / header)
        for name, value in re.findall(r"static const \w+ (ACL_\w+) = (\d+)U?;", text):
            lines.append(f'static_assert({name} == {value}, "{name}");')
        for name, value in re.findall(r"#define (ACL_\w+) ([0-9A-Fx]+U?(?:LL)?)$", text, re.M):
            if "VERSION" not in name:
                lines.append(f'static_assert({name} == {value}, "{name}");')
        for body in re.findall(r"enum\s*\w*\s*{(.*?)}", text, re.S):
            value = -1
            for entry in filter(None, (part.strip() for part in body.split(","))):
                name, _, given = (part.strip() for part in entry.partition("="))
                value = int(given, 0) if given else value + 1
                lines.append(f'static_assert({name} == {value}, "{name}");')
    return lines


def sizes(folder: Path) -> dict[str, int]:
    """sizeof our structures, asked of the compiler."""
    body = "".join(f'printf("{name} %zu\\n", sizeof({name}));' for name in STRUCTS)
    source = f'#include <cstdio>\n#include "acl/acl.h"\nint main() {{ {body} }}\n'
    with tempfile.TemporaryDirectory() as work:
        program = Path(work) / "sizes"
        subprocess.run(["g++", "-xc++", "-", f"-I{folder}", "-o", program], input=source, text=True, check=True)
        listed = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(listed[::2], map(int, listed[1::2]), strict=True))


def main() -> int:
    ours, vendor = Path(sys.argv[1]), sys.argv[2:]
    lines = ['#include "acl/acl.h"', '#include "acl/acl_prof.h"', 'extern "C" {']
    for header in HEADERS:
        for kind, name, parameters in DECLARATION.findall(plain(ours / "acl" / header)):
            lines.append(f"{kind} {name}({parameters});")
    lines += ["}", *assertions(ours / "acl")]
    lines += [f'static_assert(sizeof({name}) == {size}, "{name}");' for name, size in sizes(ours).items()]
    flags = [f"-I{folder}" for folder in vendor] + [f"-I{folder}/acl" for folder in vendor]
    command = ["g++", "-std=c++17", "-fsyntax-only", "-Wno-deprecated-declarations", "-xc++", "-", *flags]
    return subprocess.run(command, input="\n".join(lines) + "\n", text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
