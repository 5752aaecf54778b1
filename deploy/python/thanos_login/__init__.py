"""A stub of the Thanos market place's login call, for tests of its clients.

with thanos_login.stub() as stub:
    client = MyClient(stub.url)
    stub.next(code=503)
    ...

The plugin for pytest provides the fixtures `thanos_login` and `thanos_stub`: see
`thanos_login.pytest_plugin`.
"""

from ._process import StubError
from ._program import program
from ._start import stub
from ._stub import Answer, Fault, Instruction, Request, Stub

__all__ = ["Answer", "Fault", "Instruction", "Request", "Stub", "StubError", "program", "stub"]
