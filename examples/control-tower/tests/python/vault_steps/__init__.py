"""What is asked of both, by noun. Each module has `script(run)`; the steps of one run come in the order of `ALL`."""

from . import approle, backup, imports, sys, token, transit

ALL = [sys.script, transit.script, imports.script, backup.script, approle.script, token.script]
