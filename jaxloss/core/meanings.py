"""What inputs of losses are, in words for those who use a loss elsewhere. An input may be anything else, in words of its task.

These are known by name besides: code for other frameworks makes them of logits and labels.
"""

SOFTMAX = "probabilities of the classes, the softmax of the logits (never the logits themselves)"
LOGITS = "logits of the classes, before the softmax"
ONE_HOT = "one-hot labels"
