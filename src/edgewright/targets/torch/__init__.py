"""PyTorch eager on the CPU: the baseline. `MEMBER` is the target; torch is imported only when it runs."""

from edgewright.targets.torch.target import PyTorch

MEMBER = PyTorch()
