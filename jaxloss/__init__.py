"""jaxloss: search for loss functions, in JAX."""

__version__ = "0.1.0"
