"""Public conformance checks: the contract that every method, attacker and network must keep, ours or yours.

Each check raises an AssertionError that says what is broken; a test of another package calls it as ours do.
"""
