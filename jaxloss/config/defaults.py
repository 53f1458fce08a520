"""The configuration: every key, its default and what it means. A config file changes some of them.

A config file has a function `get_config()` that starts from `default_config()`. All keys can be overridden on the command
line: `--config.search.num_trainings=500`.
"""

import ml_collections

MODES = ("search", "train", "compare")


def _number_or_numbers(default: float) -> ml_collections.FieldReference:
    """A key that takes one number, or one for each channel."""
    return ml_collections.FieldReference(default, field_type=object)


def default_config() -> ml_collections.ConfigDict:
    """The letter of AutoLoss-Zero, on scikit-learn's digits. Locked: a misspelt key is an error; `options` take any key."""
    config = ml_collections.ConfigDict(
        {
            # search: search, then compare. train: train `loss`. compare: compare `losses`.
            "mode": "search",
            # Of everything that is drawn, except where a key of its own says otherwise.
            "seed": 0,
            # Folder of data files; empty: the environment variable JAXLOSS_DATA_DIR, else the current folder.
            "data_dir": "",
            "quiet": False,
            # Folder of compiled programs; auto: jaxloss in the user's cache folder; empty: none are kept.
            "compilation_cache": "auto",
            # For mode=train: a formula such as 'Neg(Mul(target, Log(prediction)))', or the name of a hand-crafted loss.
            "loss": "",
            # For mode=compare: formulas and names of hand-crafted losses.
            "losses": ("cross_entropy",),
            "task": {
                # A name in jaxloss.config.wiring.TASKS, or 'module:factory'.
                "name": "classification",
                # Arguments of a 'module:factory'; a config file may put any keys here.
                "options": {},
                "classification": {
                    "source": "digits",
                    "download": False,
                    "fractions": (0.5, 0.2, 0.3),
                    "test_seed": 0,
                    "split_seed": 0,
                    "train_limit": 0,
                    "search_eval_limit": 0,
                    "test_limit": 0,
                    "noise_kind": "none",
                    "noise_rate": 0.0,
                    "noise_seed": 0,
                    "noise_mapping": "next",
                    "model": "mlp",
                    "model_options": ml_collections.ConfigDict({}),
                    # float32, or bfloat16: what the network computes in. Parameters, statistics, logits and loss stay float32.
                    "precision": "float32",
                    "augmentation": "none",
                    "pixel_mean": _number_or_numbers(0.0),
                    "pixel_deviation": _number_or_numbers(1.0),
                    "evaluation_batch": 500,
                },
                # Arguments of jaxloss.tasks.retrieval.make_retrieval, which says what they mean.
                "retrieval": {
                    # npz:FILE, market:FOLDER, msmt17:FOLDER, folder:FOLDER or tfds:NAME.
                    "source": "market:Market-1501",
                    "source_options": ml_collections.ConfigDict({}),
                    # Train on `source`, test on this one; empty: its own test set.
                    "test_source": "",
                    "test_source_options": ml_collections.ConfigDict({}),
                    "download": False,
                    # (height, width); (0, 0) leaves images as they are.
                    "image_size": (256, 128),
                    "resampling": "bilinear",
                    # Of the training identities; the others are search_eval.
                    "train_fraction": 0.8,
                    # For the training of a finished loss (mode=train): all training identities.
                    "train_on_all": False,
                    "test_fraction": 0.3,
                    "test_seed": 0,
                    "split_seed": 0,
                    # all, or one_per_camera: where the source does not say who is a query.
                    "queries": "all",
                    # Identities; 0 for all.
                    "train_limit": 0,
                    "search_eval_limit": 0,
                    "model": "resnet50",
                    "model_options": ml_collections.ConfigDict({}),
                    "precision": "float32",
                    # classes, or samples: the pair-wise form of the loss.
                    "cosines_to": "classes",
                    # About how long the classes' directions begin: the shorter, the faster they turn.
                    "class_length": 1.0,
                    # Of the triplet loss beside every candidate, for networks with embeddings for it (mgn).
                    "triplet_weight": 0.0,
                    "triplet_margin": 0.3,
                    # P and K of PK sampling; training.batch_size is their product. P = 0: images in random order.
                    "identities_per_batch": 16,
                    "images_per_identity": 4,
                    "augmentation": "crop_flip_erase",
                    "augmentation_options": ml_collections.ConfigDict({}),
                    "pixel_mean": _number_or_numbers(0.0),
                    "pixel_deviation": _number_or_numbers(1.0),
                    "flip_test": True,
                    # mAP_step, mAP_trapezoid, rank_1, ...
                    "metric": "mAP_step",
                    "evaluation_batch": 500,
                    # k-reciprocal re-ranking of the test set with the network that the run keeps (Zhong et al., CVPR 2017).
                    "rerank": False,
                    "rerank_k1": 20,
                    "rerank_k2": 6,
                    "rerank_distance_weight": 0.3,
                    # more_than (the published code) or at_least (the text) two thirds.
                    "rerank_expansion": "more_than",
                    # Classes and variable (bounded, cosine) of the toy optimisation; filters.rejection has the rest.
                    "toy_classes": 16,
                    "toy_variable": "bounded",
                },
            },
            # Of the network of task.retrieval: a .safetensors file with ImageNet weights, or empty.
            "model": {"pretrained": ""},
            "space": {
                # A name in jaxloss.config.wiring.SPACES, or 'module:factory' with `options`.
                "name": "autoloss_zero",
                "options": {},
                "autoloss_zero": {
                    "branches": ("classification",),
                    "branch_weights": (1.0,),
                    "initial_depth": 3,
                    "max_instructions": 24,
                    "max_constants": 4,
                    "copy_probability": 0.1,
                    "reinitialise_probability": 0.5,
                    "num_mutations": 2,
                },
                # Table 2 of AutoLoss-GMS; jaxloss.systems.autoloss_gms.space.autoloss_gms says what they mean.
                "autoloss_gms": {
                    "branch": "identity",
                    "num_constants": 2,
                    "max_operators": 10,
                    "scale_step": 0.5,
                    "num_scales": 20,
                    "constant_step": 0.05,
                    "num_constant_values": 20,
                    "crossover_probability": 0.6,
                    "copy_probability": 0.1,
                    "reinitialise_probability": 0.4,
                    "max_mutations": 3,
                    # pairs (of an operator and its operands), or operators: what is equally likely.
                    "operator_sampling": "pairs",
                    # mean, first or either: log2 s after a crossover.
                    "scale_crossover": "mean",
                    # normal or grid: how constants and scale move.
                    "number_mutation": "normal",
                    "constant_precision": 0.01,
                    # log2 s from where to where it is tuned for a comparison.
                    "tuned_scales": (1.0, 7.0),
                },
            },
            "search": {
                # A name in jaxloss.config.wiring.SEARCHES.
                "name": "evolution",
                # The budget: trainings on the proxy task (AutoLoss-Zero, Appendix A: 500).
                "num_trainings": 500,
                # Trainings per candidate; its score is their mean. The paper trains once.
                "seeds_per_candidate": 1,
                # Proposals that share one population; 1 is the paper's steady state.
                "generation_size": 1,
                # Formulas that are proposed first.
                "seeds": (),
                # Run random search with the same number of trainings and the same filters, as a control.
                "control": True,
                # Trains the most promising of several candidates, for spaces whose losses have curves (AutoLoss-GMS).
                "chooser": {
                    "enabled": False,
                    # E_0, Delta E and N_p.
                    "start_after": 100,
                    "update_every": 100,
                    "candidates": 10,
                    # The paper's network has depth 50 and width 64, and takes minutes to fit on a CPU; see
                    # jaxloss.systems.autoloss_gms.predictor.predictor.PredictorSettings.
                    "predictor": {
                        "depth": 10,
                        "width": 16,
                        "hidden": (),
                        "num_epochs": 200,
                        "batch_size": 16,
                        "learning_rate": 0.0035,
                        "momentum": 0.9,
                        "rank_loss": "kendall",
                        "rank_weight": 1.0,
                        "rank_temperature": 0.01,
                        "regression_weight": 1.0,
                        "score_scale": "as_is",
                    },
                },
                "evolution": {"initial_population": 20, "population_size": 2500, "tournament_ratio": 0.05},
            },
            "filters": {
                "rejection": {
                    "enabled": True,
                    "num_samples": 5,
                    "iterations": 500,
                    "learning_rate": 0.001,
                    "momentum": 0.9,
                    "minimum_gain": 0.6,
                    # What the metric has to reach, in place of a gain (AutoLoss-GMS: 0.9); 0 asks for the gain.
                    "minimum_metric": 0.0,
                    # probability: the prediction itself is optimised (the paper's letter); logits: what softmax is taken of.
                    "variable": "probability",
                },
                # signed: the signs of projections of the gradient count too; norms (the paper) cannot tell L from -L.
                "equivalence": {"significant_digits": 2, "scale_free": False, "signed": False},
                # Of margin-based losses (AutoLoss-GMS, Table 2): tau_p, N, Gamma. slopes: those with detached parts are told from
                # others by the slopes that train as well; values alone (the paper) cannot tell x from a detached x.
                "properties": {"enabled": True, "fraction": 0.8, "num_points": 257, "digits": 13, "slopes": True},
                # Draws that go through the filters together, and how many of them one jitted call takes (0: all of them).
                "batch": 64,
                "width": 0,
                # auto, blocks or vmap.
                "batching": "auto",
                "max_attempts": 50_000,
            },
            "training": {
                "learning_rate": 0.1,
                "optimiser": "sgd",
                "momentum": 0.9,
                "weight_decay": 0.0,
                "batch_size": 64,
                "num_epochs": 20.0,
                "schedule": "cosine",
                "warmup_epochs": 0.0,
                # Factor of the learning rate at the beginning of the warm-up.
                "warmup_start": 0.0,
                # schedule=steps: times step_factor at each of these epochs.
                "step_epochs": (),
                "step_factor": 0.1,
                # So long the backbone of a network that has one stands still.
                "frozen_epochs": 0.0,
                "clip_norm": 0.0,
                # as_is (the paper), or unit_gradient: the first gradient of every loss is scaled to norm one.
                "loss_scale": "as_is",
            },
            "execution": {
                # serial: trainings one by one, in threads. vmap: many in one step. pmap: many on each of several devices.
                # data_parallel: each batch divided over several devices, for one large network at a time. auto: serial on a
                # CPU, else vmap or pmap. measure: the fastest of the first steps. The choice is pinned in the run.
                "mode": "auto",
                # Trainings in one step on each device (vmap, pmap); 0: what its memory holds, and a search can fill.
                "lanes": 0,
                # Trainings side by side (serial); 0: one per core, at most 4. The results do not depend on it.
                "workers": 0,
                # auto, whole (one call per training) or steps (one call per step).
                "dispatch": "auto",
            },
            "comparison": {
                "handcrafted": ("cross_entropy", "label_smoothing", "focal", "mae", "gce", "sce"),
                "rank_candidates": 8,
                "rank_seeds": 3,
                "num_found": 3,
                "tuning_trainings": 24,
                # The best rival takes part once more, tuned with so many trainings: with those of a whole search, for example.
                "best_rival_trainings": 0,
                "tuning_finalists": 3,
                "tuning_seeds": 3,
                "learning_rate_low": 0.003,
                "learning_rate_high": 3.0,
                # One of the tuned settings is the loss as it is, at the rate of the search.
                "tune_untuned": False,
                "test_seeds": 5,
                "splits": (0, 1),
                # A loss is 'not behind' a rival when the interval of the difference stays above minus this.
                "margin": 0.005,
                "seed": 10_000,
            },
        }
    )
    config.lock()
    retrieval = config.task.retrieval
    free = (retrieval.source_options, retrieval.test_source_options, retrieval.model_options, retrieval.augmentation_options)
    for options in (config.task.options, config.task.classification.model_options, config.space.options, *free):
        options.unlock()
    return config


# Keys that may differ when a run is continued; all others decide what is in the archive already. Of `comparison` all but
# `splits`, the first of which is the one that is searched on.
MAY_CHANGE = (
    "search.num_trainings",
    *(f"comparison.{key}" for key in default_config().comparison if key != "splits"),
    "execution.workers",
    "data_dir",
    "quiet",
    "compilation_cache",
)
