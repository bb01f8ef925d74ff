"""Ends the process, or would."""

import sys

sys.exit("this plugin cannot go on")
