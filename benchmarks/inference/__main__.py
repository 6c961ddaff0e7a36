"""Error rates of the inference, by simulation: how often intervals hold the truth and tests find what is not there.

python -m benchmarks.inference --sets 100 [--only audit counterfactuals ratings]

Data have no effect, or a planted one, and go through the product's own functions. Texts of one persona share half of
the variance. With 100 data sets a rate of 5 % is known within 4 points, with 2,000 within one.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping

from benchmarks.inference.audits import associations, counterfactuals, families
from benchmarks.inference.classifiers import transfers
from benchmarks.inference.comparisons import arms, traces
from benchmarks.inference.likeness import intervals, styles
from benchmarks.inference.matches import arms_of_one_source
from benchmarks.inference.rates import ErrorRate
from benchmarks.inference.scores import agreements, favourites, ratings, sets_of_texts, sources, traces_of_personas

PARTS: Mapping[str, Callable[[int], Iterator[ErrorRate]]] = {
    "audit": associations,
    "findings": families,
    "counterfactuals": counterfactuals,
    "trace": traces,
    "compare": lambda sets: arms(max(sets // 6, 2), 4 * sets),
    "match": arms_of_one_source,
    "realism": sources,
    "intervals": intervals,
    "style": styles,
    "utility": transfers,
    "labels": favourites,
    "personas": traces_of_personas,
    "ratings": ratings,
    "agreement": agreements,
    "diversity": sets_of_texts,
}
"""Parts of the benchmark; `compare` measures a sixth as many arms, which takes seconds per arm."""


def main(arguments: list[str] | None = None) -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference", description=__doc__)
    parser.add_argument("--sets", type=int, default=100, help="simulated data sets per row; slow rows take fewer")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run")
    options = parser.parse_args(arguments)
    print("| figure | data | promise | found | data sets |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name in options.only:
        for rate in PARTS[name](options.sets):
            print(rate.line(), flush=True)


if __name__ == "__main__":
    main()
