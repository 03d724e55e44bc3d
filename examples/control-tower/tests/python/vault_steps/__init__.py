"""What is asked of both, by noun. Each module has `script(run)`; the steps of one run come in the order of `ALL`."""

from . import approle, backup, edges, imports, policy, rest, role, sys, token, transit, wrapping

ALL = [sys.script, transit.script, imports.script, backup.script, approle.script, role.script, policy.script, wrapping.script, token.script, rest.script, edges.script]
