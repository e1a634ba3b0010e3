"""The neural networks, with the published parameter names; torch only, no input or output."""
