"""Networks by name."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from jaxloss.core.errors import UserError, did_you_mean, unknown
from jaxloss.tasks.models.detection.faster_rcnn import TinyFasterRCNN
from jaxloss.tasks.models.detection.faster_rcnn_resnet50 import FasterRCNNResNet50
from jaxloss.tasks.models.detection.fcos import TinyFCOS
from jaxloss.tasks.models.detection.fcos_resnet50 import FCOSResNet50
from jaxloss.tasks.models.detection.mask_rcnn import MaskRCNNResNet50, TinyMaskRCNN
from jaxloss.tasks.models.detection.network import DetectionNetwork
from jaxloss.tasks.models.detection.two_stage import TwoStageNetwork
from jaxloss.tasks.models.embedding_cnn import EmbeddingCNN
from jaxloss.tasks.models.embeddings import EmbeddingNetwork
from jaxloss.tasks.models.mgn import MGN
from jaxloss.tasks.models.mlp import MLP
from jaxloss.tasks.models.osnet import OSNet
from jaxloss.tasks.models.pose.light import LightPose
from jaxloss.tasks.models.pose.network import PoseNetwork
from jaxloss.tasks.models.pose.simple_baseline import SimpleBaseline
from jaxloss.tasks.models.resnet import ResNet20
from jaxloss.tasks.models.resnet50 import DEPTHS, ResNet50
from jaxloss.tasks.models.segmentation.deeplab import DeepLabV3Plus
from jaxloss.tasks.models.segmentation.network import SegmentationNetwork
from jaxloss.tasks.models.segmentation.pspnet import PSPNet
from jaxloss.tasks.models.segmentation.unet import LightUNet
from jaxloss.tasks.models.small_cnn import SmallCNN

# What a network may compute in.
PRECISIONS = ("float32", "bfloat16")

# Every network is called with `(images [N, H, W, C], train)` and returns logits `[N, num_classes]`.
MODELS: Mapping[str, Callable[..., nn.Module]] = {"mlp": MLP, "small_cnn": SmallCNN, "resnet20": ResNet20}
# Every network is called with `(images [N, H, W, C], train)` and returns `Embeddings`.
EMBEDDING_MODELS: Mapping[str, Callable[..., EmbeddingNetwork]] = {
    "embedding_cnn": EmbeddingCNN,
    "resnet50": ResNet50,
    "osnet": OSNet,
    "osnet_ibn": functools.partial(OSNet, variant="ibn"),
    "osnet_ain": functools.partial(OSNet, variant="ain"),
    "mgn": MGN,
}
# Every network is called with `(images [N, H, W, C], train)` and returns `SegmentationLogits`.
SEGMENTATION_MODELS: Mapping[str, Callable[..., SegmentationNetwork]] = {
    "light_unet": LightUNet,
    **{f"deeplabv3plus_{name}": functools.partial(DeepLabV3Plus, depths=depths) for name, depths in DEPTHS.items()},
    **{f"pspnet_{name}": functools.partial(PSPNet, depths=depths) for name, depths in DEPTHS.items()},
}
# Every network is called with `(images [N, H, W, C], train)` and returns `DetectionOutputs`.
DETECTION_MODELS: Mapping[str, Callable[..., DetectionNetwork]] = {"tiny_fcos": TinyFCOS, "fcos_resnet50": FCOSResNet50}
# Every network is called with `(images [N, H, W, C], train)` and returns a map for each keypoint, `[N, h, w, K]`.
POSE_MODELS: Mapping[str, Callable[..., PoseNetwork]] = {
    "light_pose": LightPose,
    **{f"simple_baseline_{name}": functools.partial(SimpleBaseline, depths=depths) for name, depths in DEPTHS.items()},
}

# Every network is called with `(images [N, H, W, C], train)` and returns what both stages give, `FirstStage` and `SecondStage`.
TWO_STAGE_MODELS: Mapping[str, Callable[..., TwoStageNetwork]] = {
    "tiny_faster_rcnn": TinyFasterRCNN,
    "faster_rcnn_resnet50_fpn": FasterRCNNResNet50,
}
# The same with a mask branch, `detection.mask_head.WithMasks`.
INSTANCE_MODELS: Mapping[str, Callable[..., TwoStageNetwork]] = {
    "tiny_mask_rcnn": TinyMaskRCNN,
    "mask_rcnn_resnet50_fpn": MaskRCNNResNet50,
}


def make_model(name: str, num_classes: int, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Builds a network from plain values.

    Args:
      name: in `MODELS`.
      num_classes: logits per image.
      options: attributes of the network; lists are taken as tuples.

    Raises:
      UserError: for an unknown network or an option that it does not have.
    """
    return _make(MODELS, name, options, num_classes=num_classes)


def make_embedding_model(name: str, options: Mapping[str, Any] | None = None) -> EmbeddingNetwork:
    """Builds an embedding network from plain values.

    Args:
      name: in `EMBEDDING_MODELS`.
      options: attributes of the network; lists are taken as tuples.

    Raises:
      UserError: for an unknown network or an option that it does not have.
    """
    return _make(EMBEDDING_MODELS, name, options)


def make_segmentation_model(name: str, num_classes: int, options: Mapping[str, Any] | None = None) -> SegmentationNetwork:
    """Builds a network for dense prediction from plain values.

    Args:
      name: in `SEGMENTATION_MODELS`.
      num_classes: logits per pixel.
      options: attributes of the network; lists are taken as tuples.

    Raises:
      UserError: for an unknown network or an option that it does not have.
    """
    return _make(SEGMENTATION_MODELS, name, options, num_classes=num_classes)


def make_detection_model(
    name: str, num_classes: int, background: bool = False, options: Mapping[str, Any] | None = None
) -> DetectionNetwork:
    """Builds a network that finds objects from plain values.

    Args:
      name: in `DETECTION_MODELS`.
      num_classes: without background.
      background: whether it is a class more, the last.
      options: attributes of the network; lists are taken as tuples.

    Raises:
      UserError: for an unknown network or an option that it does not have.
    """
    return _make(DETECTION_MODELS, name, options, num_classes=num_classes, background=background)


def make_pose_model(name: str, num_keypoints: int, options: Mapping[str, Any] | None = None) -> PoseNetwork:
    """Builds a network that finds keypoints from plain values.

    Args:
      name: in `POSE_MODELS`.
      num_keypoints: maps per image.
      options: attributes of the network; lists are taken as tuples.

    Raises:
      UserError: for an unknown network or an option that it does not have.
    """
    return _make(POSE_MODELS, name, options, num_keypoints=num_keypoints)


def make_two_stage_model(
    name: str,
    num_classes: int,
    num_anchors: int,
    options: Mapping[str, Any] | None = None,
    models: Mapping[str, Callable[..., TwoStageNetwork]] = TWO_STAGE_MODELS,
) -> TwoStageNetwork:
    """Builds a network of two stages from plain values.

    Args:
      name: in `models`.
      num_classes: without background.
      num_anchors: of a location.
      options: attributes of the network; lists are taken as tuples.
      models: name -> network, for example `INSTANCE_MODELS`.

    Raises:
      UserError: for an unknown network or an option that it does not have.
    """
    return _make(models, name, options, num_classes=num_classes, num_anchors=num_anchors)


def _make(models: Mapping[str, Callable[..., Any]], name: str, options: Mapping[str, Any] | None, **fixed: Any) -> Any:
    if name not in models:
        raise unknown("model", name, models)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in dict(options or {}).items()}
    known = sorted(set(inspect.signature(models[name]).parameters) - {"parent", "name", *fixed})
    for key in given:
        if key not in known:
            raise UserError(f"model '{name}' has no option '{key}'.{did_you_mean(key, known)} Options: {', '.join(known)}")
    return models[name](**fixed, **given)
