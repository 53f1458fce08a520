"""The losses that AutoLoss-Zero published, as formulas in text form (supplement, Table 9).

Read as its caption says (hat = prediction). mAcc is printed without a target and cannot train; here the target stands inside the
max-pooling, in the place of the constant 2 (see BUILD_NOTES.md).
"""

AUTOLOSS_ZERO_FORMULAS = {
    "autoloss_zero_global_accuracy": "Exp(Square(Add(target, Neg(Sqrt(prediction)))))",
    "autoloss_zero_miou": (
        "Mul(-0.5, Log(Mul(Tanh(Mul(Mul(target, Inv(Add(1, target))), Sqrt(prediction))), Add(Square(prediction), target))))"
    ),
    "autoloss_zero_fwiou": "Log(Mul(target, Log(Add(target, Mul(Add(target, prediction), Inv(prediction))))))",
    "autoloss_zero_macc": "Tanh(Sqrt(Mean_nhw(Mul(Neg(Log(prediction)), Sqrt(MaxPool3x3(Sqrt(Mul(target, prediction))))))))",
    "autoloss_zero_biou": (
        "Neg(Log(Mul(Mul(Mul(prediction, Square(prediction)), target), "
        "Sqrt(Mul(Neg(MinPool3x3(Neg(prediction))), Exp(Square(Mul(prediction, Exp(prediction)))))))))"
    ),
    "autoloss_zero_bf1": (
        "Exp(Add(Mean_nhw(Mul(Neg(MaxPool3x3(target)), Log(MaxPool3x3(prediction)))), "
        "Tanh(Mean_nhw(Add(Mul(2, prediction), 1)))))"
    ),
    "autoloss_zero_classification": "Neg(Mul(target, Log(prediction)))",
    "autoloss_zero_rpn_classification": "Mul(Exp(Tanh(target)), Inv(prediction))",
    "autoloss_zero_pose": "Add(Square(Add(prediction, Neg(Mul(16, Square(Square(target)))))), Square(Square(prediction)))",
}

# Of boxes, by the areas of intersection, union and enclosing box; with them the losses of the two stages of Faster R-CNN, and
# those that were found for Mask R-CNN where they differ (its regression in the first stage is the same). The mask's is printed
# as log(y y-hat) with a gap on either side: bars were lost, see BUILD_NOTES.md.
AUTOLOSS_ZERO_BOX_FORMULAS = {
    "autoloss_zero_rpn_regression": "Mul(enclosing, Inv(Add(intersection, union)))",
    "autoloss_zero_rcnn_regression": "Neg(Log(Mul(intersection, Inv(enclosing))))",
    "autoloss_zero_instance_rcnn_regression": "Neg(Mul(Sqrt(intersection), Inv(Sqrt(enclosing))))",
}
AUTOLOSS_ZERO_STAGE_FORMULAS = {
    "autoloss_zero_instance_rpn_classification": "Neg(Mul(Mul(target, prediction), Inv(Tanh(prediction))))",
    "autoloss_zero_instance_mask": "Abs(Log(Mul(target, prediction)))",
    "autoloss_zero_detection": " | ".join(
        (
            f"rpn_classification: {AUTOLOSS_ZERO_FORMULAS['autoloss_zero_rpn_classification']}",
            f"rpn_regression: {AUTOLOSS_ZERO_BOX_FORMULAS['autoloss_zero_rpn_regression']}",
            f"rcnn_classification: {AUTOLOSS_ZERO_FORMULAS['autoloss_zero_classification']}",
            f"rcnn_regression: {AUTOLOSS_ZERO_BOX_FORMULAS['autoloss_zero_rcnn_regression']}",
        )
    ),
}

AUTOLOSS_ZERO_STAGE_FORMULAS["autoloss_zero_instance"] = " | ".join(
    (
        f"rpn_classification: {AUTOLOSS_ZERO_STAGE_FORMULAS['autoloss_zero_instance_rpn_classification']}",
        f"rpn_regression: {AUTOLOSS_ZERO_BOX_FORMULAS['autoloss_zero_rpn_regression']}",
        f"rcnn_classification: {AUTOLOSS_ZERO_FORMULAS['autoloss_zero_classification']}",
        f"rcnn_regression: {AUTOLOSS_ZERO_BOX_FORMULAS['autoloss_zero_instance_rcnn_regression']}",
        f"mask: {AUTOLOSS_ZERO_STAGE_FORMULAS['autoloss_zero_instance_mask']}",
    )
)

_AREAS = ("intersection", "union", "enclosing")
_STAGES = ("rpn_classification", "rpn_regression", "rcnn_classification", "rcnn_regression")
# Of the space in which they are formulas, where that is not the default one.
SETTINGS_OF_LOSS = {
    **{name: {"branches": ("regression",), "branch_inputs": {"regression": _AREAS}} for name in AUTOLOSS_ZERO_BOX_FORMULAS},
    "autoloss_zero_detection": {
        "branches": _STAGES,
        "branch_weights": (1.0,) * len(_STAGES),
        "branch_inputs": {"rpn_regression": _AREAS, "rcnn_regression": _AREAS},
    },
    "autoloss_zero_instance": {
        "branches": (*_STAGES, "mask"),
        "branch_weights": (1.0,) * (len(_STAGES) + 1),
        "branch_inputs": {"rpn_regression": _AREAS, "rcnn_regression": _AREAS},
    },
}

# Loss -> the metric of segmentation that it was found for, as `tasks.metrics.segmentation` names it. Those of the two boundary
# metrics were trained with the boundaries of the labels as targets.
METRIC_OF_LOSS = {
    "autoloss_zero_miou": "mean_iou",
    "autoloss_zero_fwiou": "frequency_weighted_iou",
    "autoloss_zero_global_accuracy": "global_accuracy",
    "autoloss_zero_macc": "mean_accuracy",
    "autoloss_zero_biou": "boundary_iou",
    "autoloss_zero_bf1": "boundary_f1",
}
