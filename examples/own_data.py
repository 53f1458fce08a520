"""Your arrays, your network, your metric: scikit-learn's breast cancer data, a network with BatchNorm, balanced accuracy.

python -m examples.own_data
"""

import flax.linen as nn
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import balanced_accuracy_score

import jaxloss


class Network(nn.Module):
    """Called with `(inputs [N, 30], train)`; gives logits `[N, 2]`."""

    @nn.compact
    def __call__(self, inputs, train):
        hidden = nn.BatchNorm(use_running_average=not train, momentum=0.9)(inputs)
        return nn.Dense(2)(nn.relu(nn.Dense(16)(hidden)))


def balanced(probabilities, labels):
    """Of scikit-learn, on the whole split."""
    return balanced_accuracy_score(labels, probabilities.argmax(-1))


def main(workdir="runs/own_data", **overrides):
    inputs, labels = load_breast_cancer(return_X_y=True)
    task = jaxloss.make_task(inputs, labels, Network(), balanced, noise_kind="symmetric", noise_rate=0.5)
    config = jaxloss.config_for(task, overrides)
    return jaxloss.run(config, workdir, task=task)


if __name__ == "__main__":
    found = main()
    print(found.best.simplified, found.path / "report.html")
