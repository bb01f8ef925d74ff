"""`python -m alkahest.cli`: the command `alkahest` where its script is not on the path."""

from alkahest.cli import main

main()
