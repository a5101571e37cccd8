"""A second implementation of Undertone's envelopes and sessions, in the words of proto/.

For tests alone: keys are not wiped, and comparisons take as long as they take.
"""
