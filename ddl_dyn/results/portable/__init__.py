"""A trained step map leaves the suite: ONNX, torch.export and plain numpy."""
