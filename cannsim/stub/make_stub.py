"""Write a C file that defines every declared call and does nothing: `python make_stub.py <include folder> <file.c>`.

A device's toolkit ships such a library for link time; run by mistake, each call answers ACL_ERROR_COMPILING_STUB_MODE.
"""

import re
import sys
from pathlib import Path

HEADERS = ("acl_base_rt.h", "acl_base_mdl.h", "acl_rt.h", "acl_mdl.h", "acl_prof.h")
DECLARATION = re.compile(r"(?:ACL_FUNC_VISIBILITY|MSVP_PROF_API)\s+([\w\s*]+?[\s*])(acl\w+)\s*\(([^;]*)\)\s*;", re.S)


def body(kind: str) -> str:
    if kind == "aclError":
        return "return ACL_ERROR_COMPILING_STUB_MODE;"
    return "" if kind == "void" else "return 0;"


def main() -> None:
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    lines = ["#define FUNC_VISIBILITY", '#include "acl/acl.h"', '#include "acl/acl_prof.h"', ""]
    for header in HEADERS:
        text = re.sub(r"/\*.*?\*/", "", (folder / "acl" / header).read_text(), flags=re.S)
        for kind, name, parameters in DECLARATION.findall(text):
            kind = " ".join(kind.split())
            answer = f"return ({kind})0;" if kind in ("aclFormat", "aclDataType") else body(kind)
            lines.append(f"{kind} {name}({' '.join(parameters.split())}) {{ {answer} }}")
    target.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
