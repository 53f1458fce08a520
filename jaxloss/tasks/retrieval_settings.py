"""What a retrieval task is made of, as far as the user says it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxloss.core.conditions import in_mode, unless, when
from jaxloss.core.errors import UserError
from jaxloss.core.settings import Settings, are_finite, are_positive, options, setting
from jaxloss.tasks.cosine_problem import VARIABLES
from jaxloss.tasks.data.identities.images import RESAMPLINGS
from jaxloss.tasks.data.identities.roles import QUERY_RULES
from jaxloss.tasks.data.preprocess import AUGMENTATIONS
from jaxloss.tasks.data.stream import DEVICE, TRAINING_DATA
from jaxloss.tasks.division_settings import DIVISIONS
from jaxloss.tasks.metrics.reranking import EXPANSIONS, RerankingSettings
from jaxloss.tasks.models.registry import EMBEDDING_MODELS, PRECISIONS
from jaxloss.tasks.retrieval_inputs import COSINES_TO
from jaxloss.tasks.retrieval_scores import METRICS

IN_SEARCH = (in_mode("search"),)
RERANKED = (when("task.retrieval.rerank", True),)
RESIZED = (unless("task.retrieval.image_size", (0, 0)),)


@dataclasses.dataclass(frozen=True)
class RetrievalSettings(Settings, section="task.retrieval", reads=("data_dir",)):
    """Retrieval of identities, such as person re-identification: an embedding network, mAP on identities it has not seen.

    Raises:
      UserError: for settings that do not fit together.
    """

    source: str = setting("market:Market-1501", "npz:FILE, market:FOLDER, msmt17:FOLDER, folder:FOLDER or tfds:NAME")
    source_options: Mapping[str, str] = options("What only this kind of source has")
    test_source: str = setting("", "Tests on this source in place of the own test set: cross-domain evaluation")
    test_source_options: Mapping[str, str] = options("Of test_source")
    download: bool = setting(False, "Whether a source may fetch what is absent")
    image_size: tuple[int, int] = setting((256, 128), "(height, width) that images are brought to; (0, 0): as they are")
    resampling: str = setting("bilinear", "How images are brought to their size", choices=RESAMPLINGS, acts_when=RESIZED)
    train_fraction: float = setting(
        0.8, "Of the training identities that are trained on; a search is scored on the others", low=0.0, high=1.0
    )
    train_on_all: bool = setting(False, "Trains on all training identities: for a finished loss (mode=train), never for a search")
    test_fraction: float = setting(
        0.3, "Of the identities of a source without a test set that are held out for it", low=0.0, high=1.0
    )
    test_seed: int = setting(0, "Of those", low=0, high=2**30)
    division: int = setting(
        0,
        "Number of the division into train and search_eval",
        low=0,
        high=2**30,
        acts_when=DIVISIONS,
        formerly=("task.retrieval.split_seed",),
    )
    queries: str = setting("all", "Who is a query where the source does not say it", choices=QUERY_RULES)
    train_limit: int = setting(0, "The most training identities; 0: all", low=0, high=10**9)
    search_eval_limit: int = setting(0, "The most identities that a search is scored on; 0: all", low=0, high=10**9)
    model: str = setting("resnet50", "The network", choices=EMBEDDING_MODELS)
    model_options: Mapping[str, Any] = options("Attributes of the network")
    pretrained: str = setting(
        "", "A .safetensors file with ImageNet weights of the network (timm or torchvision names)", formerly=("model.pretrained",)
    )
    # Embeddings, cosines and loss are float32 in either case.
    precision: str = setting("float32", "What the network computes in", choices=PRECISIONS)
    cosines_to: str = setting(
        "classes", "classes (margin-based softmax), or samples of the batch (its pair-wise form)", choices=COSINES_TO
    )
    class_length: float = setting(
        1.0,
        "About how long the directions of the classes begin: the shorter, the faster they turn",
        low=1e-6,
        high=1e6,
        acts_when=(when("task.retrieval.cosines_to", "classes"),),
    )
    triplet_weight: float = setting(
        0.0, "Of the triplet loss beside every candidate, for networks with embeddings for it (mgn)", low=0.0, high=1e6
    )
    triplet_margin: float = setting(
        0.3, "Of the triplet loss", low=0.0, high=1e6, acts_when=(unless("task.retrieval.triplet_weight", 0.0),)
    )
    identities_per_batch: int = setting(
        16, "`P` of PK sampling; training.batch_size is P x K. 0: images in random order", low=0, high=100_000
    )
    images_per_identity: int = setting(
        4, "`K` of PK sampling", low=1, high=100_000, acts_when=(unless("task.retrieval.identities_per_batch", 0),)
    )
    augmentation: str = setting("crop_flip_erase", "Of the training images", choices=AUGMENTATIONS)
    augmentation_options: Mapping[str, Any] = options("Of the augmentation, such as padding")
    pixel_mean: float | Sequence[float] = setting(
        0.0, "Taken from every pixel, on the scale of 0 to 1; one number or one per channel", several=True, check=are_finite
    )
    pixel_deviation: float | Sequence[float] = setting(
        1.0, "What pixels are divided by then; one number or one per channel", several=True, check=are_positive
    )
    flip_test: bool = setting(True, "Features are means over an image and its mirror image")
    metric: str = setting("mAP_step", "What the search maximises; recall_k only where there are no cameras", choices=METRICS)
    verification: bool = setting(
        False,
        "Scores pairs of images, as faces are judged: true accept rates at false accept rates, and rank 1 among distractors",
    )
    evaluation_batch: int = setting(
        500, "The most images that go through the network at once when it is scored", low=1, high=10**9
    )
    training_data: str = setting(
        DEVICE, "On the device, or streamed where they do not fit: read ahead of the steps", choices=TRAINING_DATA
    )
    rerank: bool = setting(False, "Ranks the test set again with the network that the run keeps (Zhong et al., CVPR 2017)")
    rerank_k1: int = setting(RerankingSettings.k1, "Neighbours that may be reciprocal", low=1, high=100_000, acts_when=RERANKED)
    rerank_k2: int = setting(
        RerankingSettings.k2, "Neighbours over which the encoding is averaged", low=1, high=100_000, acts_when=RERANKED
    )
    rerank_distance_weight: float = setting(
        RerankingSettings.distance_weight, "Of the original distance", low=0.0, high=1.0, acts_when=RERANKED
    )
    rerank_expansion: str = setting(
        RerankingSettings.expansion,
        "More than (the published code) or at least (the text) two thirds of a neighbour's set must be shared",
        choices=EXPANSIONS,
        acts_when=RERANKED,
    )
    toy_classes: int = setting(16, "Of the toy optimisation of the rejection protocol", low=2, high=100_000, acts_when=IN_SEARCH)
    toy_variable: str = setting("bounded", "What the toy optimises", choices=VARIABLES, acts_when=IN_SEARCH)

    def __post_init__(self):
        super().__post_init__()
        needs_pairs = {"cosines_to=samples": self.cosines_to == "samples", "triplet_weight": self.triplet_weight > 0}
        for key in (key for key, is_set in needs_pairs.items() if is_set and self.identities_per_batch):
            if self.identities_per_batch < 2 or self.images_per_identity < 2:
                raise UserError(
                    f"task.retrieval.{key} compares the images of a batch: identities_per_batch and images_per_identity must be "
                    f"at least 2, not {self.identities_per_batch} and {self.images_per_identity}"
                )
        if self.test_source_options and not self.test_source:
            raise UserError("task.retrieval.test_source_options are of a test_source, and none is named")
