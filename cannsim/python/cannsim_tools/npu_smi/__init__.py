"""npu-smi: the simulated device as the vendor's tool would print it. Standard library only: it is asked often."""
