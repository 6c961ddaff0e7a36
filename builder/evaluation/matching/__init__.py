"""Match a reference: find the recipe whose texts teach a classifier most about real texts.

Imports the rooms below `evaluation`, its arms, and the tables of its results; imported by cli and api.
"""

from personagen.builder.evaluation.matching.match import amatch, match
from personagen.builder.evaluation.matching.match_results import MatchedArm, MatchFacts, MatchResults, Yardstick
from personagen.builder.evaluation.matching.preparation import MATCH_ROWS, MatchSettings
from personagen.builder.evaluation.matching.recipes import with_budget

__all__ = [
    "MATCH_ROWS",
    "MatchFacts",
    "MatchResults",
    "MatchSettings",
    "MatchedArm",
    "Yardstick",
    "amatch",
    "match",
    "with_budget",
]
