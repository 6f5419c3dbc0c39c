"""Public checks of the contracts that every method, attacker and network must keep.

A check raises AssertionError if the contract is broken. Our own tests call these checks, and so can the tests of a
package that adds a method, an attacker or a network.
"""
