"""The papers' networks in FP32: layers, losses, data, training and evaluation (PyTorch)."""
