"""The configuration: its keys, files, checks, and the parts that it names."""

from jaxloss.config.schema import MAY_CHANGE, default_config

__all__ = ["MAY_CHANGE", "default_config"]
