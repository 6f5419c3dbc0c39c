"""``python -m anon_tune``."""

from anon_tune.cli import main

main()
