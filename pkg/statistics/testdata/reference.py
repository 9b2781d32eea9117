"""Writes reference.json: what SciPy and NumPy say about samples, for the tests of this package.

    python3 -m venv /tmp/scipy && /tmp/scipy/bin/pip install scipy==1.17.1 && /tmp/scipy/bin/python reference.py
"""

import json
import math
import pathlib
import random

import numpy
import scipy
from scipy import stats

random.seed(19)


def normal(n, mean, sd):
    return [random.gauss(mean, sd) for _ in range(n)]


def sample(values, confidence):
    x = numpy.array(values)
    n, mean, sd = len(x), x.mean(), x.std(ddof=1)
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * stats.sem(x)
    aim = 0.05 * abs(mean)
    needed = 2
    while stats.t.ppf((1 + confidence) / 2, needed - 1) * sd / math.sqrt(needed) > aim:
        needed += 1
    q1, median, q3 = numpy.quantile(x, [0.25, 0.5, 0.75])
    return {
        "values": values, "confidence": confidence, "mean": mean, "sd": sd, "se": stats.sem(x), "half": half, "needed": needed,
        "min": x.min(), "q1": q1, "median": median, "q3": q3, "max": x.max(),
    }


def comparison(values, baseline, paired):
    if paired:
        r = stats.ttest_rel(values, baseline)
    else:
        r = stats.ttest_ind(values, baseline, equal_var=False)
    low, high = r.confidence_interval(0.95)
    return {
        "values": values, "baseline": baseline, "method": "paired" if paired else "welch", "t": r.statistic, "df": r.df, "p": r.pvalue,
        "mean": numpy.mean(values) - numpy.mean(baseline), "low": low, "high": high,
    }


def holm(p):
    order = numpy.argsort(p)
    adjusted, running = numpy.empty(len(p)), 0.0
    for i, at in enumerate(order):
        running = max(running, min(1.0, (len(p) - i) * p[at]))
        adjusted[at] = running
    return adjusted.tolist()


samples = [
    sample(normal(n, mean, sd), confidence)
    for n, mean, sd, confidence in [
        (2, 74.2, 1.5, 0.95), (3, 6.3, 0.01, 0.95), (5, 1e6, 1e5, 0.9), (10, 74.2, 8.0, 0.95), (10, -3.0, 2.0, 0.99), (30, 0.5, 0.3, 0.95),
        (1000, 120.0, 40.0, 0.95), (4, 1e9, 1.0, 0.95),
    ]
]
comparisons = []
for n, shift in [(2, 1.0), (5, 0.0), (10, 12.3), (30, 0.5), (200, 40.0), (12, 900.0)]:
    base = normal(n, 74.0, 8.0)
    comparisons.append(comparison([b - shift + e for b, e in zip(base, normal(n, 0.0, 2.0))], base, True))
for n, m, shift in [(2, 2, 1.0), (5, 9, 3.0), (10, 40, 12.0), (30, 3, 0.0), (50, 60, 300.0)]:
    comparisons.append(comparison(normal(n, 74.0 - shift, 8.0), normal(m, 74.0, 3.0), False))
p = [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.9, 0.0001, 0.04, 0.04], [random.random() ** 3 for _ in range(40)]]
pathlib.Path(__file__).with_name("reference.json").write_text(json.dumps({
    "made by": f"reference.py, SciPy {scipy.__version__}, NumPy {numpy.__version__}",
    "samples": samples,
    "comparisons": comparisons,
    "adjusted": [{"p": each, "holm": holm(each), "fdr": stats.false_discovery_control(each).tolist()} for each in p],
    "tails": [{"t": t, "df": df, "p": 2 * stats.t.sf(t, df)} for t in (0.001, 1.0, 3.0, 30.0, 1e4) for df in (1, 2.5, 9, 29, 999)],
}, indent=1, default=float) + "\n")
