"""Measurements of nokosu, each with its bare floor in the same run: `python -m bench`. No test, and nothing is asserted."""
