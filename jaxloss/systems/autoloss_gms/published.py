"""The losses that AutoLoss-GMS published, and hand-crafted ones as candidates, as formulas in text form."""

# AutoLoss-GMS, supplement, Table 3 (A and Zero: ResNet-50 on Market-1501, B: ResNet-50 on CUHK03, C: OSNet, D: MGN) and, for
# fine-grained retrieval in the pair-wise form, Section K.
AUTOLOSS_GMS_FORMULAS = {
    "autoloss_gms_zero": "t: Add(Mul(Add(0.22, Exp(Sqrt(0.22))), x), Square(Arcsin(0.22))) | n: Add(x, 0.85) | log2_s: 5.5",
    "autoloss_gms_a": "t: Mul(Detach(Minus(1, x)), Minus(x, 0.7)) | n: Relu(Gd(Minus(x, Sig(0.25)))) | log2_s: 7.5",
    "autoloss_gms_b": "t: Mul(Detach(Minus(1.3, x)), Minus(x, 1)) | n: Minus(Mul(0.35, x), Square(0.35)) | log2_s: 6",
    "autoloss_gms_c": (
        "t: Mul(Minus(x, 0.84), Minus(0.95, x)) | n: Add(Mul(Relu(Detach(Arcsin(x))), Minus(x, 0.5)), 0.05) | log2_s: 7.5"
    ),
    "autoloss_gms_d": "t: Add(x, 0.15) | n: Add(x, 0.2) | log2_s: 4",
    "autoloss_gms_cub": (
        "t: Mul(Detach(Minus(1.4, x)), Minus(x, 0.5)) | "
        "n: Add(0.3, Square(Add(0.05, Mul(x, Relu(Sin(Detach(x))))))) | log2_s: 6.5"
    ),
}

# Hand-crafted margin-based softmax losses as candidates: the prior knowledge of AutoLoss-GMS (supplement, Section G.1). Margins
# are customary ones; SphereFace and ArcFace go through the angle, which bends back where the guard of the originals sets in.
MARGIN_SOFTMAX_FORMULAS = {
    "normalised_softmax": "t: x | n: x | log2_s: 4",
    "cosface": "t: Minus(x, 0.35) | n: x | log2_s: 5",
    "cosface_small": "t: Minus(x, 0.15) | n: x | log2_s: 4",
    "arcface": "t: Cos(Add(Arccos(x), 0.3)) | n: x | log2_s: 5",
    "sphereface": "t: Cos(Mul(Arccos(x), 1.35)) | n: x | log2_s: 5",
    "combined_margin": "t: Minus(Cos(Add(Arccos(x), 0.2)), 0.15) | n: x | log2_s: 5",
    "circle": (
        "t: Mul(Detach(Relu(Minus(1.25, x))), Minus(x, 0.75)) | n: Mul(Detach(Relu(Add(x, 0.25))), Minus(x, 0.25)) | log2_s: 6"
    ),
    "linear": "t: Minus(Mul(1.2, x), 0.4) | n: x | log2_s: 4.5",
    "additive_on_others": "t: x | n: Add(x, 0.25) | log2_s: 4.5",
    "hinged_others": "t: Minus(x, 0.3) | n: Relu(x) | log2_s: 5",
}
