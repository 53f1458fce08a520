"""Networks that find keypoints: shapes, sizes, and the weights of a backbone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxloss.tasks.models.backbone import network_backbone_mask
from jaxloss.tasks.models.registry import POSE_MODELS, make_pose_model
from tests.errors import user_error

SMALL = {"depths": (1, 1, 1, 1), "width": 8, "channels": (8, 8, 8)}


@pytest.mark.parametrize(
    ("name", "options", "stride"),
    [
        ("light_pose", {}, 4),
        ("light_pose", {"output_stride": 2}, 2),
        ("light_pose", {"dtype": "bfloat16", "output_stride": 8}, 8),
        ("simple_baseline_resnet50", SMALL, 4),
        ("simple_baseline_resnet50", {**SMALL, "channels": (8, 8), "dtype": "bfloat16"}, 8),
    ],
)
def test_there_is_a_map_for_each_keypoint(name, options, stride):
    network = make_pose_model(name, 5, options)
    images = jnp.zeros((2, 70, 49, 3))
    variables = jax.eval_shape(network.init, jax.random.key(0), images)
    maps, updated = jax.eval_shape(lambda v, x: network.apply(v, x, train=True, mutable=["batch_stats"]), variables, images)
    assert network.stride == stride
    assert maps.shape == (2, -(-70 // stride), -(-49 // stride), 5)
    assert maps.dtype == jnp.float32
    assert updated.keys() == {"batch_stats"}


def test_the_light_one_is_light_and_begins_near_zero():
    network = make_pose_model("light_pose", 17)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(1, 40, 40, 3)), jnp.float32)
    variables = jax.jit(network.init)(jax.random.key(0), images)
    assert 150_000 < sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) < 300_000
    maps, _ = jax.jit(lambda v, x: network.apply(v, x, train=True, mutable=["batch_stats"]))(variables, images)
    assert 0 < np.abs(maps).max() < 0.1


def test_simple_baseline_has_the_size_of_the_paper_and_a_backbone():
    network = make_pose_model("simple_baseline_resnet50", 17)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 256, 192, 3)))
    # 34.0 million (Xiao et al., ECCV 2018, Table 2).
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes["params"])) == pytest.approx(34.0e6, rel=0.01)
    chosen = network_backbone_mask(shapes["params"])
    assert all(jax.tree.leaves(chosen["backbone"]))
    assert not any(jax.tree.leaves(chosen["deconv0"]))


def test_mistakes_are_one_line():
    assert set(POSE_MODELS) == {"light_pose", "simple_baseline_resnet50", "simple_baseline_resnet101"}
    with user_error("Did you mean 'light_pose'"):
        make_pose_model("light", 3)
    with user_error("Did you mean 'features'"):
        make_pose_model("light_pose", 3, {"feature": 3})
    with user_error("SimpleBaseline needs images of at least 33 x 33 pixels, not 32 x 40"):
        network = make_pose_model("simple_baseline_resnet50", 3, SMALL)
        jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 32, 40, 3)))
