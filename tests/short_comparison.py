"""The least that a search does behind its trainings, for tests that look at the search alone."""

SHORT_COMPARISON = {
    "comparison.rank_candidates": "1",
    "comparison.rank_seeds": "1",
    "comparison.num_found": "1",
    "comparison.tuning_trainings": "4",
    "comparison.tuning_finalists": "2",
    "comparison.tuning_seeds": "1",
    "comparison.test_seeds": "1",
    "comparison.diagnosis": "false",
}
