"""atc: an ONNX model becomes an .om of the stand-in, with the vendor's options, checks, codes and texts."""
