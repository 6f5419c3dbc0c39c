"""Public conformance checks: what a method, an attacker or a network must do, whoever wrote it.

Each check raises an AssertionError that says what is broken; a test of another package calls it as ours do.
"""
