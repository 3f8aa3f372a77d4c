"""amct_onnx: post-training quantisation to INT8, for real: calibration data decide the scales.

What the vendor publishes (options, file names, algorithms' names and defaults) is kept; how a deploy model spells its
quantisation operators could not be seen, so their attributes are ours. Only this stand-in's atc reads them.
"""
