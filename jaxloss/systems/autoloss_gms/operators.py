"""The operators of AutoLoss-GMS: plain functions of a cosine, without an epsilon; what leaves their domain is NaN."""

from jaxloss.graphs.operators import python_helpers
from jaxloss.graphs.operators.elementwise import (
    ABS,
    ADD,
    ARCCOS,
    ARCSIN,
    COS,
    DETACH,
    DIV,
    ERF,
    ERFC,
    EXP,
    INV,
    LOG,
    MUL,
    NEG,
    RELU,
    SIGMOID,
    SIN,
    SOFTPLUS,
    SQRT,
    SQUARE,
    TANH,
    algebraic,
    gudermannian,
)
from jaxloss.graphs.operators.operator import Operator, OperatorSet

MINUS = Operator("Minus", 2, lambda x, y: x - y, "({0}) - ({1})", r"\left({0} - {1}\right)", "({0}) - ({1})")
GD = Operator(
    "Gd",
    1,
    gudermannian,
    "2*atan(tanh(({0})/2))",
    r"\mathrm{{gd}}\left({0}\right)",
    "_gudermannian({0})",
    helpers=(python_helpers.GUDERMANNIAN,),
)
ALF = Operator(
    "Alf",
    1,
    algebraic,
    "({0})/sqrt(1 + ({0})**2)",
    r"\mathrm{{alf}}\left({0}\right)",
    "_algebraic({0})",
    helpers=(python_helpers.ALGEBRAIC,),
)

AUTOLOSS_GMS = OperatorSet(
    "autoloss_gms",
    "AutoLoss-GMS (CVPR 2022), supplement, Table 1",
    (
        *(ADD, MINUS, MUL, DIV, NEG, ABS, INV, LOG, EXP, SIGMOID, TANH, SIN, COS, ARCSIN, ARCCOS, SQUARE, SQRT),
        *(RELU, SOFTPLUS, GD, ALF, ERF, ERFC, DETACH),
    ),
)
