"""Makes `python -m thanos_login` run the program `thanos-login`, even if it is not on the PATH."""

import os
import sys

from ._program import program

path = program()
os.execv(path, [path, *sys.argv[1:]])
