"""Steps ONNX graph → ONNX graph, shared by the targets. `graph.step.apply` runs a recipe's steps in order."""
