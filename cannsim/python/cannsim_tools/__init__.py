"""The command-line half of the stand-in: atc, amct_onnx, msprof, npu-smi. Nothing here measures a real device."""
