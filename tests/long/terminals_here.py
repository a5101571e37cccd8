"""Ends a run that needs pseudo-terminals, with a sentence, where Python or the machine has none. To be imported before
`programs`, which could not be imported there."""

import os
import sys

if sys.version_info < (3, 11):
    print("skipped: Python 3.11 or later is needed")
    sys.exit(0)

try:
    import pty

    for end in pty.openpty():
        os.close(end)
except (ImportError, OSError):
    print("skipped: there is no pseudo-terminal here")
    sys.exit(0)
