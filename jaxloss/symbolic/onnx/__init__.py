"""A loss as an ONNX graph: from what JAX traces to nodes, and a check of them against JAX."""
