"""A run as the report finds it, made up: its summary, and its rows in an archive."""

import numpy as np

from jaxloss.runs import CandidateRow, RunDirectory, TrainingRow
from jaxloss.runs.declared import FILTERS
from jaxloss.study.declared_filters import filter_declarations
from jaxloss.systems.autoloss_gms.space import autoloss_gms
from jaxloss.systems.autoloss_zero.space import autoloss_zero
from tests.problems import make_cascade

SPACE, MARGINS = autoloss_zero(), autoloss_gms()
CROSS_ENTROPY = "Neg(Mul(target, Log(prediction)))"
FORMULAS = {
    "Exp(Square(Add(target, Neg(Sqrt(prediction)))))": r"\exp\left(\left(y - \sqrt{\hat{y}}\right)^{2}\right)",
    "Neg(Mul(target, Tanh(Mean_c(prediction))))": r"- y \tanh{\left(\mathrm{Mean}_{c}\left(\hat{y}\right) \right)}",
    "Mul(Exp(Tanh(target)), Inv(prediction))": r"\begin{cases} 1 & \text{nothing that mathtext draws} \end{cases}",
    "Square(Add(prediction, Neg(target)))": r"\left(\hat{y} - y\right)^{2}",
}
RIVALS = {"cross_entropy": {}, "gce": {"q": 0.71}, "mae": {}}
FILTERS_DECLARED = filter_declarations({"classification": make_cascade()}, None)
COUNTS = {
    "proposed": 60_000,
    "rejected": {"no_prediction": 33_000, "no_target": 15_000, "zero_gradient": 801, "no_metric_gain": 9_900},
    "equivalent": 99,
    "trained": 200,
    "stopped_by_nan": 7,
}
CONFIG = {
    "mode": "search",
    "task": {"name": "classification"},
    "space": {"name": "autoloss_zero"},
    "search": {"name": "evolution", "num_trainings": 200, "evolution": {"population_size": 50}},
}


def result(mean, rate, values=()):
    scores = mean + 0.006 * np.random.default_rng(int(mean * 1e6)).normal(size=10)
    half = float(2.26 * scores.std(ddof=1) / 10**0.5)
    return {
        "learning_rate": rate,
        "hyperparameters": dict(values),
        "search_eval": float(mean) + 0.004,
        "test_mean": float(scores.mean()),
        "test_ci95": [float(scores.mean()) - half, float(scores.mean()) + half],
        "test_deviation": float(scores.std(ddof=1)),
        "scores": [[index // 5, 12_000 + index % 5, float(score)] for index, score in enumerate(scores)],
    }


def described(formula):
    simplified = formula.lower().replace("target", "<y & z>")
    return {"formula": formula, "simplified": simplified, "latex": FORMULAS[formula], "domain": "target in [0, 1]"}


def comparison_rows():
    rows = [
        {
            "name": f"found {i + 1}",
            "kind": "found",
            **described(formula),
            "untuned": result(0.931 - 0.004 * i, 0.3),
            "tuned": result(0.949 - 0.004 * i, 0.21),
        }
        for i, formula in enumerate(list(FORMULAS)[:3])
    ]
    rows.append(
        {
            "name": "random search",
            "kind": "random_search",
            **described(list(FORMULAS)[3]),
            "untuned": result(0.92, 0.3),
            "tuned": result(0.937, 0.0672),
        }
    )
    means = {"cross_entropy": (0.76, 0.911), "gce": (0.89, 0.947), "mae": (0.3, 0.62)}
    for name, values in RIVALS.items():
        untuned, tuned = means[name]
        rows.append(
            {
                "name": name,
                "kind": "handcrafted",
                "formula": None,
                "untuned": result(untuned, 0.3, values),
                "tuned": result(tuned, 0.0123, values),
            }
        )
    return rows


def differences_of(rows):
    first, found = rows[0], []
    for row in rows[1:]:
        pairs = [a[2] - b[2] for a, b in zip(first["tuned"]["scores"], row["tuned"]["scores"], strict=True)]
        mean, half = float(np.mean(pairs)), float(2.26 * np.std(pairs, ddof=1) / 10**0.5)
        verdict = "leads" if mean - half > 0 else "is behind" if mean + half < 0 else "ties"
        found.append(
            {
                "first": first["name"],
                "second": row["name"],
                "mean": mean,
                "ci95": [mean - half, mean + half],
                "pairs": 10,
                "verdict": verdict,
                "not_behind": mean - half > -0.005,
            }
        )
    return found


def summary_of(mode):
    rows = comparison_rows()
    summary = {
        "jaxloss": "0.1.0",
        "jax": "0.10.2",
        "device": "cpu",
        "machine": "Linux x86_64, Python 3.11.2",
        "mode": mode,
        "task": "digits 40% symmetric noise",
        "metric": "accuracy",
        "space": "autoloss_zero",
        "operators": "autoloss_zero",
        "margin": 0.005,
        "task_details": {"num_train": 898, "noise": "40% symmetric", "network": "mlp", "image_shape": [8, 8, 1]},
        "compilations": {"train": 2, "gradient classification": 1},
        "seconds": {"total": 312.4},
        "command": "python -m jaxloss.launch --config=configs/quickstart.py --config.loss='Neg(Mul(target, Log(prediction)))'",
    }
    if mode == "search":
        ranking = [
            {
                "rank": i + 1,
                **described(formula),
                "search_eval": 0.95 - 0.003 * i if i < 3 else None,
                "search_score": 0.96 - 0.002 * i,
                "same_as": 1 if i == 2 else None,
            }
            for i, formula in enumerate(FORMULAS)
        ]
        headline = {**ranking[0], "name": "found 1", "hyperparameters": {"learning_rate": 0.21}, "seeds": 10}
        tuned = {name: rows[0]["tuned"][name] for name in ("test_mean", "test_ci95", "search_eval")}
        seconds = {"rejection": 41.0, "training": 160.2, "total": 312.4}
        summary |= {"counts": COUNTS, "seconds": seconds, "ranking": ranking, "best": {**headline, **tuned}}
    if mode == "train":
        rows = [
            {
                "name": CROSS_ENTROPY,
                "kind": "given",
                "formula": CROSS_ENTROPY,
                "simplified": "a<b",
                "latex": r"a<b",
                "untuned": result(0.9, 0.3),
                "tuned": result(0.9, 0.3),
            }
        ]
    if mode == "compare":
        rows = [
            {**row, "name": row["formula"] or row["name"], "kind": "given" if row["formula"] else "handcrafted"} for row in rows
        ]
    return summary | {"comparison": rows} | ({} if mode == "train" else {"differences": differences_of(rows)})


def individuals(search, count, final):
    generator = np.random.default_rng(len(search))
    formulas = list(FORMULAS)
    scores = final - (final - 0.2) * generator.random(count) ** (1 + 3 * np.arange(count) / count)
    return [
        CandidateRow(
            search=search,
            proposal=i,
            branch="*",
            attempt=3,
            formula=formulas[i % len(formulas)],
            key=str(i),
            origin="mutation",
            reason="accepted",
            score=None if i % 41 == 40 else float(scores[i]),
            training=i % 7 != 6,
            seconds=0.4,
        )
        for i in range(count)
    ]


def words_of(label):
    return next(one.reasons[label] for one in FILTERS_DECLARED if label in one.reasons)


def make_run(path, mode="search", finished=True, count=120):
    searching = mode == "search"
    with RunDirectory.open(path, CONFIG | {"mode": mode}) as run:
        candidates = (
            [*individuals("evolution", count, 0.95), *individuals("random_search", count // 2, 0.92)] if searching else []
        )
        state = (
            {
                FILTERS: [one.to_json() for one in FILTERS_DECLARED],
                "evolution": {"counts": COUNTS},
                "random_search": {"counts": COUNTS | {"trained": 60}},
            }
            if searching
            else {}
        )
        trainings = [
            TrainingRow(
                stage=stage,
                loss=row["name"],
                hyperparameters={},
                learning_rate=0.3,
                seed=seed,
                division=division,
                evaluated_on="test",
                score=score,
                steps=420,
                seconds=0.41,
            )
            for stage, kind in (("test untuned", "untuned"), ("test tuned", "tuned"))
            for row in comparison_rows()
            for division, seed, score in row[kind]["scores"]
        ]
        run.archive.commit(candidates=candidates, trainings=trainings, state=state)
        if finished:
            run.write_summary(summary_of(mode))
    return path
