"""What expressions of the cases are made of: small arrays, a task, and a config."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxloss
from experiments.reliability.bad_input import files
from jaxloss.runs import Checkpoints
from jaxloss.tasks.models.pretrained import load_pretrained
from jaxloss.tasks.models.resnet50 import ResNet50

IMAGES, LABELS = np.zeros((60, 4, 4), np.uint8), np.arange(60) % 3
FEATURES = np.linspace(0, 1, 180, dtype=np.float32).reshape(60, 3)
LOGITS = np.zeros((4, 3), np.float32)


def task(inputs=IMAGES, targets=LABELS, network="mlp", metric="accuracy", **settings):
    """`jaxloss.make_task` of what is right, but for what is given."""
    return jaxloss.make_task(inputs, targets, network, metric, **settings)


def tiny(**changed):
    """The tiny config with changed values, `a__b` for the key `a.b`, as a program changes them."""
    config = jaxloss.load_config("tests/configs/tiny.py")
    with config.ignore_type():
        for key, value in changed.items():
            *sections, name = key.split("__")
            section = config
            for one in sections:
                section = section[one]
            section[name] = value
    return config


def run(directory, **changed):
    """`jaxloss.run` of the tiny config."""
    return jaxloss.run(tiny(**changed), directory)


def weights(path):
    """Weights of a file for a small ResNet."""
    network = ResNet50(depths=[1], width=4)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((2, 20, 12, 3), jnp.float32))
    return load_pretrained(shapes, network, path)


def checkpoint(folder, name):
    """A checkpoint of a folder for the network of `files.py`."""
    return Checkpoints(folder / "checkpoints").load(name, like=files.NETWORK)
