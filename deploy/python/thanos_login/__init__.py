"""A stub of the Thanos market place's login call, for the tests of its clients.

with thanos_login.stub() as stub:
    client = MyClient(stub.url)
    stub.next(code=503)
    ...

With pytest, the fixtures `thanos_login` and `thanos_stub` are there by themselves: see
`thanos_login.pytest_plugin`.
"""

from ._process import StubError
from ._program import program
from ._stub import Answer, Fault, Order, Request, Stub, stub

__all__ = ["Answer", "Fault", "Order", "Request", "Stub", "StubError", "program", "stub"]
