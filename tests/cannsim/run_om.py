"""python run_om.py model.om input.bin output.bin: one run through the C interface, as a foreign language binds it."""

import ctypes as c
import sys
from pathlib import Path

library = c.CDLL("libascendcl.so")
for name in ("aclmdlCreateDesc", "aclmdlCreateDataset", "aclCreateDataBuffer"):
    getattr(library, name).restype = c.c_void_p
for name in ("aclmdlGetNumInputs", "aclmdlGetNumOutputs", "aclmdlGetInputSizeByIndex", "aclmdlGetOutputSizeByIndex"):
    getattr(library, name).restype = c.c_size_t
library.aclGetRecentErrMsg.restype = c.c_char_p


def check(code: int) -> None:
    if code != 0:
        sys.exit(f"{code}: {(library.aclGetRecentErrMsg() or b'').decode()}")


def dataset(desc: c.c_void_p, count: int, size_of) -> tuple[c.c_void_p, list[tuple[c.c_void_p, int]]]:
    made, memories = c.c_void_p(library.aclmdlCreateDataset()), []
    for index in range(count):
        size = size_of(desc, c.c_size_t(index))
        memory = c.c_void_p()
        check(library.aclrtMalloc(c.byref(memory), c.c_size_t(size), 0))
        check(library.aclmdlAddDatasetBuffer(made, c.c_void_p(library.aclCreateDataBuffer(memory, c.c_size_t(size)))))
        memories.append((memory, size))
    return made, memories


check(library.aclInit(None))
check(library.aclrtSetDevice(0))
model, desc = c.c_uint32(), c.c_void_p(library.aclmdlCreateDesc())
check(library.aclmdlLoadFromFile(sys.argv[1].encode(), c.byref(model)))
check(library.aclmdlGetDesc(desc, model))
inputs, into = dataset(desc, library.aclmdlGetNumInputs(desc), library.aclmdlGetInputSizeByIndex)
outputs, out = dataset(desc, library.aclmdlGetNumOutputs(desc), library.aclmdlGetOutputSizeByIndex)
data = Path(sys.argv[2]).read_bytes()
if len(data) != into[0][1]:
    sys.exit(f"the input wants {into[0][1]} bytes, not {len(data)}")
check(library.aclrtMemcpy(into[0][0], c.c_size_t(into[0][1]), data, c.c_size_t(len(data)), 4))
check(library.aclmdlExecute(model, inputs, outputs))
result = c.create_string_buffer(out[0][1])
check(library.aclrtMemcpy(result, c.c_size_t(out[0][1]), out[0][0], c.c_size_t(out[0][1]), 4))
Path(sys.argv[3]).write_bytes(result.raw)
