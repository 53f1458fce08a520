"""A sweep over the tiny config, for tests."""

from tests.configs.tiny import get_config as tiny


def get_config():
    return tiny()


def get_sweep():
    return {"seed": [0, 1], "training.learning_rate": [0.03, 0.1]}
