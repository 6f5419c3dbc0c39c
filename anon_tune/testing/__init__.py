"""Public conformance suites: what a method, an attacker or a network of yours has to pass, as ours do."""
