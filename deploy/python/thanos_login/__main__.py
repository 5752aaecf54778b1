"""`python -m thanos_login` is the program `thanos-login`, whether that is on the PATH or not."""

import os
import sys

from ._program import program

path = program()
os.execv(path, [path, *sys.argv[1:]])
