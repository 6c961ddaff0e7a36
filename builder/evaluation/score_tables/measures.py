"""The metrics of a release, and the measures of each that are displayed."""

from collections.abc import Mapping

METRICS = ("diversity", "realism", "human_likeness", "utility")
"""The metric modules, in the order in which they are measured and displayed."""

DISPLAYED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "diversity": (
        ("duplicate_share", "lower"),
        ("distinct_2", "higher"),
        ("self_bleu", "lower"),
        ("homogenization_rouge_l", "lower"),
        ("self_repetition", "lower"),
        ("compression_ratio", "lower"),
        ("hdd", "higher"),
        ("vendi_score", "higher"),
        ("rke", "higher"),
        ("mean_cosine", "lower"),
        ("cluster_entropy", "higher"),
        ("between_label_variance", "higher"),
        ("persona_pair_coverage", "higher"),
    ),
    "realism": (
        ("mmd2", "lower"),
        ("frechet_distance", "lower"),
        ("energy_distance", "lower"),
        ("mauve_star", "higher"),
        ("c2st_auc", "0.5"),
        ("c2st_auc_length_matched", "0.5"),
        ("precision", "higher"),
        ("recall", "higher"),
        ("coverage", "higher"),
        ("authenticity", "real"),
        ("novelty", "real"),
        ("copied_share", "lower"),
        ("js_length", "lower"),
        ("js_words", "lower"),
        ("js_label", "lower"),
        ("label_consistency", "higher"),
        ("label_mmd2", "lower"),
        ("named_share", "real"),
        ("voiced_share", "real"),
        ("shown_share", "real"),
        ("valenced_per_100", "real"),
        ("polarity", "real"),
        ("words_per_text", "real"),
        ("lowercase_share", "real"),
        ("unpunctuated_share", "real"),
        ("fragment_share", "real"),
        ("misspelt_per_100", "real"),
        ("exclamations_per_100", "real"),
        ("questions_per_100", "real"),
        ("contractions_per_100", "real"),
        ("emoji_per_100", "real"),
        ("laughter_per_100", "real"),
        ("profanity_per_100", "real"),
    ),
    "human_likeness": (
        ("human_likeness", "higher"),
        ("human_likeness_gap", "0"),
        ("human_likeness_auc", "0.5"),
        ("persona_fit", "higher"),
        ("judge_alpha", "higher"),
    ),
    "utility": (
        ("tstr_macro_f1", "higher"),
        ("trts_macro_f1", "higher"),
        ("tstr_trtr_ratio", "higher"),
    ),
}
"""Measures that the terminal and the card display, by metric, each with its `Score.better`.

All other measures are in `scores.json` and in `Scores.table`.
"""
